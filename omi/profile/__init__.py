"""Profiles: what to build, as data. Files in, validated builds out; nothing else of the project reads their YAML."""

from omi.profile.content import content
from omi.profile.discover import expand_discovered
from omi.profile.load import Profile, load_profile
from omi.profile.model import Access, SetupFile, Target
from omi.profile.schema import Discover

__all__ = ["Access", "Discover", "Profile", "SetupFile", "Target", "content", "expand_discovered", "load_profile"]
