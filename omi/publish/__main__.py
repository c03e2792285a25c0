"""Prints the feed's JSON Schema, as `feed.schema.json` holds it."""

from __future__ import annotations

import signal

from omi.publish.feed import Feed
from omi.support.json_schema import schema_text

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads no further ends it
    print(schema_text(Feed), end="")
