"""Proves an OMI before it counts: boots it as a user would, logs in with a new key, and checks it."""
