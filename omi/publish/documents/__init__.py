"""What went into an image, written out: its SBOM, its list of packages and where all of it came from."""
