"""The transfer engine: from a source through memory into S3, resumable and proven, for worker and command line."""

from videovault.services.engine.file_ledger import FileLedger
from videovault.services.engine.retrying import pause, with_storage
from videovault.services.engine.run import Transfer
from videovault.services.engine.shapes import (
    Begun,
    Control,
    Identity,
    Ledger,
    Patience,
    Stored,
    StoredPart,
    Target,
)

__all__ = [
    "Begun",
    "Control",
    "FileLedger",
    "Identity",
    "Ledger",
    "Patience",
    "Stored",
    "StoredPart",
    "Target",
    "Transfer",
    "pause",
    "with_storage",
]
