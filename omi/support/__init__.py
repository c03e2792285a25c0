"""What every room may use: errors, safe parsing, atomic files, locks, version order."""
