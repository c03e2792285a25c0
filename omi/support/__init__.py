"""Open to every room: errors, safe parsing, atomic files, locks, version order."""
