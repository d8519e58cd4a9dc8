"""Reading the source: one stream as long as it is fast, or up to eight ranges at once where that is faster.

Many sources limit each connection, and far away ones need several to fill the line. Lanes are added while
that raises the rate, and all but one go at the first sign that the source dislikes it.
"""

from dataclasses import dataclass
from threading import Lock, Thread

from videovault import logs
from videovault.errors import SourceError
from videovault.services.transfer.engine.concurrency import (
    MULTI_READER_WINDOW,
    READER_COUNTS,
    SINGLE_READER_WINDOW,
    ConcurrencyController,
)
from videovault.services.transfer.engine.part_buffers import PartBuffers
from videovault.services.transfer.engine.range_reader import RangeReader
from videovault.services.transfer.engine.source_session import RangeStream, SourceSession
from videovault.services.transfer.engine.types import RetryPolicy, TransferControl

log = logs.get(__name__)


@dataclass
class Progress:
    """Bytes fetched by all lanes, told to the control with those that S3 had before."""

    control: TransferControl
    total: int | None
    before: int
    fetched: int = 0

    def add(self, count: int) -> None:
        self.fetched += count
        self.control.progress(self.before + self.fetched, self.total)


class ReaderPool:
    """All readers of one transfer; the first one runs in the caller's thread."""

    def __init__(
        self,
        origin: SourceSession,
        board: PartBuffers,
        progress: Progress,
        patience: RetryPolicy,
        *,
        many: bool,
    ) -> None:
        """``many`` False: the source's ranges are not to be trusted, so it is read by one connection."""
        self.origin = origin
        self.board = board
        self.patience = patience
        self._progress = progress
        self._lock = Lock()
        self._pace = ConcurrencyController()
        if not many:
            self._pace.settle(1)
        self._others: list[Thread] = []
        self._running = 1

    def run(self, reading: RangeStream | None) -> None:
        """Read all that is missing; ``reading`` is open already. Raises what the transfer fails with."""
        if self.origin.is_far:
            self.board.set_window(MULTI_READER_WINDOW)  # more is under way to S3 as well
            self._pace.begin_with_several()
            self.took(0, reading.position if reading else 0)
        try:
            RangeReader(self, reading, first=True).run()
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
            self._pace.settle(min(self._pace.wanted, max(1, self._running - 1)))

    def alone(self) -> bool:
        return self._running <= 1

    def look_ahead(self) -> bool:
        """Whether lanes ask for their next slice while the one before is still coming."""
        return 1 < self._running <= self._pace.wanted and self.origin.is_slow_to_answer

    def trouble(self, reason: SourceError) -> None:
        """One of the lanes added was refused: go on with a single one."""
        with self._lock:
            log.info("back to one connection to the source", reason=reason.public_message)
            self._pace.settle(1)
            self._one_less()

    def _one_less(self) -> None:
        self._running -= 1
        if self._running <= 1:
            self.board.set_window(SINGLE_READER_WINDOW)

    def _ranges_are_proven(self) -> bool:
        """As far as that can be known before a lane asks for one; the lane gives up if it gets something else."""
        identity = self.origin.identity
        return bool(
            self.origin.accepts_ranges and identity and identity.total is not None and identity.validator
        )

    def _meanwhile(self) -> int:
        """Bytes that the first stream gives until new connections have got going."""
        most = self.board.max_reserved
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
        count = min(count, READER_COUNTS[-1] - self._running)
        self.board.set_window(MULTI_READER_WINDOW)
        self._running += count
        for _ in range(count):
            lane = RangeReader(self, None, first=False)
            thread = Thread(target=lane.run_beside, name="source-lane", daemon=True)
            self._others.append(thread)
            thread.start()
