"""The source of one transfer: opened where bytes are missing, and each time proven to be the same source."""

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

READ_BYTES = 1024 * 1024  # small enough to compute the CRC while the bytes are in the processor's cache
SHARED_READ_BYTES = 256 * 1024  # with several readers, which can take over what is not being read yet

HIGH_LATENCY_SECONDS = 0.02


class SourceSession:
    """Used by several threads. Later requests go directly to where the first one was redirected."""

    def __init__(self, source: Source, url: str, fingerprint: SourceFingerprint | None) -> None:
        self.fingerprint = fingerprint
        self.accepts_ranges = False
        self.name = ""  # of the file, if the source gives one
        self.latency = float("inf")  # lowest number of seconds from a request to its response
        self._round_trip: float | None = None
        self._source = source
        self._url = url
        self._direct_url: str | None = None

    @property
    def is_far(self) -> bool:
        """Whether round trips are known to be long."""
        return HIGH_LATENCY_SECONDS <= (self._round_trip or self.latency) < float("inf")

    @property
    def is_slow_to_answer(self) -> bool:
        return self.latency >= HIGH_LATENCY_SECONDS

    def open(
        self,
        start: int,
        end: int | None,
        heartbeat: Callable[[], object],
        previous: "RangeStream | None" = None,
    ) -> "RangeStream":
        """The bytes from ``start``; ``previous`` is closed first, and may have requested these bytes already.

        Raises RestartTransfer when they do not belong to those fetched before, RangesUnreliable when the source sends
        other bytes than requested.
        """
        pipelined = previous.detach() if previous else None
        stream = self._open(start, end, heartbeat, pipelined)
        if stream.latency is not None:
            self.latency = min(self.latency, stream.latency)
        self._round_trip = stream.round_trip
        info = stream.info
        if self.fingerprint is None:
            self.fingerprint = SourceFingerprint.of(info)
        elif mismatch := self._mismatch(info, whole=start == 0 and end is None):
            stream.close()
            raise mismatch
        self.accepts_ranges |= info.accepts_ranges
        self.name = info.header_name or self.name
        self._direct_url = info.final_url if info.final_url != self._url else None
        return stream

    def _mismatch(self, info: SourceInfo, *, whole: bool) -> Exception | None:
        if self.fingerprint and self.fingerprint.matches(info):
            return None
        if info.partial or self.fingerprint != SourceFingerprint.of(info):
            return RestartTransfer(SourceChanged())
        return None if whole else RangesUnreliable()

    def _open(
        self,
        start: int,
        end: int | None,
        heartbeat: Callable[[], object],
        pipelined: PipelinedRequest | None = None,
    ) -> "RangeStream":
        validator = self.fingerprint.validator if self.fingerprint else None
        direct, beat = self._direct_url, Heartbeat(heartbeat)
        context = self._source.open(
            direct or self._url,
            start=start,
            end=end,
            validator=validator,
            heartbeat=beat,
            pipelined=pipelined,
        )
        try:
            return RangeStream(context, start, end, beat)
        except SourceChanged as error:
            raise RestartTransfer(error) from error
        except SourceError as error:
            if direct is None or isinstance(error, RangesUnreliable):
                raise
        if self._direct_url == direct:
            self._direct_url = None  # the redirect's target may have expired: follow the redirect again
        return self._open(start, end, heartbeat)


@dataclass
class Heartbeat:
    """A stream's heartbeat; the stream may pass from one reader to the next."""

    callback: Callable[[], object]

    def __call__(self) -> None:
        self.callback()


class RangeStream:
    """One open response; ``position`` is the source's next byte, ``heartbeat`` that of its reader."""

    def __init__(
        self, context: AbstractContextManager[SourceStream], start: int, end: int | None, heartbeat: Heartbeat
    ) -> None:
        self.heartbeat = heartbeat
        self._context = context
        self._stream = context.__enter__()
        self._end = end
        self._pipelined: tuple[int, PipelinedRequest] | None = None
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
    def is_open_ended(self) -> bool:
        """Whether it continues to the source's end, so that leaving it earlier costs the connection."""
        return self._end is None

    def continues_at(self, position: int) -> bool:
        return position == self.position and position != self._end

    def readinto(self, view: memoryview) -> int:
        count = self._stream.readinto(view)
        self.position += count
        return count

    def send_next(self, start: int, end: int) -> bool:
        """Request these bytes before this response has ended; False where the connection does not allow it."""
        pipelined = self._stream.send_next(start, end)
        self._pipelined = (start, pipelined) if pipelined else None
        return pipelined is not None

    def has_requested(self, start: int) -> bool:
        return self._pipelined is not None and self._pipelined[0] == start

    def detach(self) -> PipelinedRequest | None:
        """Close the stream; its pipelined request is left to the caller, to use or to close."""
        self._context.__exit__(None, None, None)
        sent, self._pipelined = self._pipelined, None
        return sent and sent[1]

    def close(self) -> None:
        if pipelined := self.detach():
            pipelined.close()
