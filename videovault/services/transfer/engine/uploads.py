"""Sending full parts to S3 and remembering them, in a few threads beside the readers."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock, Thread
from typing import BinaryIO, TypeVar

from videovault.errors import StorageError
from videovault.gateways.container import CONTENT_TYPES
from videovault.gateways.source_errors import cut_short
from videovault.gateways.storage import Description, ObjectInfo, Storage, UploadLost
from videovault.gateways.store_capabilities import S3Call
from videovault.services.transfer.engine.part_buffers import PartBuffer, PartBuffers
from videovault.services.transfer.engine.retry import retry_storage_call
from videovault.services.transfer.engine.types import (
    PART_BYTES,
    MultipartUpload,
    PartLayout,
    RestartTransfer,
    RetryPolicy,
    StoredPart,
    Target,
    TransferControl,
    UploadJournal,
    crc32,
    crc32_of_parts,
)

T = TypeVar("T")
UPLOADERS = 3


class ObjectUpload:
    """One object on its way into S3. Its multipart upload begins with the first full part, unless ``begun`` has
    one; an object of one part is put as it is."""

    def __init__(
        self,
        storage: Storage,
        target: Target,
        ledger: UploadJournal,
        control: TransferControl,
        patience: RetryPolicy,
        begun: MultipartUpload,
    ) -> None:
        self._storage = storage
        self._key = target.key
        self._described = Description(
            content_type=CONTENT_TYPES[begun.container],
            disposition=target.disposition(begun.container),
            metadata=target.metadata,
        )
        self._ledger = ledger
        self._control = control
        self._patience = patience
        self._lock = Lock()
        self._begun = begun
        self._parts = list(begun.parts)
        # Of a store that takes no checksums, whose ETags do not prove the parts either.
        self._is_unproven = bool(begun.parts) and not storage.proved(S3Call.PART, b"", "")

    @contextmanager
    def running(self, board: PartBuffers) -> Iterator[None]:
        """Send what is full while the block reads on; at its end everything is in S3, or the block failed."""
        threads = [
            Thread(target=self._send_all, args=(board,), name="uploader", daemon=True)
            for _ in range(UPLOADERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        except BaseException as error:
            board.fail(error)
            raise
        finally:
            for thread in threads:
                thread.join()
        board.raise_failure()

    def finish(self) -> ObjectInfo:
        """Make the object of its parts and prove it; what S3 says of it.

        Raises Afresh when S3 has lost the upload, or when bytes are missing; StorageError when it holds something
        else than was sent: that is deleted then.
        """
        self._control.check()
        if self._begun.source.total not in (None, self.size):
            self._patiently(
                lambda: self._storage.delete([self._key])
            )  # it was put as it was, if it was small
            raise RestartTransfer(cut_short(), ranges=False)
        if self._begun.upload_id:
            self._patiently(self._complete)
        found = self._found()
        if found is not None and self._lacks_metadata(found):
            self._patiently(self._storage.learn_if_due)  # a store that keeps none is known for it from now on
        if found is not None and found.crc32 is None and self._is_unproven:
            read_back = self._patiently(lambda: self._storage.read_crc32(self._key))
            found = replace(found, crc32=read_back)
        if found is None or not self._matches(found):
            self._patiently(lambda: self._storage.delete([self._key]))
            raise StorageError("S3 does not hold what was sent to it, so the object was deleted.")
        return found

    @property
    def size(self) -> int:
        return sum(part.size for part in self._parts)

    @property
    def crc32(self) -> int:
        return crc32_of_parts(self._parts)

    def _send_all(self, board: PartBuffers) -> None:
        try:
            while part := board.take_full():
                self._send(part, alone=board.is_alone(part))
                board.stored(part)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the reading thread raises it
            board.fail(error)

    def _send(self, part: PartBuffer, *, alone: bool) -> None:
        body, crc32 = part.body, part.crc32
        if alone and not self._begun.upload_id:
            etag = self._patiently(
                lambda: self._storage.put(self._key, body, described=self._described, crc32=crc32)
            )
            self._is_unproven |= not self._storage.proved(S3Call.PUT, body, etag)
            self._parts.append(StoredPart(part.number, len(body), etag, crc32))
            return
        etag = self._patiently(lambda: self._upload(part.number, body, crc32))
        stored = StoredPart(part.number, len(body), etag, crc32)
        self._ledger.add(stored)
        is_proven = self._storage.proved(S3Call.PART, body, etag)
        with self._lock:
            self._is_unproven |= not is_proven
            self._parts.append(stored)

    def _upload(self, number: int, body: bytearray, crc32: int) -> str:
        self._control.check()
        try:
            return self._storage.upload_part(self._key, self._upload_id(), number, body, crc32).etag
        except UploadLost as error:
            raise RestartTransfer(error) from error

    def _upload_id(self) -> str:
        with self._lock:
            if not self._begun.upload_id:
                upload_id = self._storage.start_upload(self._key, self._described)
                self._begun = replace(self._begun, upload_id=upload_id)
                try:
                    self._ledger.begin(self._begun)
                except BaseException:
                    self._storage.abort_upload(self._key, upload_id)
                    raise
            return self._begun.upload_id

    def _complete(self) -> None:
        parts = sorted(self._parts, key=lambda part: part.number)
        try:
            self._storage.complete_upload(self._key, self._begun.upload_id, parts, self.crc32)
        except UploadLost as error:
            # The answer to an earlier try may have got lost, and the store may show late what it made then.
            found = self._found() if error.may_be_complete else self._storage.info(self._key)
            if found is None or not self._matches(found):
                raise RestartTransfer(error) from error

    def _found(self) -> ObjectInfo | None:
        seconds = self._patience.visible_seconds
        return self._patiently(lambda: self._storage.info(self._key, wait_seconds=seconds))

    def _lacks_metadata(self, found: ObjectInfo) -> bool:
        ours = self._described.metadata.keys()
        return bool(ours) and self._storage.keeps_metadata and not ours & found.metadata.keys()

    def _matches(self, found: ObjectInfo) -> bool:
        """Stores add metadata of their own, so only ours counts."""
        same_tag = (
            not self._storage.keeps_metadata or self._described.metadata.items() <= found.metadata.items()
        )
        return found.size == self.size and found.crc32 in (None, self.crc32) and same_tag

    def _patiently(self, call: Callable[[], T]) -> T:
        return retry_storage_call(call, self._patience, self._control.check)


# A ledger in a file, for transfers that belong to no video: those of the command line and of the benchmarks.


class FileUploadJournal:
    """A line of JSON for the upload and one for each part, in a file that is there as long as it is unfinished."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._known = False

    def load(self) -> MultipartUpload | None:
        """What the file tells; a damaged one is as good as none."""
        begun = None
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            text = self._path.read_text()
            first, *others = text.splitlines()
            kept = json.loads(first)
            begun = MultipartUpload.from_dict(kept["upload_id"], kept, tuple(_parts(others)))
            if not text.endswith("\n"):
                self.begin(begun)  # else the next part would be written behind a line that was cut off
        self._known = begun is not None
        return begun

    def begin(self, begun: MultipartUpload) -> None:
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
class UploadedFile:
    """An object as S3 holds it; ``size`` in bytes."""

    size: int
    etag: str
    crc32: int


