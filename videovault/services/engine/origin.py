"""The source of one transfer: opened where bytes are missing, and proven to be the same one each time."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from videovault.errors import SourceError
from videovault.gateways.source import RangesUnreliable, Source, SourceChanged, SourceInfo, SourceStream
from videovault.services.engine.shapes import Afresh, Identity

READ_BYTES = 1024 * 1024  # small enough for its sum to be made while it is in the processor's cache


class Origin:
    """Opened by several threads. Later requests go straight to where the first one was led to."""

    def __init__(self, source: Source, url: str, identity: Identity | None) -> None:
        self.identity = identity
        self.accepts_ranges = False
        self.latency = float("inf")  # seconds from a request to its answer, at best
        self._source = source
        self._url = url
        self._direct: str | None = None

    def open(self, start: int, end: int | None, heartbeat: Callable[[], object]) -> "Reading":
        """The bytes from ``start``.

        Raises Afresh when they would not fit to those fetched before, RangesUnreliable when others are given.
        """
        asked = time.monotonic()
        reading = self._opened(start, end, heartbeat)
        self.latency = min(self.latency, time.monotonic() - asked)
        info = reading.info
        if self.identity is None:
            self.identity = Identity.of(info)
        elif refusal := self._refusal(info, whole=start == 0 and end is None):
            reading.close()
            raise refusal
        self.accepts_ranges |= info.accepts_ranges
        self._direct = info.final_url if info.final_url != self._url else None
        return reading

    def _refusal(self, info: SourceInfo, *, whole: bool) -> Exception | None:
        if self.identity and self.identity.fits(info):
            return None
        if info.partial or self.identity != Identity.of(info):
            return Afresh(SourceChanged())
        return None if whole else RangesUnreliable()

    def _opened(self, start: int, end: int | None, heartbeat: Callable[[], object]) -> "Reading":
        validator = self.identity.validator if self.identity else None
        direct, self._direct = self._direct, None  # one that fails is not tried again
        context = self._source.open(
            direct or self._url, start=start, end=end, validator=validator, heartbeat=heartbeat
        )
        try:
            return Reading(context, start, end)
        except SourceChanged as error:
            raise Afresh(error) from error
        except SourceError as error:
            if direct is None or isinstance(error, RangesUnreliable):
                raise
        return self._opened(start, end, heartbeat)


class Reading:
    """One open answer; ``position`` is the source's next byte that it gives."""

    def __init__(self, context: AbstractContextManager[SourceStream], start: int, end: int | None) -> None:
        self._context = context
        self._stream = context.__enter__()
        self._end = end
        self.position = start

    @property
    def info(self) -> SourceInfo:
        return self._stream.info

    def gives(self, position: int) -> bool:
        """Whether it goes on with the byte at ``position``."""
        return position == self.position and position != self._end

    def readinto(self, view: memoryview) -> int:
        count = self._stream.readinto(view)
        self.position += count
        return count

    def close(self) -> None:
        self._context.__exit__(None, None, None)
