"""The proof of an OMI: it is booted as a user would boot it, entered with a new key and checked before it counts."""
