"""Structured logs, one line per event, each with the id of its request or job."""

import atexit
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TextIO

from videovault import unavailable

with unavailable("rich", "colorama"):  # for coloured tracebacks and for Windows
    import structlog
from structlog.typing import FilteringBoundLogger, Processor

from videovault.logs import redaction

MAX_LINES = 4096  # waiting to be written
FLUSH_SECONDS = 5.0
QUIET_SECONDS = 600.0  # until the same limit is logged again for an address
MAX_ADDRESSES_LOGGED = 100  # in that time, for all addresses together
MAX_KEYS = 1000

LIBRARY_LEVELS = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "botocore": logging.WARNING,
    "huey": logging.WARNING,
    "alembic": logging.WARNING,
}
# Libraries with their own handlers, which are removed so that their lines propagate.
REPEATING_LOGGERS = (
    "huey.consumer.Worker",
)  # every thread reports each second that the queue does not answer
REPEAT_SECONDS = 10.0
SELF_LOGGING_LIBRARIES = ("_granian", "granian.access", "engineio.server", "socketio.server")


def configure(log_format: str, level: str, secrets: Iterable[str] = ()) -> None:
    """Write all logs of this process, including those of libraries, to stderr as ``text`` or ``json`` in a thread.

    ``secrets`` are redacted, beside everything that looks like a secret.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = LogWriter(shared)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redaction.processor(secrets),
                redaction.order_keys if log_format == "json" else redaction.escape_control_characters,
                renderer,
            ],
        )
    )
    _send_all_to(handler, level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda details: _log_uncaught(
        details.exc_type, details.exc_value, details.exc_traceback
    )


def _send_all_to(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for before in root.handlers:
        if isinstance(before, LogWriter):
            before.close()
    root.handlers = [handler]
    root.setLevel(level)
    for name in SELF_LOGGING_LIBRARIES:
        logging.getLogger(name).handlers, logging.getLogger(name).propagate = [], True
    for name, quietest in LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(quietest)
    for name in REPEATING_LOGGERS:
        logging.getLogger(name).filters = [WithoutRepeats()]


def flush() -> None:
    """Wait a few seconds at most until all lines so far are written."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def get(name: str) -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


log = get(__name__)


@contextmanager
def context(**ids: str) -> Iterator[None]:
    """Add these ids, such as ``request_id`` or ``video_id``, to every line inside the block."""
    with structlog.contextvars.bound_contextvars(**ids):
        yield


def bind_client_ip(address: str) -> None:
    """Add this client address to all further lines and events of this task."""
    structlog.contextvars.bind_contextvars(client_ip=address)


def client_ip() -> str:
    """The client address of the current request or page event; empty for background work."""
    return str(structlog.contextvars.get_contextvars().get("client_ip", ""))


def bind_request_id(request_id: str) -> None:
    """Add this id to all further lines of this task."""
    structlog.contextvars.bind_contextvars(request_id=request_id)


def request_id() -> str:
    """The id of the request or page event that this code runs for; empty for background work of no request."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def in_this_context(target: Callable[[], object]) -> Callable[[], None]:
    """``target`` for another thread, whose lines get the ids of this one."""
    ids = structlog.contextvars.get_contextvars()

    def run() -> None:
        with structlog.contextvars.bound_contextvars(**ids):
            target()

    return run


def refused(what: str, **more: object) -> None:
    """Log the line that fail2ban reads. Its format is documented in docs/fail2ban.md and must not change."""
    get("videovault.audit").warning(f"{what} refused from {client_ip() or 'unknown'}", **more)


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Log an uncaught exception as a redacted line, since Python's own output would show secrets."""
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    log.critical("uncaught exception", exc_info=(kind, error, trace))


class LogWriter(logging.StreamHandler[TextIO]):
    """Queues lines and writes them in order in a thread, so that no request waits for redaction or a slow reader.

    When the queue is full, it drops lines and logs their number.
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


class LimitLog:
    """Logs when a limit starts to apply to a client, but not each rejection. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: set[tuple[str, str]] = set()
        self._until = 0.0

    def note(self, limit: str, address: str) -> None:
        """``address`` is the client's or its network; empty if unknown."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._logged, self._until = set(), time.monotonic() + QUIET_SECONDS
            if (limit, address) in self._logged or len(self._logged) >= MAX_ADDRESSES_LOGGED:
                return
            self._logged.add((limit, address))
        log.warning("limit reached", limit=limit, address=address)


class OncePerInterval:
    """Whether a key is due, at most once in ``seconds``. Thread-safe, at most ``MAX_KEYS`` entries."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}  # oldest first
        self._lock = threading.Lock()

    def is_due(self, key: str) -> bool:
        now = self._clock()
        with self._lock:
            if now - self._last.get(key, -self._seconds) < self._seconds:
                return False
            self._last.pop(key, None)
            self._last[key] = now
            if len(self._last) > MAX_KEYS:
                del self._last[next(iter(self._last))]
            return True


class WithoutRepeats(logging.Filter):
    """Lets a message of a library's logger pass once in REPEAT_SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self._due = OncePerInterval(REPEAT_SECONDS)

    def filter(self, record: logging.LogRecord) -> bool:
        return self._due.is_due(record.getMessage())
