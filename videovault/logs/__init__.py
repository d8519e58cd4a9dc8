"""Structured logs, one line per event, each with the id of its request or job."""

import logging
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from videovault.logs import redaction
from videovault.logs.writer import LogWriter

LIBRARY_LEVELS = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "botocore": logging.WARNING,
    "huey": logging.WARNING,
    "alembic": logging.WARNING,
}
# Libraries with their own handlers, which are removed so that their lines propagate.
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


def flush() -> None:
    """Wait a few seconds at most until all lines so far are written."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def get(name: str) -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


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


def refused(what: str, **more: object) -> None:
    """Log the line that fail2ban reads. Its format is documented in docs/fail2ban.md and must not change."""
    get("videovault.audit").warning(f"{what} refused from {client_ip() or 'unknown'}", **more)


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    """Log an uncaught exception as a redacted line, since Python's own output would show secrets."""
    if issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    get(__name__).critical("uncaught exception", exc_info=(kind, error, trace))
