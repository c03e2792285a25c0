"""The stack's memory: records of images, the ledger, ownership."""
