"""The objects of a backup on their way back into a bucket, in parts through memory, each proven."""

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import BinaryIO

from videovault.errors import Conflict, StorageError
from videovault.gateways import storage
from videovault.gateways.retry import VISIBLE_SECONDS
from videovault.gateways.storage import Listed
from videovault.services.core.capacity import check_disk
from videovault.services.maintenance.backup import files
from videovault.services.maintenance.backup.catalogue import Catalogue, Entry
from videovault.services.maintenance.backup.files import Damaged
from videovault.services.transfer import standalone
from videovault.services.transfer.engine import Patience, StoredPart, with_storage
from videovault.services.transfer.engine.types import PART_BYTES, Plan

AT_ONCE = 3  # objects, each with one part in memory
BATCH = 16


@dataclass
class Returned:
    """Objects that were put, the sum of their sizes, and those that the bucket had already."""

    put: int = 0
    bytes: int = 0
    present: int = 0


def check_bucket(catalogue: Catalogue, prefix: str, *, force: bool) -> None:
    """Note which objects the bucket has already.

    Raises Conflict without ``force`` when it has others than the backup, or other bytes under the same key.
    """
    strange, different = 0, 0
    for listed in storage.connected().objects(prefix):
        entry = catalogue.find(listed.key)
        if entry is None:
            strange += 1
        elif _is_same(listed, entry):
            catalogue.note_present(entry.key)
        else:
            different += 1
    if (strange or different) and not force:
        raise Conflict(
            f"The bucket is not empty: {strange:,} of its objects are not in the backup, and {different:,} are other "
            "files than there. Restore into an empty bucket, or use --force: it replaces those that differ and "
            "leaves the rest."
        )


def put_objects(folder: Path, catalogue: Catalogue) -> Returned:
    """Put what the bucket does not have. Raises Damaged, StorageError."""
    returned, stop = Returned(), Event()
    entries = catalogue.entries()
    # The embedded S3 fails now and then when two objects make the same folder at once.
    at_once = 1 if storage.connected().is_embedded else AT_ONCE
    with ThreadPoolExecutor(at_once, thread_name_prefix="restore") as pool:
        try:
            while batch := list(islice(entries, BATCH)):
                due = [each for each in batch if not catalogue.is_present(each.key)]
                returned.present += len(batch) - len(due)
                for entry in pool.map(partial(_put, folder, stop), due):
                    returned.put += 1
                    returned.bytes += entry.size
        finally:
            stop.set()
    return returned


def _is_same(listed: Listed, entry: Entry) -> bool:
    if listed.size != entry.size:
        return False
    if listed.etag.strip('"') in (entry.etag, f"{entry.crc32:08x}"):
        return True
    info = storage.connected().info(entry.key)
    if info is None or info.crc32 is not None:
        return info is not None and info.crc32 == entry.crc32
    with storage.connected().download(entry.key) as (_, pieces):
        return files.written(pieces).sha256 == entry.sha256


def _put(folder: Path, stop: Event, entry: Entry) -> Entry:
    def check() -> None:
        if stop.is_set():
            raise standalone.Stopped

    check_disk(entry.size)
    path = folder / entry.path
    if files.size_of(path) != entry.size:
        raise Damaged(f"{path}, the object {entry.key}, is missing or cut short.")
    with_storage(lambda: _sent(path, entry, check), Patience(), check)
    return entry


def _sent(path: Path, entry: Entry, check: Callable[[], None]) -> None:
    with files.opened(path) as file:
        if entry.size <= PART_BYTES:
            _send_whole(file, path, entry)
        else:
            _send_parts(file, path, entry, check)
    vault = storage.connected()
    info = vault.info(entry.key, wait_seconds=VISIBLE_SECONDS)
    if info is None or info.size != entry.size or info.crc32 not in (None, entry.crc32):
        vault.delete([entry.key])
        raise StorageError(f"S3 does not hold what was sent to it of {entry.key}.", retryable=True)


def _send_whole(file: BinaryIO, path: Path, entry: Entry) -> None:
    body = file.read(entry.size + 1)
    if files.written([body]).sha256 != entry.sha256:
        raise _damaged(path, entry)
    storage.connected().put(entry.key, body, entry.described, entry.crc32)


def _send_parts(file: BinaryIO, path: Path, entry: Entry, check: Callable[[], None]) -> None:
    """The object comes into being only once all of its bytes are known to be the right ones."""
    vault = storage.connected()
    upload_id = vault.start_upload(entry.key, entry.described)
    try:
        parts: list[StoredPart] = []

        def sent() -> Iterator[bytes]:
            plan = Plan.for_total(entry.size)
            for number in plan.numbers():
                check()
                body = file.read(plan.length(number))
                crc32 = zlib.crc32(body)
                etag = vault.upload_part(entry.key, upload_id, number, body, crc32).etag
                parts.append(StoredPart(number, len(body), etag, crc32))
                yield body

        if files.written(sent()).sha256 == entry.sha256:
            vault.complete_upload(entry.key, upload_id, parts, entry.crc32)
            return
    except BaseException:
        vault.abort_upload(entry.key, upload_id)
        raise
    vault.abort_upload(entry.key, upload_id)
    raise _damaged(path, entry)


def _damaged(path: Path, entry: Entry) -> Damaged:
    return Damaged(f"{path}, the object {entry.key}, is damaged: its checksum differs.")
