"""How many random cases the dear properties try."""

from __future__ import annotations

import os

EXAMPLES = int(os.environ.get("OMI_EXAMPLES", "40"))
"""`make test` asks for 400, the quick tests for fewer."""
