"""What a stack keeps: records of images, the ledger, who owns what."""
