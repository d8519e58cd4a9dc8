"""A ledger in a file, for transfers that belong to no video: those of the command line and of the benchmarks."""

import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from videovault.errors import StorageError
from videovault.gateways.storage import Description, Storage
from videovault.services.transfer.engine.retry import with_storage
from videovault.services.transfer.engine.types import (
    PART_BYTES,
    Begun,
    Patience,
    Plan,
    StoredPart,
    crc32,
    whole_crc32,
)


class FileLedger:
    """A line of JSON for the upload and one for each part, in a file that is there as long as it is unfinished."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._known = False

    def load(self) -> Begun | None:
        """What the file tells; a damaged one is as good as none."""
        begun = None
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            text = self._path.read_text()
            first, *others = text.splitlines()
            kept = json.loads(first)
            begun = Begun.from_facts(kept["upload_id"], kept, tuple(_parts(others)))
            if not text.endswith("\n"):
                self.begin(begun)  # else the next part would be written behind a line that was cut off
        self._known = begun is not None
        return begun

    def begin(self, begun: Begun) -> None:
        lines = [{"upload_id": begun.upload_id, **begun.facts()}, *(asdict(part) for part in begun.parts)]
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._path.with_suffix(f".{os.getpid()}")
            fresh.write_text("".join(json.dumps(line) + "\n" for line in lines))
            fresh.replace(self._path)
            self._known = True

    def add(self, part: StoredPart) -> None:
        with self._lock:
            if self._known:
                with self._path.open("a") as file:
                    file.write(json.dumps(vars(part)) + "\n")

    def clear(self) -> None:
        with self._lock:
            self._known = False
            self._path.unlink(missing_ok=True)


def _parts(lines: Iterable[str]) -> Iterable[StoredPart]:
    """All up to a line that a crash cut off."""
    with suppress(ValueError, TypeError):
        for line in lines:
            yield StoredPart(**json.loads(line))


# A file on this machine into S3: in parts, one in memory at a time, and proven.


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
