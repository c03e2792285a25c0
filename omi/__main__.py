"""`python -m omi COMMAND`: what people run."""

import signal
import sys

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules load, Ctrl-C leaves nothing to tidy up

from omi.cli.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
