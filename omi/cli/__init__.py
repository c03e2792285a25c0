"""What people run: `python -m omi COMMAND`."""
