"""Prints the feed's JSON Schema, as `feed.schema.json` holds it."""

from __future__ import annotations

import signal

from omi.json_schema import schema_text
from omi.releases.feed import Feed

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # who reads no further ends it
    print(schema_text(Feed), end="")
