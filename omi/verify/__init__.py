"""Proving an OMI: it is booted as a user would boot it, entered with a new key, and looked at before it counts."""
