"""Uploads to S3: full parts as the readers fill them, or a local file. Each object is verified afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock, Thread
from typing import BinaryIO, TypeVar

from videovault import logs
from videovault.errors import StorageError
from videovault.gateways.container import CONTENT_TYPES
from videovault.gateways.source_errors import cut_short
from videovault.gateways.storage import Description, ObjectInfo, Storage, UploadLost
from videovault.gateways.store_capabilities import S3Call
from videovault.services.transfer.engine.part_buffers import PartBuffer, PartBuffers
from videovault.services.transfer.engine.retry import Check, retry_storage_call
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
log = logs.get(__name__)
UPLOADERS = 3
MISMATCH = "S3 does not hold what was sent to it, so the object was deleted."


class ObjectUpload:
    """One object on its way to S3. Its multipart upload starts with the first full part, unless ``upload`` has an id.

    An object of one part is sent by a single PUT.
    """

    def __init__(
        self,
        storage: Storage,
        target: Target,
        journal: UploadJournal,
        control: TransferControl,
        retry_policy: RetryPolicy,
        upload: MultipartUpload,
    ) -> None:
        self._storage = storage
        self._key = target.key
        self._description = Description(
            content_type=CONTENT_TYPES[upload.container],
            disposition=target.disposition(upload.container),
            metadata=target.metadata,
        )
        self._journal = journal
        self._control = control
        self._retry_policy = retry_policy
        self._lock = Lock()
        self._upload = upload
        self._parts = list(upload.parts)
        # True for a store that takes no checksums and whose ETags do not prove the parts either.
        self._is_unproven = bool(upload.parts) and not storage.proved(S3Call.PART, b"", "")

    @contextmanager
    def running(self, buffers: PartBuffers) -> Iterator[None]:
        """Upload full parts while the block reads; at its end everything is in S3, or the block has failed."""
        send_all = logs.in_this_context(partial(self._send_all, buffers))
        threads = [Thread(target=send_all, name="uploader", daemon=True) for _ in range(UPLOADERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        except BaseException as error:
            buffers.fail(error)
            raise
        finally:
            for thread in threads:
                thread.join()
        buffers.raise_failure()

    def finish(self) -> ObjectInfo:
        """Complete the object, verify it and return what S3 reports of it.

        Raises RestartTransfer when S3 has lost the upload, or when bytes are missing; StorageError, with the object
        deleted, when S3 holds something else than was sent.
        """
        self._control.check()
        if self._upload.source.total not in (None, self.size):
            self._retry(lambda: self._storage.delete([self._key]))  # a small one has been PUT already
            raise RestartTransfer(cut_short(), ranges=False)
        if self._upload.upload_id:
            self._retry(self._complete)
        found = self._info()
        if found is not None and self._lacks_metadata(found):
            self._retry(self._storage.probe_if_due)  # so that this store is known to keep no metadata
        if found is not None and found.crc32 is None and self._is_unproven:
            read_back = self._retry(lambda: self._storage.read_crc32(self._key))
            found = replace(found, crc32=read_back)
        if found is None or not self._matches(found):
            self._retry(lambda: self._storage.delete([self._key]))
            raise StorageError(MISMATCH)
        return found

    @property
    def size(self) -> int:
        return sum(part.size for part in self._parts)

    @property
    def crc32(self) -> int:
        return crc32_of_parts(self._parts)

    def _send_all(self, buffers: PartBuffers) -> None:
        try:
            while part := buffers.take_full():
                self._send(part, is_only_part=buffers.is_only_part(part))
                buffers.mark_stored(part)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the reading thread raises it
            buffers.fail(error)

    def _send(self, part: PartBuffer, *, is_only_part: bool) -> None:
        body, crc32 = part.body, part.crc32
        if is_only_part and not self._upload.upload_id:
            etag = self._retry(
                lambda: self._storage.put(self._key, body, described=self._description, crc32=crc32)
            )
            log.debug("object sent to S3", bytes=len(body))
            self._is_unproven |= not self._storage.proved(S3Call.PUT, body, etag)
            self._parts.append(StoredPart(part.number, len(body), etag, crc32))
            return
        etag = self._retry(lambda: self._upload_part(part.number, body, crc32))
        log.debug("part sent to S3", part=part.number, bytes=len(body))
        stored = StoredPart(part.number, len(body), etag, crc32)
        self._journal.add(stored)
        is_proven = self._storage.proved(S3Call.PART, body, etag)
        with self._lock:
            self._is_unproven |= not is_proven
            self._parts.append(stored)

    def _upload_part(self, number: int, body: bytearray, crc32: int) -> str:
        self._control.check()
        try:
            return self._storage.upload_part(self._key, self._upload_id(), number, body, crc32).etag
        except UploadLost as error:
            raise RestartTransfer(error) from error

    def _upload_id(self) -> str:
        with self._lock:
            if not self._upload.upload_id:
                upload_id = self._storage.start_upload(self._key, self._description)
                self._upload = replace(self._upload, upload_id=upload_id)
                try:
                    self._journal.begin(self._upload)
                except BaseException:
                    self._storage.abort_upload(self._key, upload_id)
                    raise
            return self._upload.upload_id

    def _complete(self) -> None:
        parts = sorted(self._parts, key=lambda part: part.number)
        try:
            self._storage.complete_upload(self._key, self._upload.upload_id, parts, self.crc32)
        except UploadLost as error:
            # The response to an earlier attempt may have been lost, and the store may show its result late.
            found = self._info() if error.may_be_complete else self._storage.info(self._key)
            if found is None or not self._matches(found):
                raise RestartTransfer(error) from error

    def _info(self) -> ObjectInfo | None:
        seconds = self._retry_policy.visible_seconds
        return self._retry(lambda: self._storage.info(self._key, wait_seconds=seconds))

    def _lacks_metadata(self, found: ObjectInfo) -> bool:
        ours = self._description.metadata.keys()
        return bool(ours) and self._storage.keeps_metadata and not ours & found.metadata.keys()

    def _matches(self, found: ObjectInfo) -> bool:
        """Stores add metadata of their own, so only ours is compared."""
        metadata = self._description.metadata.items()
        same_tag = not self._storage.keeps_metadata or metadata <= found.metadata.items()
        return found.size == self.size and found.crc32 in (None, self.crc32) and same_tag

    def _retry(self, call: Callable[[], T]) -> T:
        return retry_storage_call(call, self._retry_policy, self._control.check)


@dataclass(frozen=True)
class UploadedFile:
    """An object as S3 holds it; ``size`` in bytes."""

    size: int
    etag: str
    crc32: int


@dataclass(frozen=True)
class FileUpload:
    """The first ``size`` bytes of ``file`` as an object, one part in memory at a time."""

    storage: Storage
    key: str
    file: BinaryIO
    size: int
    description: Description
    check: Check
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)

    def run(self) -> UploadedFile:
        """Raises StorageError, and what ``check`` raises; leaves no unfinished upload in either case."""
        self.file.seek(0)
        whole = self._put() if self.size <= PART_BYTES else self._put_in_parts()
        seconds = self.retry_policy.visible_seconds
        found = self._retry(lambda: self.storage.info(self.key, wait_seconds=seconds))
        ours = self.description.metadata.keys()
        if found is not None and ours and not ours & found.metadata.keys():
            self._retry(self.storage.probe_if_due)  # so that this store is known to keep no metadata
        if found is None or found.size != self.size or found.crc32 not in (None, whole):
            self._retry(lambda: self.storage.delete([self.key]))
            raise StorageError(MISMATCH, retryable=True)
        return UploadedFile(self.size, found.etag, whole)

    def _put(self) -> int:
        body = self.file.read(self.size)
        whole = crc32(body)
        self._retry(lambda: self.storage.put(self.key, body, self.description, whole))
        log.debug("object sent to S3", bytes=len(body))
        return whole

    def _put_in_parts(self) -> int:
        upload_id = self._retry(lambda: self.storage.start_upload(self.key, self.description))
        try:
            layout = PartLayout.for_total(self.size)
            parts = [self._put_part(upload_id, number, layout.length(number)) for number in layout.numbers()]
            whole = crc32_of_parts(parts)
            self._retry(lambda: self.storage.complete_upload(self.key, upload_id, parts, whole))
        except BaseException:
            self.storage.abort_upload(self.key, upload_id)
            raise
        return whole

    def _put_part(self, upload_id: str, number: int, length: int) -> StoredPart:
        self.check()
        body = self.file.read(length)
        part_crc32 = crc32(body)
        sent = self._retry(lambda: self.storage.upload_part(self.key, upload_id, number, body, part_crc32))
        log.debug("part sent to S3", part=number, bytes=len(body))
        return StoredPart(number, len(body), sent.etag, part_crc32)

    def _retry(self, call: Callable[[], T]) -> T:
        return retry_storage_call(call, self.retry_policy, self.check)
