"""Exports: `<releases_dir>/<profile>.yaml`, `.json`, `.atom.xml` and `README.md`.

Every build and every prune writes them, and each update does from the ledger. An image leaves them only when it is
deregistered or forgotten by name. If the ledger lacks it, it stays.
"""

from omi.publish.store import export_ledger, forget, forget_unheld, record, unheld_lines

__all__ = ["export_ledger", "forget", "forget_unheld", "record", "unheld_lines"]
