"""How many readers a transfer uses: one while that is fast, up to eight where several are faster.

Many sources limit each connection, and far ones need several to fill the line. Readers are added while that raises the
throughput. At the first sign that the source refuses more connections, all but one stop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from videovault import logs
from videovault.errors import SourceError
from videovault.services.transfer.engine.concurrency import (
    MULTI_READER_WINDOW,
    READER_COUNTS,
    SINGLE_READER_WINDOW,
    ConcurrencyController,
)
from videovault.services.transfer.engine.part_buffers import PartBuffers
from videovault.services.transfer.engine.source_session import SourceSession
from videovault.services.transfer.engine.types import RetryPolicy, TransferControl

log = logs.get(__name__)


@dataclass
class Progress:
    """Bytes fetched by all readers; reported to the control together with those that S3 had before."""

    control: TransferControl
    total: int | None
    before: int
    fetched: int = 0

    def add(self, count: int) -> None:
        self.fetched += count
        self.control.progress(self.before + self.fetched, self.total)


class ReaderPool:
    """What the readers of one transfer share. The first reader runs in the caller's thread."""

    def __init__(
        self,
        session: SourceSession,
        buffers: PartBuffers,
        progress: Progress,
        retry_policy: RetryPolicy,
        *,
        use_ranges: bool,
    ) -> None:
        """``use_ranges`` False: the source's ranges are unreliable, so one connection reads it."""
        self.session = session
        self.buffers = buffers
        self.retry_policy = retry_policy
        self._progress = progress
        self._lock = Lock()
        self._controller = ConcurrencyController()
        if not use_ranges:
            self._controller.settle(1)
        self._start_reader: Callable[[], None] = lambda: None
        self._running = 1

    def start(self, start_reader: Callable[[], None], position: int) -> None:
        """``start_reader`` starts one more reader; ``position`` is where the first one starts."""
        self._start_reader = start_reader
        if self.session.is_far:
            self.buffers.set_window(MULTI_READER_WINDOW)  # more is on its way to S3 as well
            self._controller.start_with_several()
            self.received(0, position)

    def heartbeat(self) -> None:
        self._progress.control.check()
        self.buffers.raise_failure()

    def received(self, count: int, position: int) -> None:
        """Report the bytes and adjust the number of readers."""
        with self._lock:
            self._progress.add(count)
            wanted = self._controller.readers_wanted(
                count, waited=self.buffers.reader_waited, latency=self.session.latency
            )
            self.buffers.reader_waited = False
            if wanted > self._running and self._ranges_are_proven():
                self._add(wanted, position)

    def should_leave(self, *, is_first: bool) -> bool:
        """Whether the calling reader is one too many; the first one never is."""
        with self._lock:
            if is_first or self._running <= self._controller.wanted:
                return False
            self._reader_left()
            return True

    def drop_slow_reader(self) -> None:
        """Another reader had to take over from a slow one: use fewer."""
        with self._lock:
            log.debug("a connection to the source is too slow beside the others")
            self._controller.settle(min(self._controller.wanted, max(1, self._running - 1)))

    def has_one_reader(self) -> bool:
        return self._running <= 1

    def pipelines(self) -> bool:
        """Whether readers request their next subrange before the current response has ended."""
        return 1 < self._running <= self._controller.wanted and self.session.is_slow_to_answer

    def reader_refused(self, reason: SourceError) -> None:
        """The source refused one of the added readers: return to a single one."""
        with self._lock:
            log.info("back to one connection to the source", reason=reason.public_message)
            self._controller.settle(1)
            self._reader_left()

    def wait_until_needed(self) -> bool:
        """For the first reader, whose stream has reached what others read: whether it is needed again."""
        with self._lock:
            self._running -= 1
        needed = self.buffers.wait_for_others(self.heartbeat, lambda: self._running == 0)
        with self._lock:
            self._running += needed
        return needed

    def _reader_left(self) -> None:
        self._running -= 1
        if self._running <= 1:
            self.buffers.set_window(SINGLE_READER_WINDOW)

    def _ranges_are_proven(self) -> bool:
        """As far as that is known before the first range request; a reader that receives something else stops."""
        source = self.session.fingerprint
        return bool(self.session.accepts_ranges and source and source.total is not None and source.validator)

    def _bytes_until_started(self) -> int:
        """Bytes that the first stream brings until new connections have reached their speed."""
        most = self.buffers.max_reserved
        if self.session.is_far:
            return most
        return min(most, int(self._controller.previous_rate * self._controller.start_seconds))

    def _add(self, wanted: int, position: int) -> None:
        count = wanted - self._running
        if self._running == 1:
            # The first stream continues until the others have reached their speed, and ends there.
            self.buffers.reserve(position + self._bytes_until_started())
            count += 1
        count = min(count, READER_COUNTS[-1] - self._running)
        self.buffers.set_window(MULTI_READER_WINDOW)
        self._running += count
        for _ in range(count):
            self._start_reader()
