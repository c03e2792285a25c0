"""The stack's state: records of images, the ledger, ownership."""
