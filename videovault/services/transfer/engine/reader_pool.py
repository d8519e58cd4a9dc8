"""How many connections to read a source with, decided from the throughput that each number of them reached."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from videovault import logs, metrics
from videovault.errors import SourceError
from videovault.services.transfer.engine.part_buffers import PartBuffers
from videovault.services.transfer.engine.source_session import HIGH_LATENCY_SECONDS, SourceSession
from videovault.services.transfer.engine.types import RetryPolicy, TransferControl

SINGLE_READER_WINDOW = 3  # parts in memory: one being read, two on their way to S3
MULTI_READER_WINDOW = 8
FAST_BYTES_PER_SECOND = 150_000_000  # of the whole process: beyond it the connections are not the bottleneck
FAST_FAR_BYTES_PER_SECOND = 80_000_000  # more connections over a long, full line only compete with each other
SAMPLE_SECONDS = 0.12
EARLY_SAMPLE_SECONDS = 0.05  # for a case that is clear already
SLOW_BYTES_PER_SECOND = FAST_BYTES_PER_SECOND / 3
READER_COUNTS = (1, 3, 8)
# The gain over the previous step that a step needs to be kept, and that it needs for the next one to be tried.
MIN_GAIN_TO_KEEP = {3: 1.2, 8: 1.1}
MIN_GAIN_TO_CONTINUE = 2.4
# Before a step counts as useless or, for a far source, is judged at all: connections need time to reach their speed.
MAX_SAMPLES = 5


class Meter:
    """Counts the bytes that all transfers of this process have read."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._bytes = 0

    def add(self, count: int) -> int:
        with self._lock:
            self._bytes += count
            return self._bytes


_meter = Meter()


class ConcurrencyController:
    """Used by one thread at a time."""

    def __init__(self, meter: Meter = _meter) -> None:
        self.wanted = 1
        self._meter = meter
        self._settled = False
        self._latency = 0.0
        self._samples = 0
        self._best = 0.0  # bytes per second in any sample of this step
        self._step_started_at = time.monotonic()  # when the connections of this step were requested
        self.previous_rate = 0.0  # bytes per second with the previous step
        self._start_sample(time.monotonic(), meter.add(0))

    def readers_wanted(self, count: int, *, waited: bool, latency: float) -> int:
        """The number of readers to use now that ``count`` more bytes have arrived.

        ``waited``: the readers waited for S3; ``latency``: seconds until the source answers a request.
        """
        self._latency = latency
        self._bytes += count
        process_bytes = self._meter.add(count)
        now = time.monotonic()
        starting = now < self._step_started_at + self.start_seconds
        if starting or waited:  # while S3 is the bottleneck, the rate says nothing about the source
            self._start_sample(now, process_bytes)
        elif not self._settled and self._is_sampled(now - self._since):
            seconds = now - self._since
            self._decide(self._bytes / seconds, (process_bytes - self._process_bytes) / seconds)
            self._start_sample(now, process_bytes)
        return self.wanted

    def start_with_several(self) -> None:
        """For a far source: one connection is slow to start and seldom fills the line."""
        if not self._settled:
            self.wanted = READER_COUNTS[1]

    def settle(self, readers: int) -> None:
        """Keep this number."""
        self.wanted, self._settled = readers, True

    @property
    def start_seconds(self) -> float:
        """How long new connections take to reach their speed: connecting, the request, and TCP's slow start."""
        return 5 * self._latency

    def _is_sampled(self, seconds: float) -> bool:
        if seconds >= max(SAMPLE_SECONDS, 2 * self._latency):
            return True
        if seconds < EARLY_SAMPLE_SECONDS or self._is_far or self.wanted == READER_COUNTS[-1]:
            return False
        rate = self._bytes / seconds
        return self.previous_rate * MIN_GAIN_TO_CONTINUE <= rate < self.wanted * SLOW_BYTES_PER_SECOND

    @property
    def _is_far(self) -> bool:
        return self._latency >= HIGH_LATENCY_SECONDS

    def _decide(self, rate: float, process_rate: float) -> None:
        far = self._is_far
        self._samples += 1
        self._best = rate = max(rate, self._best)
        has_all_samples = self._samples >= MAX_SAMPLES
        step = READER_COUNTS.index(self.wanted)
        if self.wanted > 1 and rate < self.previous_rate * MIN_GAIN_TO_KEEP[self.wanted]:
            if has_all_samples:
                self.settle(READER_COUNTS[step - 1])
        elif (far or rate < self.previous_rate * MIN_GAIN_TO_CONTINUE) and not has_all_samples:
            return
        elif self.wanted == READER_COUNTS[-1] or rate < self.previous_rate * MIN_GAIN_TO_CONTINUE:
            self.settle(self.wanted)
        elif max(rate, process_rate) < (FAST_FAR_BYTES_PER_SECOND if far else FAST_BYTES_PER_SECOND):
            self.previous_rate, self._best, self._samples = rate, 0.0, 0
            self.wanted, self._step_started_at = READER_COUNTS[step + 1], time.monotonic()

    def _start_sample(self, now: float, process_bytes: int) -> None:
        self._since, self._bytes, self._process_bytes = now, 0, process_bytes


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
        metrics.TRANSFER_BYTES.inc(count)
        self.control.progress(self.before + self.fetched, self.total)


class ReaderPool:
    """What the readers of one transfer share. The first reader runs in the caller's thread.

    One reader is used while that is fast, up to eight where several are faster: many sources limit each connection, and
    far ones need several to fill the line. Readers are added while that raises the throughput. At the first sign that
    the source refuses more connections, all but one stop.
    """

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

    @property
    def fetched(self) -> int:
        return self._progress.fetched

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
