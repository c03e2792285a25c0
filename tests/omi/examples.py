"""How many random cases the dear properties try."""

from __future__ import annotations

import os

EXAMPLES = int(os.environ.get("OMI_EXAMPLES", "40"))
"""The same ones each time, so that a change is judged by itself; `make soak` asks for 400 new ones."""
