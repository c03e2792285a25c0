"""Commands for people: `python -m omi COMMAND`."""
