"""`python -m omi COMMAND`: what people run."""

import sys

from omi.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
