"""One reader: claims subranges, requests them from the source and fills them, or leaves the rest to others."""

import time
from threading import Thread

from videovault import logs
from videovault.errors import SourceError, UpstreamError
from videovault.gateways.source import RangesUnreliable, SourceUnavailable
from videovault.services.transfer.engine.part_buffers import Reader, Subrange
from videovault.services.transfer.engine.reader_pool import ReaderPool
from videovault.services.transfer.engine.retry import SourceRetries
from videovault.services.transfer.engine.source_session import READ_BYTES, SHARED_READ_BYTES, RangeStream
from videovault.services.transfer.engine.types import RestartTransfer


def read_source(pool: ReaderPool, stream: RangeStream | None) -> None:
    """Read all that is missing; ``stream``, if given, is open already. Raises the transfer's failure."""
    threads: list[Thread] = []

    def start_reader() -> None:
        reader = RangeReader(pool, None, is_first=False)
        run = logs.in_this_context(reader.run_in_thread)
        thread = Thread(target=run, name="source-reader", daemon=True)
        threads.append(thread)
        thread.start()

    try:
        pool.start(start_reader, stream.position if stream else 0)
        RangeReader(pool, stream, is_first=True).run()
    except BaseException as error:
        pool.buffers.fail(error)
        raise
    finally:
        for thread in threads:
            thread.join()
    pool.buffers.raise_failure()


class _TakenOver(Exception):
    """Another reader has taken over the rest of the subrange."""


class RangeReader:
    """Alone, the first reader requests all that follows; with others, each requests one subrange after another."""

    def __init__(self, pool: ReaderPool, stream: RangeStream | None, *, is_first: bool) -> None:
        self._pool = pool
        self._buffers = pool.buffers
        self._stream = stream
        self._subrange: Subrange | None = None
        self._next: Subrange | None = None  # requested while the current one is still being read
        self._is_first = is_first
        self._rate = 0.0
        self._retries = SourceRetries(pool.retry_policy, self._heartbeat)
        self._last_error: UpstreamError | None = None
        if stream:
            stream.heartbeat.callback = self._heartbeat

    def run(self) -> None:
        """Read until nothing is left or the pool needs one reader less. Raises the transfer's failure."""
        try:
            while subrange := self._claim():
                self._fill(subrange)
                if self._next is None and self._pool.should_leave(is_first=self._is_first):
                    return
        finally:
            self._close()
            self._give_back_next()

    def run_in_thread(self) -> None:
        """``run`` for a reader that the transfer can do without."""
        try:
            self.run()
        except SourceError as error:
            self._pool.reader_refused(error)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the first reader raises it
            self._buffers.fail(error)

    def _claim(self) -> Subrange | None:
        subrange, self._next = self._next, None
        if subrange:
            return subrange
        if self._has_reached_others():
            self._close()
            if not self._pool.wait_until_needed():
                return None
        position = self._stream.position if self._stream else None
        cold = self._stream is None and not self._pool.has_one_reader()
        latency = self._pool.session.latency
        reader = Reader(self._is_first, position, is_cold=cold, rate=self._rate, latency=latency)
        return self._buffers.claim(self._pool.heartbeat, reader)

    def _has_reached_others(self) -> bool:
        """Whether the first stream, which continues to the source's end, has reached what others read."""
        if self._stream is None or not self._is_first or not self._stream.is_open_ended:
            return False
        return not self._pool.has_one_reader() and not self._buffers.is_unclaimed(self._stream.position)

    def _fill(self, subrange: Subrange) -> None:
        self._subrange = subrange
        self._buffers.start_reading(subrange)
        started, before = time.monotonic(), subrange.filled
        try:
            ended = self._read(subrange)
        except _TakenOver:
            self._close()
            ended = False
        except BaseException:
            self._buffers.give_back(subrange)
            raise
        self._rate = (subrange.filled - before) / max(time.monotonic() - started, 0.001)
        was_split = subrange.split_at is not None  # read before others may claim it
        if ended:
            self._buffers.end_source(subrange)
        else:
            self._buffers.give_back(subrange)
        if was_split:
            self._give_back_next()
            self._pool.drop_slow_reader()

    def _read(self, subrange: Subrange) -> bool:
        """Fill the subrange, reconnecting where a connection breaks; whether the source ended in it."""
        while subrange.left:
            try:
                count = self._read_once(subrange)
            except UpstreamError as error:
                self._close()
                if not self._is_first and isinstance(error, SourceUnavailable | RangesUnreliable):
                    raise
                if isinstance(error, RangesUnreliable):
                    raise RestartTransfer(self._last_error or error, ranges=False) from error
                self._last_error = error
                self._retries.wait(error)
                continue
            if count == 0 and subrange.left:
                return True
            self._retries.progressed(count)
            self._pool.received(count, subrange.position)
        return False

    def _read_once(self, subrange: Subrange) -> int:
        stream = self._stream
        if stream is None or not stream.continues_at(subrange.position):
            stream = self._open(subrange)
        alone = self._pool.has_one_reader() and self._pool.fetched >= 2 * READ_BYTES
        max_bytes = READ_BYTES if alone else self._shared_read_bytes()
        view = self._buffers.next_view(subrange, max_bytes)
        if not view:
            return 0  # another reader took it over meanwhile
        count = stream.readinto(view)
        subrange.advance(view[:count])
        return count

    def _heartbeat(self) -> None:
        self._pool.heartbeat()
        if self._subrange and self._subrange.should_stop(time.monotonic()):
            raise _TakenOver

    def _shared_read_bytes(self) -> int:
        """Little at a time while the connection may be slow, so that others can take over the rest."""
        return SHARED_READ_BYTES if self._rate > SHARED_READ_BYTES else SHARED_READ_BYTES // 4

    def _open(self, subrange: Subrange) -> RangeStream:
        previous = self._detach()
        # Alone, request all that follows; with others, an end at the subrange's end leaves the connection reusable.
        requested = previous is not None and previous.has_requested(subrange.position)
        end = None if self._pool.has_one_reader() and not requested else subrange.end
        stream = self._pool.session.open(subrange.position, end, self._heartbeat, previous)
        self._stream = stream
        if end is not None and self._pool.pipelines():
            self._request_next(stream)
        return stream

    def _request_next(self, stream: RangeStream) -> None:
        subrange = self._buffers.try_claim(Reader(self._is_first)) if self._next is None else None
        if subrange and stream.send_next(subrange.position, subrange.end):
            self._next = subrange
        elif subrange:
            self._buffers.give_back(subrange)

    def _close(self) -> None:
        if stream := self._detach():
            stream.close()

    def _detach(self) -> RangeStream | None:
        """The current stream, which this reader stops reading."""
        stream, self._stream = self._stream, None
        if stream and self._is_first:
            self._buffers.reserve(0)
        return stream

    def _give_back_next(self) -> None:
        subrange, self._next = self._next, None
        if subrange:
            self._buffers.give_back(subrange)
