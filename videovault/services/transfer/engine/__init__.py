"""The transfer engine: from a source through memory into S3, resumable and verified. See docs/transfer.md."""

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

__all__ = [
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
