"""Write log lines in a separate thread, so that no request waits for redaction or a slow reader."""

import atexit
import logging
import queue
import sys
import threading
from contextlib import suppress
from typing import TextIO

import structlog
from structlog.typing import Processor

from videovault.logs import redaction

MAX_LINES = 4096
FLUSH_SECONDS = 5.0


class LogWriter(logging.StreamHandler[TextIO]):
    """Queues lines and writes them in order; when the queue is full, it drops lines and logs their number.

    ``gather`` are the processors for lines of libraries. They run in the logging thread, since they need its context.
    """

    def __init__(
        self, gather: list[Processor], stream: TextIO | None = None, max_lines: int = MAX_LINES
    ) -> None:
        super().__init__(stream)
        self._gather = gather
        self._lines: queue.Queue[logging.LogRecord | None] = queue.Queue(max_lines)
        self._dropped = 0
        self._count_lock = threading.Lock()
        self._thread = threading.Thread(target=self._write_all, name="log writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self._process(record))
        except queue.Full:
            with self._count_lock:
                self._dropped += 1
        except Exception:  # noqa: BLE001 - an argument that cannot be formatted must not fail the caller
            self.handleError(record)

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all lines so far are written, at most ``seconds``."""
        if threading.current_thread() is self._thread:
            super().flush()
            return
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, seconds)

    def close(self) -> None:
        """Write the queue and end the thread; later lines are dropped."""
        atexit.unregister(self.close)
        self.flush()
        with suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(FLUSH_SECONDS)
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Report the lost line, but unlike logging itself without its arguments."""
        kind = sys.exc_info()[0]
        with suppress(OSError, ValueError):
            reason = kind.__name__ if kind else "unknown"
            self.stream.write(
                f"A line of {record.name} ({record.module}:{record.lineno}) is lost: {reason}\n"
            )

    def _process(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy in the form of our own lines that no other thread can change."""
        copy = logging.makeLogRecord(record.__dict__)
        if isinstance(record.msg, dict):
            copy.__dict__["msg"] = redaction.bound_values(record.msg)
            return copy
        level = record.levelname.lower()
        event: structlog.typing.EventDict = {"event": record.getMessage()}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        for processor in self._gather:
            event = processor(None, level, event)  # type: ignore[assignment] # these all return an event
        copy.__dict__.update(
            msg=redaction.bound_values(event), args=(), exc_info=None, exc_text=None, stack_info=None
        )
        copy.__dict__.update(_logger=None, _name=level)  # marks it as processed for structlog's formatter
        return copy

    def _write_all(self) -> None:
        while (record := self._lines.get()) is not None:
            super().emit(record)
            if self._dropped:
                super().emit(self._dropped_record())
            self._lines.task_done()
        self._lines.task_done()

    def _dropped_record(self) -> logging.LogRecord:
        with self._count_lock:
            number, self._dropped = self._dropped, 0
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, "log lines dropped", (), None)
        record = self._process(record)
        record.__dict__["msg"]["number"] = number
        return record
