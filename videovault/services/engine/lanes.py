"""Reading the source: one stream as long as it is fast, or up to eight ranges at once where that is faster.

Many sources limit each connection, and far away ones need several to fill the line. Lanes are added while
that raises the rate, and all but one go at the first sign that the source dislikes it.
"""

import time
from dataclasses import dataclass
from threading import Lock, Thread

from videovault import logs
from videovault.errors import SourceError, UpstreamError
from videovault.gateways.source import RangesUnreliable, SourceUnavailable
from videovault.services.engine.board import Board, Lane
from videovault.services.engine.origin import FEW_BYTES, READ_BYTES, Origin, Reading
from videovault.services.engine.pace import MANY_LANES_WINDOW, SINGLE_WINDOW, STEPS, Pace
from videovault.services.engine.retrying import Retries
from videovault.services.engine.shapes import Afresh, Control, Patience
from videovault.services.engine.slices import Slice

log = logs.get(__name__)


@dataclass
class Progress:
    """Bytes fetched by all lanes, told to the control with those that S3 had before."""

    control: Control
    total: int | None
    before: int
    fetched: int = 0

    def add(self, count: int) -> None:
        self.fetched += count
        self.control.progress(self.before + self.fetched, self.total)


class Lanes:
    """All readers of one transfer; the first one runs in the caller's thread."""

    def __init__(
        self, origin: Origin, board: Board, progress: Progress, patience: Patience, *, many: bool
    ) -> None:
        """``many`` False: the source's ranges are not to be trusted, so it is read by one connection."""
        self.origin = origin
        self.board = board
        self.patience = patience
        self._progress = progress
        self._lock = Lock()
        self._pace = Pace()
        if not many:
            self._pace.settle(1)
        self._others: list[Thread] = []
        self._running = 1

    def run(self, reading: Reading | None) -> None:
        """Read all that is missing; ``reading`` is open already. Raises what the transfer fails with."""
        if self.origin.is_far:
            self.board.set_window(MANY_LANES_WINDOW)  # more is under way to S3 as well
            self._pace.begin_with_several()
            self.took(0, reading.position if reading else 0)
        try:
            _Lane(self, reading, first=True).run()
        except BaseException as error:
            self.board.fail(error)
            raise
        finally:
            for thread in self._others:
                thread.join()
        self.board.raise_failure()

    def heartbeat(self) -> None:
        self._progress.control.check()
        self.board.raise_failure()

    def took(self, count: int, position: int) -> None:
        """Bytes have come: tell it, and see whether another number of lanes is called for."""
        with self._lock:
            self._progress.add(count)
            wanted = self._pace.lanes(count, waited=self.board.waited, latency=self.origin.latency)
            self.board.waited = False
            if wanted > self._running and self._ranges_are_proven():
                self._add(wanted, position)

    def leaves(self, *, first: bool) -> bool:
        """Whether the lane that asks is one too many; the first one never is."""
        with self._lock:
            if first or self._running <= self._pace.wanted:
                return False
            self._one_less()
            return True

    def do_without_one(self) -> None:
        """A lane was so slow that another one had to take over what it read: fewer are better."""
        with self._lock:
            log.debug("a connection to the source is too slow beside the others")
            self._pace.settle(max(1, self._running - 1))

    def alone(self) -> bool:
        return self._running <= 1

    def look_ahead(self) -> bool:
        """Whether lanes ask for their next slice while the one before is still coming."""
        return 1 < self._running <= self._pace.wanted and self.origin.is_far

    def trouble(self, reason: UpstreamError) -> None:
        """One of the lanes added was refused: go on with a single one."""
        with self._lock:
            log.info("back to one connection to the source", reason=reason.public_message)
            self._pace.settle(1)
            self._one_less()

    def _one_less(self) -> None:
        self._running -= 1
        if self._running <= 1:
            self.board.set_window(SINGLE_WINDOW)

    def _ranges_are_proven(self) -> bool:
        """As far as that can be known before a lane asks for one; the lane gives up if it gets something else."""
        identity = self.origin.identity
        return bool(
            self.origin.accepts_ranges and identity and identity.total is not None and identity.validator
        )

    def _meanwhile(self) -> int:
        """Bytes that the first stream gives until new connections have got going."""
        most = self.board.most_reserved
        return most if self.origin.is_far else min(most, int(self._pace.before * self._pace.start_seconds))

    def rest(self) -> bool:
        """The first lane's stream has come to what others read: whether that lane is needed again."""
        with self._lock:
            self._running -= 1
        needed = self.board.wait_for_others(self.heartbeat, lambda: self._running == 0)
        with self._lock:
            self._running += needed
        return needed

    def _add(self, wanted: int, position: int) -> None:
        count = wanted - self._running
        if self._running == 1:
            # The stream goes on where it is until the others have got going, and ends then.
            self.board.reserve(position + self._meanwhile())
            count += 1
        count = min(count, STEPS[-1] - self._running)
        self.board.set_window(MANY_LANES_WINDOW)
        self._running += count
        for _ in range(count):
            lane = _Lane(self, None, first=False)
            thread = Thread(target=lane.run_beside, name="source-lane", daemon=True)
            self._others.append(thread)
            thread.start()


