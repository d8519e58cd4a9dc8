"""How many connections a source is worth, judged by the rate that each number of them brought."""

import time
from threading import Lock

SINGLE_WINDOW = 3  # parts in memory: one being read, two on their way to S3
MANY_LANES_WINDOW = 5
FAST_BYTES_PER_SECOND = 150_000_000  # of the whole process: beyond it the connections are not what limits us
LOOK_SECONDS = 0.12
STEPS = (1, 4, 8)
# What a step must bring, times the rate before it, to be kept, and for the next one to be tried.
KEPT = {4: 1.2, 8: 1.1}
GOES_ON = 2.5


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


class Pace:
    """Used by one thread at a time."""

    def __init__(self, meter: Meter = _meter) -> None:
        self.wanted = 1
        self._meter = meter
        self._settled = False
        self._latency = 0.0
        self._going_at: float | None = None  # when the connections of this step have got going
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
        if self._going_at is None:
            self._going_at = now + self.start_seconds
        if now < self._going_at or waited:  # where S3 is what limits us, this says nothing about the source
            self._begin_look(now, everyone)
        elif not self._settled and now - self._since >= max(LOOK_SECONDS, 2 * self._latency):
            seconds = now - self._since
            self._decide(self._bytes / seconds, (everyone - self._everyone) / seconds)
            self._begin_look(now, everyone)
        return self.wanted

    def settle(self, lanes: int) -> None:
        """Stay with this number."""
        self.wanted, self._settled = lanes, True

    @property
    def start_seconds(self) -> float:
        """How long new connections need to get going: to connect, to ask, and for TCP's slow start."""
        return 8 * self._latency

    def _decide(self, rate: float, everyone: float) -> None:
        if self.wanted > 1 and rate < self.before * KEPT[self.wanted]:
            self.settle(STEPS[STEPS.index(self.wanted) - 1])
        elif self.wanted == STEPS[-1] or rate < self.before * GOES_ON:
            self.settle(self.wanted)
        elif everyone < FAST_BYTES_PER_SECOND:
            self.before = rate
            self.wanted = STEPS[STEPS.index(self.wanted) + 1]
            self._going_at = None

    def _begin_look(self, now: float, everyone: int) -> None:
        self._since, self._bytes, self._everyone = now, 0, everyone
