"""One transfer from its first request to its proof: resumed where that is possible, begun afresh where not."""

from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from videovault import logs
from videovault.errors import SourceError, StorageError, VideoVaultError, is_transient
from videovault.gateways.s3_retry import interruptible_sleep
from videovault.gateways.source import Source
from videovault.gateways.storage import Storage, UploadLost
from videovault.services.transfer.engine.concurrency import MULTI_READER_WINDOW, SINGLE_READER_WINDOW
from videovault.services.transfer.engine.part_buffers import PartBuffers, set_malloc_threshold
from videovault.services.transfer.engine.reader_pool import Progress, ReaderPool
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
    """From ``url`` into ``storage``. ``part_bytes`` is for tests: S3 takes parts of 5 MiB and more."""

    source: Source
    storage: Storage
    url: str
    target: Target
    ledger: UploadJournal
    control: TransferControl
    patience: RetryPolicy = field(default_factory=RetryPolicy)
    part_bytes: int | None = None

    def run(self) -> StoredObject:
        """Bring the source's bytes into S3 and prove it.

        Raises SourceError and its kinds, UnsafeUrl or StorageError when that cannot be done. Then no object and
        no unfinished upload is left, unless the error is ``retryable``: its upload is kept for resuming, as it is
        when ``control`` raises anything but our own errors. The
        ledger is for the caller to clear once the outcome is written down: a crash before finds all in it.
        """
        set_malloc_threshold()
        try:
            return self._with_new_beginnings(self._known())
        except VideoVaultError as error:
            if not is_transient(error):
                self._discard_if_possible()
            raise

    def discard(self) -> None:
        """Abort the upload that the ledger knows, and forget it."""
        begun = self.ledger.load()
        if begun:
            self.storage.abort_upload(self.target.key, begun.upload_id)
            self.ledger.clear()

    def _discard_if_possible(self) -> None:
        with suppress(StorageError):  # what is left is still in the ledger, for another time
            self.discard()

    def _known(self) -> MultipartUpload | None:
        """The upload to be resumed, with the parts that S3 confirms."""
        begun = self.ledger.load()
        if begun is None:
            return None
        try:
            listed = self._patiently(lambda: self.storage.parts(self.target.key, begun.upload_id))
        except UploadLost:
            if sum(part.size for part in begun.parts) == begun.source.total:
                return begun  # it may have been completed just before a crash, which finishing finds out
            self.ledger.clear()
            return None
        if begun.source.resumable:
            return begun if listed is None else begun.keeping(listed)
        self.discard()
        return None

    def _with_new_beginnings(self, begun: MultipartUpload | None) -> StoredObject:
        ranges = True
        for attempt in count(1):
            try:
                return self._attempt(begun, ranges=ranges)
            except RestartTransfer as again:
                if attempt >= self.patience.afresh:
                    self._discard_if_possible()
                    raise again.cause from again
                log.info("transfer begins afresh", reason=again.cause.public_message)
                begun, ranges = None, ranges and again.ranges
                self._patiently(self.discard)
                if attempt > 1:
                    interruptible_sleep(backoff(self.patience, attempt), self.control.check)
        raise AssertionError("unreachable")

    def _attempt(self, begun: MultipartUpload | None, *, ranges: bool) -> StoredObject:
        origin = SourceSession(self.source, self.url, begun.source if begun else None)
        with ExitStack() as stack:
            reading = None
            if begun is None:
                reading = stack.enter_context(closing(self._first(origin)))
                begun = self._beginning(reading, far=origin.is_far)
            have = {part.number for part in begun.parts}
            plan = PartLayout(begun.source.total, begun.part_bytes)
            self.control.begin(plan.total)
            missing = (number for number in plan.numbers() if number not in have)
            ahead = self.storage.max_lead_bytes
            widest = max(2, ahead // plan.part_bytes) if ahead else MULTI_READER_WINDOW
            board = PartBuffers(plan, missing, SINGLE_READER_WINDOW, widest)
            stack.callback(board.close)
            before = sum(part.size for part in begun.parts)
            progress = Progress(self.control, plan.total, before)
            uploads = ObjectUpload(self.storage, self.target, self.ledger, self.control, self.patience, begun)
            with uploads.running(board):
                ReaderPool(origin, board, progress, self.patience, many=ranges).run(reading)
        found = uploads.finish()
        return StoredObject(
            uploads.size, uploads.crc32, found.etag, begun.container, progress.fetched, origin.name
        )

    def _first(self, origin: SourceSession) -> RangeStream:
        retries = SourceRetries(self.patience, self.control.check)
        while True:
            try:
                return origin.open(0, None, self.control.check)
            except SourceError as error:
                retries.wait(error)

    def _beginning(self, reading: RangeStream, *, far: bool) -> MultipartUpload:
        info = reading.info
        part_bytes = self.part_bytes or PartLayout.for_total(info.total, far=far).part_bytes
        return MultipartUpload("", SourceFingerprint.of(info), part_bytes, info.container or "mp4")

    def _patiently(self, call: Callable[[], T]) -> T:
        return retry_storage_call(call, self.patience, self.control.check)
