"""Profiles: which images should exist and what is in them."""
