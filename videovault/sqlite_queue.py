"""Huey's queue in SQLite, whose ``dequeue`` waits until a task is enqueued, as it does with PostgreSQL and Redis.

SQLite has no notifications. A named pipe beside its file replaces them: each enqueue writes a byte, and each byte lets a
waiting thread of any process look for a task. A task whose byte is lost is found by polling.
"""

import os
import select
import stat
import time
import weakref
from contextlib import suppress
from pathlib import Path

from huey import SqliteHuey
from huey.storage import SqliteStorage

from videovault import logs

POLL_SECONDS = 1.0
SUFFIX = "-wake"

log = logs.get(__name__)


class WakeUps:
    """Counts wake-ups in the named pipe ``path``, which is created if missing."""

    def __init__(self, path: Path) -> None:
        self._pipe = _open_pipe(path)
        if self._pipe is not None:
            weakref.finalize(self, os.close, self._pipe)

    def send(self, count: int = 1) -> None:
        """Wake up to ``count`` waiting threads."""
        if self._pipe is not None:
            with suppress(BlockingIOError):  # the pipe is full, so thousands are pending
                os.write(self._pipe, b"." * count)

    def take(self) -> None:
        """Remove one, if there is any."""
        if self._pipe is not None:
            with suppress(BlockingIOError):
                os.read(self._pipe, 1)

    def wait(self, seconds: float) -> None:
        """Wait until there is one, for ``seconds`` at most."""
        if self._pipe is None:
            time.sleep(seconds)
            return
        poller = select.poll()  # select() refuses descriptors above 1,023
        poller.register(self._pipe, select.POLLIN)
        poller.poll(seconds * 1000)


class WakingSqliteStorage(SqliteStorage):  # type: ignore[misc] # huey has no types
    """``dequeue`` waits for ``read_timeout`` seconds at most."""

    blocking = True  # the consumer calls ``dequeue`` again without a pause

    def __init__(self, name: str, filename: str, *, read_timeout: float = POLL_SECONDS) -> None:
        super().__init__(name, filename)
        self.read_timeout = read_timeout
        self.wake_ups = WakeUps(Path(filename + SUFFIX))

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        super().enqueue(data, priority)
        self.wake_ups.send()

    def dequeue(self) -> bytes | None:
        deadline = time.monotonic() + self.read_timeout
        while (data := self._dequeue()) is None and (left := deadline - time.monotonic()) > 0:
            self.wake_ups.wait(left)
        return data

    def _dequeue(self) -> bytes | None:
        self.wake_ups.take()  # before the look: the byte of a task that it misses stays
        data: bytes | None = super().dequeue()
        return data


class WakingSqliteHuey(SqliteHuey):  # type: ignore[misc] # as above
    storage_class = WakingSqliteStorage


def _open_pipe(path: Path) -> int | None:
    """None where the file system has no pipes: there the queue is polled only."""
    try:
        with suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError as error:
        log.warning("the queue is polled: no named pipe", file=str(path), reason=error.strerror)
        return None
    found = os.fstat(pipe)
    if stat.S_ISFIFO(found.st_mode) and found.st_uid == os.geteuid():
        return pipe
    os.close(pipe)
    log.warning("the queue is polled: not a named pipe of this account", file=str(path))
    return None
