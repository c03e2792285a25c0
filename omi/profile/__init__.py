"""Profiles: what to build, as data. Files in, validated builds out; nothing else of the project reads their YAML."""
