"""A stack's configuration: its settings, Regions and the files that it lies in."""
