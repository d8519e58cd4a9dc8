"""One transfer from its first request to the verified object: resumed where possible, otherwise started again."""

from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from videovault import logs
from videovault.errors import SourceError, StorageError, VideoVaultError, is_transient
from videovault.gateways.s3_client import interruptible_sleep
from videovault.gateways.source import Source
from videovault.gateways.storage import Storage, UploadLost
from videovault.services.transfer.engine.part_buffers import PartBuffers, set_malloc_threshold
from videovault.services.transfer.engine.range_reader import read_source
from videovault.services.transfer.engine.reader_pool import (
    MULTI_READER_WINDOW,
    SINGLE_READER_WINDOW,
    Progress,
    ReaderPool,
)
from videovault.services.transfer.engine.retry import SourceRetries, backoff, retry_storage_call
from videovault.services.transfer.engine.source_session import RangeStream, SourceSession
from videovault.services.transfer.engine.types import (
    MultipartUpload,
    PartLayout,
    RestartTransfer,
    RetryPolicy,
    SourceFingerprint,
    StoredObject,
    Target,
    TransferControl,
    UploadJournal,
)
from videovault.services.transfer.engine.uploads import ObjectUpload

T = TypeVar("T")
log = logs.get(__name__)


@dataclass(frozen=True)
class Transfer:
    """From ``url`` into ``storage``. ``part_bytes`` is for tests; S3's minimum is 5 MiB."""

    source: Source
    storage: Storage
    url: str
    target: Target
    journal: UploadJournal
    control: TransferControl
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    part_bytes: int | None = None

    def run(self) -> StoredObject:
        """Copy the source's bytes into S3 and verify the object.

        Raises SourceError and its kinds, UnsafeUrl or StorageError. Then no object and no unfinished upload is left,
        unless the error is ``retryable``: its upload is kept for resuming, as it is when ``control`` raises anything
        but our own errors. The caller clears the journal once the outcome is recorded: after a crash before that,
        the next run finds everything in it.
        """
        set_malloc_threshold()
        try:
            return self._run_with_restarts(self._resumable_upload())
        except VideoVaultError as error:
            if not is_transient(error):
                self._discard_if_possible()
            raise

    def discard(self) -> None:
        """Abort the upload in the journal and clear it."""
        upload = self.journal.load()
        if upload:
            self.storage.abort_upload(self.target.key, upload.upload_id)
            self.journal.clear()

    def _discard_if_possible(self) -> None:
        with suppress(StorageError):  # the upload stays in the journal for a later attempt
            self.discard()

    def _resumable_upload(self) -> MultipartUpload | None:
        """The upload to resume, with the parts that S3 confirms."""
        upload = self.journal.load()
        if upload is None:
            return None
        try:
            listed = self._retry(lambda: self.storage.parts(self.target.key, upload.upload_id))
        except UploadLost:
            if sum(part.size for part in upload.parts) == upload.source.total:
                return upload  # it may have been completed just before a crash; ``finish`` finds out
            self.journal.clear()
            return None
        if upload.source.resumable:
            return upload if listed is None else upload.with_confirmed_parts(listed)
        self.discard()
        return None

    def _run_with_restarts(self, upload: MultipartUpload | None) -> StoredObject:
        use_ranges = True
        for start in count(1):
            try:
                return self._run_once(upload, use_ranges=use_ranges)
            except RestartTransfer as restart:
                if start >= self.retry_policy.max_starts:
                    self._discard_if_possible()
                    raise restart.cause from restart
                log.info("transfer starts again", reason=restart.cause.public_message)
                upload, use_ranges = None, use_ranges and restart.ranges
                self._retry(self.discard)
                if start > 1:
                    interruptible_sleep(backoff(self.retry_policy, start), self.control.check)
        raise AssertionError("unreachable")

    def _run_once(self, upload: MultipartUpload | None, *, use_ranges: bool) -> StoredObject:
        session = SourceSession(self.source, self.url, upload.source if upload else None)
        with ExitStack() as stack:
            stream = None
            if upload is None:
                stream = stack.enter_context(closing(self._open_first(session)))
                upload = self._new_upload(stream, far=session.is_far)
            stored = {part.number for part in upload.parts}
            layout = PartLayout(upload.source.total, upload.part_bytes)
            self.control.begin(layout.total)
            missing = (number for number in layout.numbers() if number not in stored)
            buffers = PartBuffers(layout, missing, SINGLE_READER_WINDOW, self._max_window(layout))
            stack.callback(buffers.close)
            before = sum(part.size for part in upload.parts)
            progress = Progress(self.control, layout.total, before)
            object_upload = ObjectUpload(
                self.storage, self.target, self.journal, self.control, self.retry_policy, upload
            )
            with object_upload.running(buffers):
                pool = ReaderPool(session, buffers, progress, self.retry_policy, use_ranges=use_ranges)
                read_source(pool, stream)
        found = object_upload.finish()
        return StoredObject(
            object_upload.size,
            object_upload.crc32,
            found.etag,
            upload.container,
            progress.fetched,
            session.name,
        )

    def _max_window(self, layout: PartLayout) -> int:
        """Parts that S3 lets a part precede an earlier one: rclone, the embedded S3, holds 64 MiB of them."""
        lead = self.storage.max_lead_bytes
        return max(2, lead // layout.part_bytes) if lead else MULTI_READER_WINDOW

    def _open_first(self, session: SourceSession) -> RangeStream:
        retries = SourceRetries(self.retry_policy, self.control.check)
        while True:
            try:
                return session.open(0, None, self.control.check)
            except SourceError as error:
                retries.wait(error)

    def _new_upload(self, stream: RangeStream, *, far: bool) -> MultipartUpload:
        info = stream.info
        part_bytes = self.part_bytes or PartLayout.for_total(info.total, far=far).part_bytes
        return MultipartUpload("", SourceFingerprint.of(info), part_bytes, info.container or "mp4")

    def _retry(self, call: Callable[[], T]) -> T:
        return retry_storage_call(call, self.retry_policy, self.control.check)
