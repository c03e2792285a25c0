"""An image's documents: its SBOM, its lists of packages and files, and its provenance."""
