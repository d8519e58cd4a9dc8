"""How many connections a source is worth, judged by the rate that each number of them brought."""

import time
from threading import Lock

from videovault.services.transfer.engine.source_session import HIGH_LATENCY_SECONDS

SINGLE_READER_WINDOW = 3  # parts in memory: one being read, two on their way to S3
MULTI_READER_WINDOW = 8
FAST_BYTES_PER_SECOND = 150_000_000  # of the whole process: beyond it the connections are not what limits us
FAST_FAR_BYTES_PER_SECOND = (
    80_000_000  # on a long line that is full, more connections only stand in each other's way
)
SAMPLE_SECONDS = 0.12
READER_COUNTS = (1, 3, 8)
# What a step must bring, times the rate before it, to be kept, and for the next one to be tried.
MIN_GAIN_TO_KEEP = {3: 1.2, 8: 1.1}
MIN_GAIN_TO_CONTINUE = 2.4
# Before a step counts as useless or, far away, is judged at all: connections need a while to get up to speed.
MAX_SAMPLES = 5


class Meter:
    """Bytes that all transfers of this process have read."""

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
        self._looks = 0
        self._best = 0.0  # bytes per second at any look of this step
        self._begun_at = time.monotonic()  # when the connections of this step were asked for
        self.before = 0.0  # bytes per second with the step before
        self._begin_look(time.monotonic(), meter.add(0))

    def lanes(self, count: int, *, waited: bool, latency: float) -> int:
        """How many are wanted now that ``count`` more bytes came.

        ``waited``: S3 kept the readers waiting; ``latency``: seconds until the source answers a request.
        """
        self._latency = latency
        self._bytes += count
        everyone = self._meter.add(count)
        now = time.monotonic()
        starting = now < self._begun_at + self.start_seconds
        if starting or waited:  # where S3 is what limits us, this says nothing about the source
            self._begin_look(now, everyone)
        elif not self._settled and now - self._since >= max(SAMPLE_SECONDS, 2 * self._latency):
            seconds = now - self._since
            self._decide(self._bytes / seconds, (everyone - self._everyone) / seconds)
            self._begin_look(now, everyone)
        return self.wanted

    def begin_with_several(self) -> None:
        """Far away one connection needs long to get going and seldom fills the line."""
        if not self._settled:
            self.wanted = READER_COUNTS[1]

    def settle(self, lanes: int) -> None:
        """Stay with this number."""
        self.wanted, self._settled = lanes, True

    @property
    def start_seconds(self) -> float:
        """How long new connections need to get going: to connect, to ask, and for TCP's slow start."""
        return 5 * self._latency

    def _decide(self, rate: float, everyone: float) -> None:
        far = self._latency >= HIGH_LATENCY_SECONDS
        self._looks += 1
        self._best = rate = max(rate, self._best)
        patient = self._looks >= MAX_SAMPLES
        step = READER_COUNTS.index(self.wanted)
        if self.wanted > 1 and rate < self.before * MIN_GAIN_TO_KEEP[self.wanted]:
            if patient:
                self.settle(READER_COUNTS[step - 1])
        elif far and not patient:
            return
        elif self.wanted == READER_COUNTS[-1] or rate < self.before * MIN_GAIN_TO_CONTINUE:
            self.settle(self.wanted)
        elif max(rate, everyone) < (FAST_FAR_BYTES_PER_SECOND if far else FAST_BYTES_PER_SECOND):
            self.before, self._best, self._looks = rate, 0.0, 0
            self.wanted, self._begun_at = READER_COUNTS[step + 1], time.monotonic()

    def _begin_look(self, now: float, everyone: int) -> None:
        self._since, self._bytes, self._everyone = now, 0, everyone
