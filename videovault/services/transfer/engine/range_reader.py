"""One connection's way through the source: slices are claimed, asked for and filled, or left to others."""

import time
from typing import TYPE_CHECKING

from videovault.errors import SourceError, UpstreamError
from videovault.gateways.source import RangesUnreliable, SourceUnavailable
from videovault.services.transfer.engine.part_buffers import Reader, Subrange
from videovault.services.transfer.engine.retry import SourceRetries
from videovault.services.transfer.engine.source_session import READ_BYTES, SHARED_READ_BYTES, RangeStream
from videovault.services.transfer.engine.types import RestartTransfer

if TYPE_CHECKING:
    from videovault.services.transfer.engine.reader_pool import ReaderPool


class _Relieved(Exception):
    """Another lane has taken over what was still to come of the slice."""


class RangeReader:
    """Beside others it asks for slice after slice; the first one alone for all that follows."""

    def __init__(self, lanes: "ReaderPool", reading: RangeStream | None, *, first: bool) -> None:
        self._lanes = lanes
        self._board = lanes.board
        self._reading = reading
        self._piece: Subrange | None = None
        self._next: Subrange | None = None  # asked for while the one before is still coming
        self._first = first
        self._rate = 0.0
        self._retries = SourceRetries(lanes.patience, self._heartbeat)
        self._broke: UpstreamError | None = None
        if reading:
            reading.pulse.beat = self._heartbeat

    def run(self) -> None:
        """Read until nothing is left or this lane is one too many. Raises what the transfer fails with."""
        try:
            while piece := self._claimed():
                self._fill(piece)
                if self._next is None and self._lanes.leaves(first=self._first):
                    return
        finally:
            self._close()
            self._give_up_next()

    def run_beside(self) -> None:
        """The same in a thread of its own, for a lane that the transfer can do without."""
        try:
            self.run()
        except SourceError as error:
            self._lanes.trouble(error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the first lane raises it
            self._board.fail(error)

    def _claimed(self) -> Subrange | None:
        piece, self._next = self._next, None
        if piece:
            return piece
        if self._is_through():
            self._close()
            if not self._lanes.rest():
                return None
        position = self._reading.position if self._reading else None
        cold = self._reading is None and not self._lanes.alone()
        claimant = Reader(self._first, position, is_cold=cold, rate=self._rate)
        return self._board.claim(self._lanes.heartbeat, claimant)

    def _is_through(self) -> bool:
        """Whether the first stream, which would give all that follows, has come to what others read."""
        if self._reading is None or not self._first or not self._reading.is_endless:
            return False
        return not self._lanes.alone() and not self._board.goes_on(self._reading.position)

    def _fill(self, piece: Subrange) -> None:
        self._piece = piece
        self._board.begin(piece)
        started, before = time.monotonic(), piece.filled
        try:
            ended = self._read(piece)
        except _Relieved:
            self._close()
            ended = False
        except BaseException:
            self._board.give_back(piece)
            raise
        self._rate = (piece.filled - before) / max(time.monotonic() - started, 0.001)
        slow = piece.cut_at is not None  # asked before others may claim it
        if ended:
            self._board.end_at(piece)
        else:
            self._board.give_back(piece)
        if slow:
            self._give_up_next()
            self._lanes.do_without_one()

    def _read(self, piece: Subrange) -> bool:
        """Fill the slice, going on where a connection broke; whether the source ended in it."""
        while piece.left:
            try:
                count = self._read_some(piece)
            except UpstreamError as error:
                self._close()
                if not self._first and isinstance(error, SourceUnavailable | RangesUnreliable):
                    raise
                if isinstance(error, RangesUnreliable):
                    raise RestartTransfer(self._broke or error, ranges=False) from error
                self._broke = error
                self._retries.wait(error)
                continue
            if count == 0 and piece.left:
                return True
            self._retries.progressed(count)
            self._lanes.took(count, piece.position)
        return False

    def _read_some(self, piece: Subrange) -> int:
        reading = self._reading
        if reading is None or not reading.gives(piece.position):
            reading = self._open(piece)
        room = self._board.room(piece, READ_BYTES if self._lanes.alone() else self._few_bytes())
        if not room:
            return 0  # another lane took it over meanwhile
        count = reading.readinto(room)
        piece.took(room[:count])
        return count

    def _heartbeat(self) -> None:
        self._lanes.heartbeat()
        if self._piece and self._piece.is_over(time.monotonic()):
            raise _Relieved

    def _few_bytes(self) -> int:
        """Little at a time as long as the connection may be slow, so that others can take over the rest."""
        return SHARED_READ_BYTES if self._rate > SHARED_READ_BYTES else SHARED_READ_BYTES // 4

    def _open(self, piece: Subrange) -> RangeStream:
        before = self._left()
        # Alone it asks for all that follows; beside others the end of the slice leaves the connection usable.
        asked = before is not None and before.has_asked_for(piece.position)
        end = None if self._lanes.alone() and not asked else piece.end
        reading = self._lanes.origin.open(piece.position, end, self._heartbeat, before)
        self._reading = reading
        if end is not None and self._lanes.look_ahead():
            self._ask_ahead(reading)
        return reading

    def _ask_ahead(self, reading: RangeStream) -> None:
        piece = self._board.claim_ahead(Reader(self._first)) if self._next is None else None
        if piece and reading.send_next(piece.position, piece.end):
            self._next = piece
        elif piece:
            self._board.give_back(piece)

    def _close(self) -> None:
        if reading := self._left():
            reading.close()

    def _left(self) -> RangeStream | None:
        """The stream so far, which this lane does not read any more."""
        reading, self._reading = self._reading, None
        if reading and self._first:
            self._board.reserve(0)
        return reading

    def _give_up_next(self) -> None:
        piece, self._next = self._next, None
        if piece:
            self._board.give_back(piece)
