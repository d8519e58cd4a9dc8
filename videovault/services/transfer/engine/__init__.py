"""The transfer engine: from a source through memory into S3, resumable and proven, for worker and command line."""

from videovault.services.transfer.engine.files import FileLedger
from videovault.services.transfer.engine.retry import patient_with_storage, with_storage
from videovault.services.transfer.engine.transfer import Transfer
from videovault.services.transfer.engine.types import (
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
    "patient_with_storage",
    "with_storage",
]
