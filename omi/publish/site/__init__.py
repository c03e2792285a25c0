"""The static site of all images: pages made from the JSON feeds and the documents beside them, and nothing else."""

from omi.publish.site.write import build_site

__all__ = ["build_site"]
