"""Reading the source: one stream as long as it is fast, or up to eight ranges at once where that is faster.

Many sources limit each connection, and far away ones need several to fill the line. Lanes are added while
that raises the rate, and all but one go at the first sign that the source dislikes it.
"""

from dataclasses import dataclass
from threading import Lock, Thread

from videovault import logs
from videovault.errors import SourceError, UpstreamError
from videovault.gateways.source import RangesUnreliable, SourceUnavailable
from videovault.services.engine.board import Board, Slice
from videovault.services.engine.origin import READ_BYTES, Origin, Reading
from videovault.services.engine.pace import MANY_LANES_WINDOW, SINGLE_WINDOW, Pace
from videovault.services.engine.retrying import Retries
from videovault.services.engine.shapes import Afresh, Control, Patience

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
                self._add(wanted - self._running, position)

    def leaves(self, *, first: bool) -> bool:
        """Whether the lane that asks is one too many; the first one never is."""
        with self._lock:
            if first or self._running <= self._pace.wanted:
                return False
            self._one_less()
            return True

    def alone(self) -> bool:
        return self._running == 1

    def trouble(self, reason: UpstreamError) -> None:
        """One of the lanes added was refused: go on with a single one."""
        with self._lock:
            log.info("back to one connection to the source", reason=reason.public_message)
            self._pace.settle(1)
            self._one_less()

    def _one_less(self) -> None:
        self._running -= 1
        if self._running == 1:
            self.board.set_window(SINGLE_WINDOW)

    def _ranges_are_proven(self) -> bool:
        """As far as that can be known before a lane asks for one; the lane gives up if it gets something else."""
        identity = self.origin.identity
        return bool(
            self.origin.accepts_ranges and identity and identity.total is not None and identity.validator
        )

    def _add(self, count: int, position: int) -> None:
        if self._running == 1:
            # The stream goes on where it is until the others have got going.
            meanwhile = self._pace.before * self._pace.start_seconds
            self.board.reserve(position + min(int(meanwhile), self.board.most_reserved))
        self.board.set_window(MANY_LANES_WINDOW)
        self._running += count
        for _ in range(count):
            lane = _Lane(self, None, first=False)
            thread = Thread(target=lane.run_beside, name="source-lane", daemon=True)
            self._others.append(thread)
            thread.start()


class _Lane:
    def __init__(self, lanes: Lanes, reading: Reading | None, *, first: bool) -> None:
        self._lanes = lanes
        self._board = lanes.board
        self._reading = reading
        self._first = first
        self._retries = Retries(lanes.patience, lanes.heartbeat)
        self._broke: UpstreamError | None = None

    def run(self) -> None:
        try:
            while piece := self._board.claim(self._lanes.heartbeat, first=self._first):
                self._fill(piece)
                if self._lanes.leaves(first=self._first):
                    return
        finally:
            self._close()

    def run_beside(self) -> None:
        try:
            self.run()
        except SourceError as error:
            self._lanes.trouble(error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the first lane raises it
            self._board.fail(error)

    def _fill(self, piece: Slice) -> None:
        try:
            ended = self._read(piece)
        except BaseException:
            self._board.give_back(piece)
            raise
        if ended:
            self._board.end_at(piece)
        else:
            self._board.filled(piece)

    def _read(self, piece: Slice) -> bool:
        """Fill the slice, going on where a connection broke; whether the source ended in it."""
        while piece.filled < piece.length:
            try:
                count = self._read_some(piece)
            except UpstreamError as error:
                self._close()
                if not self._first and isinstance(error, SourceUnavailable | RangesUnreliable):
                    raise
                if isinstance(error, RangesUnreliable):
                    raise Afresh(self._broke or error, ranges=False) from error
                self._broke = error
                self._retries.wait(error)
                continue
            if count == 0:
                return True
            self._retries.progressed(count)
            self._lanes.took(count, piece.position)
        return False

    def _read_some(self, piece: Slice) -> int:
        if self._reading is None or not self._reading.gives(piece.position):
            self._close()
            # Alone it asks for all that follows; beside others the end of the slice leaves the connection usable.
            end = None if self._lanes.alone() else piece.end
            self._reading = self._open(piece.position, end)
        room = piece.room(READ_BYTES)
        count = self._reading.readinto(room)
        piece.took(room[:count])
        return count

    def _open(self, start: int, end: int | None) -> Reading:
        return self._lanes.origin.open(start, end, self._lanes.heartbeat)

    def _close(self) -> None:
        reading, self._reading = self._reading, None
        if reading:
            reading.close()
