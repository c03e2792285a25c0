"""Exports: `<releases_dir>/<profile>.yaml`, `.json`, `.atom.xml` and `README.md`.

They are written after every build and prune, and from the ledger. An image leaves them only when it is deregistered or
forgotten by name: a ledger that lacks it takes nothing out.
"""

from omi.publish.store import export_ledger, forget, forget_unheld, record, unheld_lines

__all__ = ["export_ledger", "forget", "forget_unheld", "record", "unheld_lines"]
