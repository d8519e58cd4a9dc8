"""Fetching an object as browsers do, by a presigned link, to see whether links work."""

import os

from videovault.errors import StorageError
from videovault.gateways import http_check, retry
from videovault.gateways.s3 import read_refusal, refusal
from videovault.gateways.storage import Storage

OPERATION = "GetObject by a presigned link"
LINK_SECONDS = 60


def fetch(vault: Storage, key: str, *, headers: dict[str, str] | None = None) -> bytes:
    """The first 64 KiB behind a link to ``key``. Raises ObjectMissing, and StorageError for a link that is refused.

    Browsers may have another address for the store, which this server need not reach: its own is tried then.
    """
    if not vault.is_embedded:  # links to the embedded S3 lead back to this server
        try:
            return retry.retried(lambda: _get(vault.presign(key, seconds=LINK_SECONDS), headers))
        except StorageError as error:
            if error.answer is not None or not vault.has_public_address:
                raise
    link = vault.presign(key, seconds=LINK_SECONDS, internal=True)
    return retry.retried(lambda: _get(link, headers))


def _get(link: str, headers: dict[str, str] | None) -> bytes:
    try:
        answer = http_check.ask(link, "GET", headers, authority=os.environ.get("AWS_CA_BUNDLE", ""))
    except http_check.Unreachable as error:
        raise StorageError(
            "S3 does not answer, or its answer cannot be understood.", retryable=True
        ) from error
    if answer.status in (200, 206):
        return answer.body
    raise refusal(read_refusal(answer.status, answer.headers, answer.body, OPERATION))
