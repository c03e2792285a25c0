"""Prints the JSON Schema of the feed, as `feed.schema.json` holds it, or after `fixes` that of `fixes.schema.json`."""

from __future__ import annotations

import signal
import sys

from omi.publish.feed import Feed
from omi.publish.fixes import FixesDocument
from omi.support.json_schema import schema_text

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads no further ends it
    print(schema_text(FixesDocument if sys.argv[1:] == ["fixes"] else Feed), end="")
