"""What each released version wrote, which is read for ever: a folder a version, and what records a new one."""
