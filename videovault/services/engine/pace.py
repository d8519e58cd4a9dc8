"""How many connections a source is worth, judged by the rate that each number of them brought."""

import time
from threading import Lock

SINGLE_WINDOW = 3  # parts in memory: one being read, two on their way to S3
MANY_LANES_WINDOW = 5
FAST_BYTES_PER_SECOND = 200_000_000  # of the whole process: beyond it the connections are not what limits us
LOOK_SECONDS = 0.12
STEPS = (1, 4, 8)
# What a step must bring to be kept: times the rate before it.
GAINS = {4: 1.2, 8: 1.1}


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
        self._look_seconds = LOOK_SECONDS
        self._before = 0.0  # bytes per second with the step before
        self._begin_look(time.monotonic(), 0)

    def lanes(self, count: int, *, waited: bool) -> int:
        """How many are wanted now that ``count`` more bytes came; ``waited``: S3 kept the readers waiting."""
        self._bytes += count
        everyone = self._meter.add(count)
        now = time.monotonic()
        if waited:  # S3 is what limits us: this says nothing about the source
            self._begin_look(now, everyone)
        elif not self._settled and now - self._since >= self._look_seconds:
            seconds = now - self._since
            self._decide(self._bytes / seconds, (everyone - self._everyone) / seconds)
            self._begin_look(now, everyone)
        return self.wanted

    def settle(self, lanes: int) -> None:
        """Stay with this number."""
        self.wanted, self._settled = lanes, True

    def answered_in(self, seconds: float) -> None:
        """How long the source took to answer a request: rates are judged over several times that."""
        self._look_seconds = max(LOOK_SECONDS, 3 * seconds)

    def _decide(self, rate: float, everyone: float) -> None:
        if self.wanted > 1 and rate < self._before * GAINS[self.wanted]:
            self.settle(STEPS[STEPS.index(self.wanted) - 1])
        elif self.wanted == STEPS[-1]:
            self.settle(self.wanted)
        elif everyone < FAST_BYTES_PER_SECOND:
            self._before = rate
            self.wanted = STEPS[STEPS.index(self.wanted) + 1]

    def _begin_look(self, now: float, everyone: int) -> None:
        self._since, self._bytes, self._everyone = now, 0, everyone