class _Relieved(Exception):
    """Another lane has taken over all that was still to come of the slice."""


class _Lane:
    def __init__(self, lanes: Lanes, reading: Reading | None, *, first: bool) -> None:
        self._lanes = lanes
        self._board = lanes.board
        self._reading = reading
        self._piece: Slice | None = None
        self._next: Slice | None = None
        self._first = first
        self._rate = 0.0
        self._retries = Retries(lanes.patience, self._heartbeat)
        self._broke: UpstreamError | None = None

    def run(self) -> None:
        try:
            while piece := self._claimed():
                self._fill(piece)
                if piece.was_cut:
                    self._lanes.do_without_one()
                if self._next is None and self._lanes.leaves(first=self._first):
                    return
        finally:
            self._close()
            if self._next:
                self._board.give_back(self._next)

    def _claimed(self) -> Slice | None:
        piece, self._next = self._next, None
        if piece is None and self._is_through():
            self._close()
            if not self._lanes.rest():
                return None
        position = self._reading.position if self._reading else None
        lane = Lane(
            self._first, position, is_cold=self._reading is None and not self._lanes.alone(), rate=self._rate
        )
        return piece or self._board.claim(self._lanes.heartbeat, lane)

    def _is_through(self) -> bool:
        """Whether the first stream, which would give all that follows, has come to what others read."""
        reading = self._reading
        endless = self._first and reading is not None and reading.is_endless
        return bool(
            reading and endless and not self._lanes.alone() and not self._board.goes_on(reading.position)
        )

    def run_beside(self) -> None:
        try:
            self.run()
        except SourceError as error:
            self._lanes.trouble(error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the first lane raises it
            self._board.fail(error)

    def _fill(self, piece: Slice) -> None:
        started, self._piece = time.monotonic(), piece
        try:
            ended = self._read(piece)
        except BaseException:
            self._board.give_back(piece)
            raise
        if ended:
            self._board.end_at(piece)
        else:
            self._board.filled(piece)
        self._rate = piece.filled / max(time.monotonic() - started, 0.001)

    def _read(self, piece: Slice) -> bool:
        """Fill the slice, going on where a connection broke; whether the source ended in it."""
        while piece.filled < piece.length:
            try:
                count = self._read_some(piece)
            except _Relieved:
                self._close()
                return False
            except UpstreamError as error:
                self._close()
                if not self._first and isinstance(error, SourceUnavailable | RangesUnreliable):
                    raise
                if isinstance(error, RangesUnreliable):
                    raise Afresh(self._broke or error, ranges=False) from error
                self._broke = error
                self._retries.wait(error)
                continue
            if count == 0 and piece.filled < piece.length:
                return True
            self._retries.progressed(count)
            self._lanes.took(count, piece.position)
        return False

    def _read_some(self, piece: Slice) -> int:
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
        if self._piece and self._piece.was_cut and self._piece.filled >= self._piece.length:
            raise _Relieved

    def _few_bytes(self) -> int:
        """Little at a time as long as the connection may be slow, so that others can take over the rest."""
        return FEW_BYTES if self._rate > FEW_BYTES else FEW_BYTES // 4

    def _open(self, piece: Slice) -> Reading:
        before, self._reading = self._reading, None
        # Alone it asks for all that follows; beside others the end of the slice leaves the connection usable.
        asked = before is not None and before.has_asked_for(piece.position)
        end = None if self._lanes.alone() and not asked else piece.end
        reading = self._lanes.origin.open(piece.position, end, self._heartbeat, before)
        self._reading = reading
        if end is not None and self._lanes.look_ahead():
            self._ask_ahead(reading)
        return reading

    def _ask_ahead(self, reading: Reading) -> None:
        piece = self._board.claim_ahead(Lane(self._first)) if self._next is None else None
        if piece and reading.ask_ahead(piece.position, piece.end):
            self._next = piece
        elif piece:
            self._board.give_back(piece)

    def _close(self) -> None:
        reading, self._reading = self._reading, None
        if reading:
            reading.close()
