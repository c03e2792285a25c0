"""Exports: `<releases_dir>/<profile>.yaml`, `.json`, `.atom.xml` and `README.md`.

They are written after every build and prune, or from the ledger.
"""

from omi.releases.store import export_ledger, forget, record, rewrite

__all__ = ["export_ledger", "forget", "record", "rewrite"]
