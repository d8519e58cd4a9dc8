"""How many connections to read a source with, decided from the throughput that each number of them reached."""

import time
from threading import Lock

from videovault.services.transfer.engine.source_session import HIGH_LATENCY_SECONDS

SINGLE_READER_WINDOW = 3  # parts in memory: one being read, two on their way to S3
MULTI_READER_WINDOW = 8
FAST_BYTES_PER_SECOND = 150_000_000  # of the whole process: beyond it the connections are not the bottleneck
FAST_FAR_BYTES_PER_SECOND = 80_000_000  # more connections over a long, full line only compete with each other
SAMPLE_SECONDS = 0.12
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
        elif not self._settled and now - self._since >= max(SAMPLE_SECONDS, 2 * self._latency):
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

    def _decide(self, rate: float, process_rate: float) -> None:
        far = self._latency >= HIGH_LATENCY_SECONDS
        self._samples += 1
        self._best = rate = max(rate, self._best)
        has_all_samples = self._samples >= MAX_SAMPLES
        step = READER_COUNTS.index(self.wanted)
        if self.wanted > 1 and rate < self.previous_rate * MIN_GAIN_TO_KEEP[self.wanted]:
            if has_all_samples:
                self.settle(READER_COUNTS[step - 1])
        elif far and not has_all_samples:
            return
        elif self.wanted == READER_COUNTS[-1] or rate < self.previous_rate * MIN_GAIN_TO_CONTINUE:
            self.settle(self.wanted)
        elif max(rate, process_rate) < (FAST_FAR_BYTES_PER_SECOND if far else FAST_BYTES_PER_SECOND):
            self.previous_rate, self._best, self._samples = rate, 0.0, 0
            self.wanted, self._step_started_at = READER_COUNTS[step + 1], time.monotonic()

    def _start_sample(self, now: float, process_bytes: int) -> None:
        self._since, self._bytes, self._process_bytes = now, 0, process_bytes
