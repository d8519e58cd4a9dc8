"""A file on this machine into S3: in parts, one in memory at a time, and proven."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from videovault.errors import StorageError
from videovault.gateways.storage import Description, Storage
from videovault.services.engine.checksum import crc32
from videovault.services.engine.plan import PART_BYTES, Plan
from videovault.services.engine.retrying import with_storage
from videovault.services.engine.shapes import Patience, StoredPart, whole_crc32


@dataclass(frozen=True)
class Uploaded:
    """An object as S3 holds it; ``size`` in bytes."""

    size: int
    etag: str
    crc32: int


def upload(
    vault: Storage,
    key: str,
    file: BinaryIO,
    size: int,
    described: Description,
    check: Callable[[], object],
    patience: Patience | None = None,
) -> Uploaded:
    """Put the first ``size`` bytes of ``file``. Whatever ends it, ``check`` included, leaves no unfinished upload.

    Raises StorageError.
    """
    patience = patience or Patience()
    file.seek(0)
    if size <= PART_BYTES:
        body = file.read(size)
        whole = crc32(body)
        with_storage(lambda: vault.put(key, body, described, whole), patience, check)
    else:
        whole = _in_parts(vault, key, file, size, described, check, patience)
    seconds = patience.visible_seconds
    found = with_storage(lambda: vault.info(key, wait_seconds=seconds), patience, check)
    if found is not None and described.metadata and not described.metadata.keys() & found.metadata.keys():
        with_storage(
            vault.learn_if_due, patience, check
        )  # a store that keeps none is known for it from now on
    if found is None or found.size != size or found.crc32 not in (None, whole):
        with_storage(lambda: vault.delete([key]), patience, check)
        raise StorageError("S3 does not hold what was sent to it, so the object was deleted.")
    return Uploaded(size, found.etag, whole)


def _in_parts(
    vault: Storage,
    key: str,
    file: BinaryIO,
    size: int,
    described: Description,
    check: Callable[[], object],
    patience: Patience,
) -> int:
    """The CRC-32 of the whole."""
    upload_id = with_storage(lambda: vault.start_upload(key, described), patience, check)
    try:
        parts: list[StoredPart] = []
        plan = Plan.for_total(size)
        for number in plan.numbers():
            check()
            parts.append(
                _part(vault, key, upload_id, number, file.read(plan.length(number)), patience, check)
            )
        whole = whole_crc32(parts)
        with_storage(lambda: vault.complete_upload(key, upload_id, parts, whole), patience, check)
    except BaseException:
        vault.abort_upload(key, upload_id)
        raise
    return whole


def _part(
    vault: Storage,
    key: str,
    upload_id: str,
    number: int,
    body: bytes,
    patience: Patience,
    check: Callable[[], object],
) -> StoredPart:
    summed = crc32(body)
    sent = with_storage(lambda: vault.upload_part(key, upload_id, number, body, summed), patience, check)
    return StoredPart(number, len(body), sent.etag, summed)