def upload_file(
    vault: Storage,
    key: str,
    file: BinaryIO,
    size: int,
    described: Description,
    check: Callable[[], object],
    patience: RetryPolicy | None = None,
) -> UploadedFile:
    """Put the first ``size`` bytes of ``file``. Whatever ends it, ``check`` included, leaves no unfinished upload.

    Raises StorageError.
    """
    patience = patience or RetryPolicy()
    file.seek(0)
    if size <= PART_BYTES:
        body = file.read(size)
        whole = crc32(body)
        retry_storage_call(lambda: vault.put(key, body, described, whole), patience, check)
    else:
        whole = _in_parts(vault, key, file, size, described, check, patience)
    seconds = patience.visible_seconds
    found = retry_storage_call(lambda: vault.info(key, wait_seconds=seconds), patience, check)
    if found is not None and described.metadata and not described.metadata.keys() & found.metadata.keys():
        retry_storage_call(
            vault.learn_if_due, patience, check
        )  # a store that keeps none is known for it from now on
    if found is None or found.size != size or found.crc32 not in (None, whole):
        retry_storage_call(lambda: vault.delete([key]), patience, check)
        raise StorageError("S3 does not hold what was sent to it, so the object was deleted.")
    return UploadedFile(size, found.etag, whole)


def _in_parts(
    vault: Storage,
    key: str,
    file: BinaryIO,
    size: int,
    described: Description,
    check: Callable[[], object],
    patience: RetryPolicy,
) -> int:
    """The CRC-32 of the whole."""
    upload_id = retry_storage_call(lambda: vault.start_upload(key, described), patience, check)
    try:
        parts: list[StoredPart] = []
        plan = PartLayout.for_total(size)
        for number in plan.numbers():
            check()
            parts.append(
                _part(vault, key, upload_id, number, file.read(plan.length(number)), patience, check)
            )
        whole = crc32_of_parts(parts)
        retry_storage_call(lambda: vault.complete_upload(key, upload_id, parts, whole), patience, check)
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
    patience: RetryPolicy,
    check: Callable[[], object],
) -> StoredPart:
    summed = crc32(body)
    sent = retry_storage_call(
        lambda: vault.upload_part(key, upload_id, number, body, summed), patience, check
    )
    return StoredPart(number, len(body), sent.etag, summed)
