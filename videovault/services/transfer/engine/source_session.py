"""The source of one transfer: opened where bytes are missing, and proven to be the same one each time."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from videovault.errors import SourceError
from videovault.gateways.source import (
    PipelinedRequest,
    RangesUnreliable,
    Source,
    SourceChanged,
    SourceInfo,
    SourceStream,
)
from videovault.services.transfer.engine.types import RestartTransfer, SourceFingerprint

READ_BYTES = 1024 * 1024  # small enough for its sum to be made while it is in the processor's cache
SHARED_READ_BYTES = 256 * 1024  # beside others, who may take over what is not being read yet

HIGH_LATENCY_SECONDS = 0.02  # seconds


class SourceSession:
    """Opened by several threads. Later requests go straight to where the first one was led to."""

    def __init__(self, source: Source, url: str, identity: SourceFingerprint | None) -> None:
        self.identity = identity
        self.accepts_ranges = False
        self.name = ""  # of the file, if the source tells one
        self.latency = float("inf")  # seconds from a request to its answer, at best
        self._round_trip: float | None = None
        self._source = source
        self._url = url
        self._direct: str | None = None

    @property
    def is_far(self) -> bool:
        """Whether the way there is long, as far as is known."""
        return HIGH_LATENCY_SECONDS <= (self._round_trip or self.latency) < float("inf")

    @property
    def is_slow_to_answer(self) -> bool:
        return self.latency >= HIGH_LATENCY_SECONDS

    def open(
        self,
        start: int,
        end: int | None,
        heartbeat: Callable[[], object],
        after: "RangeStream | None" = None,
    ) -> "RangeStream":
        """The bytes from ``start``, perhaps asked for while ``after`` was read, which is closed first.

        Raises Afresh when they would not fit to those fetched before, RangesUnreliable when others are given.
        """
        ahead = after.leave() if after else None
        reading = self._opened(start, end, heartbeat, ahead)
        if reading.latency is not None:
            self.latency = min(self.latency, reading.latency)
        self._round_trip = reading.round_trip
        info = reading.info
        if self.identity is None:
            self.identity = SourceFingerprint.of(info)
        elif refusal := self._refusal(info, whole=start == 0 and end is None):
            reading.close()
            raise refusal
        self.accepts_ranges |= info.accepts_ranges
        self.name = info.header_name or self.name
        self._direct = info.final_url if info.final_url != self._url else None
        return reading

    def _refusal(self, info: SourceInfo, *, whole: bool) -> Exception | None:
        if self.identity and self.identity.fits(info):
            return None
        if info.partial or self.identity != SourceFingerprint.of(info):
            return RestartTransfer(SourceChanged())
        return None if whole else RangesUnreliable()

    def _opened(
        self,
        start: int,
        end: int | None,
        heartbeat: Callable[[], object],
        ahead: PipelinedRequest | None = None,
    ) -> "RangeStream":
        validator = self.identity.validator if self.identity else None
        direct, pulse = self._direct, Heartbeat(heartbeat)
        context = self._source.open(
            direct or self._url, start=start, end=end, validator=validator, heartbeat=pulse, ahead=ahead
        )
        try:
            return RangeStream(context, start, end, pulse)
        except SourceChanged as error:
            raise RestartTransfer(error) from error
        except SourceError as error:
            if direct is None or isinstance(error, RangesUnreliable):
                raise
        if self._direct == direct:
            self._direct = None  # perhaps a link that has expired: where does the first one lead now?
        return self._opened(start, end, heartbeat)


@dataclass
class Heartbeat:
    """The heartbeat of a stream, which may pass from one reader to the next."""

    beat: Callable[[], object]

    def __call__(self) -> None:
        self.beat()


class RangeStream:
    """One open answer; ``position`` is the source's next byte that it gives, ``pulse`` its reader's heartbeat."""

    def __init__(
        self, context: AbstractContextManager[SourceStream], start: int, end: int | None, pulse: Heartbeat
    ) -> None:
        self.pulse = pulse
        self._context = context
        self._stream = context.__enter__()
        self._end = end
        self._ahead: tuple[int, PipelinedRequest] | None = None
        self.position = start

    @property
    def info(self) -> SourceInfo:
        return self._stream.info

    @property
    def latency(self) -> float | None:
        return self._stream.latency

    @property
    def round_trip(self) -> float | None:
        return self._stream.round_trip

    @property
    def is_endless(self) -> bool:
        """Whether it gives all that follows, so that its connection is lost when it is left before."""
        return self._end is None

    def gives(self, position: int) -> bool:
        """Whether it goes on with the byte at ``position``."""
        return position == self.position and position != self._end

    def readinto(self, view: memoryview) -> int:
        count = self._stream.readinto(view)
        self.position += count
        return count

    def send_next(self, start: int, end: int) -> bool:
        """Ask for these bytes already; whether the connection allows it."""
        ahead = self._stream.send_next(start, end)
        self._ahead = (start, ahead) if ahead else None
        return ahead is not None

    def has_asked_for(self, start: int) -> bool:
        return self._ahead is not None and self._ahead[0] == start

    def leave(self) -> PipelinedRequest | None:
        """Close it; what was asked ahead is for the caller to use or to close."""
        self._context.__exit__(None, None, None)
        asked, self._ahead = self._ahead, None
        return asked and asked[1]

    def close(self) -> None:
        if ahead := self.leave():
            ahead.close()
