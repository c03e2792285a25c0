"""The life of one image: Packer or a copy, read back, verify, share, clean up."""
