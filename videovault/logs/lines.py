"""No text from outside begins a line of its own in the log, or looks like another line: fail2ban acts on them."""

import re
from typing import Any

from structlog.typing import EventDict, WrappedLogger

FIRST = ("timestamp", "level", "event")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
INDENT = "    "


def escaped(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For lines of text: control characters are shown as escapes, and the lines of a traceback are indented."""
    shown = {name: _escaped(value) for name, value in event.items()}
    if isinstance(event.get("exception"), str):
        shown["exception"] = "\n".join(INDENT + _escaped(line) for line in event["exception"].splitlines())
    return shown


def in_order(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For lines of JSON: what the line is about comes first, where nothing from outside can stand before it."""
    first = {name: event[name] for name in FIRST if name in event}
    return first | {name: value for name, value in event.items() if name not in first}


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
