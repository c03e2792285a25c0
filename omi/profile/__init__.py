"""Profiles: reads their files and makes validated builds. Nothing else in the project reads their YAML."""
