"""Small objects that come and go in a place of their own in the bucket, so that nothing else is ever touched."""

import secrets
from collections.abc import Callable
from datetime import timedelta

from videovault import logs
from videovault.errors import StorageError
from videovault.gateways import capability_probe, storage
from videovault.gateways.capabilities import Feature
from videovault.models import now

PREFIX = capability_probe.PREFIX
MOST_AT_ONCE = 100
LIFE = timedelta(minutes=15)
log = logs.get(__name__)


def new_key() -> str:
    return f"{PREFIX}{secrets.token_hex(12)}"


def new_body() -> bytes:
    return secrets.token_bytes(1024)


def clear(take_away: Callable[[], object]) -> None:
    """What cannot be taken away now is swept up later: the check has its answer already."""
    try:
        take_away()
    except StorageError as error:
        log.info("probe left for later", reason=error.public_message)


def sweep() -> None:
    """Delete what checks that were cut short left behind. Raises StorageError."""
    vault, before = storage.connected(), now() - LIFE
    vault.delete([each.key for each in vault.objects(PREFIX) if each.modified_at < before])
    for upload in vault.uploads(PREFIX):
        if upload.begun_at < before:
            vault.abort_upload(upload.key, upload.upload_id)
    if vault.capabilities.can(Feature.DELETE_VERSIONS):  # what is locked would be refused again and again
        old = {each.key for each in vault.versions(PREFIX) if each.modified_at < before}
        for key in sorted(old)[:MOST_AT_ONCE]:
            vault.delete_versions(key)
