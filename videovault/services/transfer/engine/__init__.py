"""The transfer engine: from a source through memory into S3, resumable and proven, for worker and command line."""

from videovault.services.transfer.engine.retry import retry_storage_call, storage_retry_policy
from videovault.services.transfer.engine.transfer import Transfer
from videovault.services.transfer.engine.types import (
    MultipartUpload,
    RetryPolicy,
    SourceFingerprint,
    StoredObject,
    StoredPart,
    Target,
    TransferControl,
    UploadJournal,
)
from videovault.services.transfer.engine.uploads import FileUploadJournal

__all__ = [
    "FileUploadJournal",
    "MultipartUpload",
    "RetryPolicy",
    "SourceFingerprint",
    "StoredObject",
    "StoredPart",
    "Target",
    "Transfer",
    "TransferControl",
    "UploadJournal",
    "retry_storage_call",
    "storage_retry_policy",
]
