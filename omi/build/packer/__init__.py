"""Packer: its template, what it is given, how it is run and what its output means."""
