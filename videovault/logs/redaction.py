"""Redact secrets in every log line, at any place.

Lines contain untrusted text, so each step takes linear time, and values are truncated before any pattern sees them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from structlog.typing import EventDict, WrappedLogger

HIDDEN = "[hidden]"
MAX_CHARACTERS = 2048  # per value
MAX_TRACEBACK_CHARACTERS = 16 * 1024
MAX_ENTRIES = 50  # per list or mapping
MAX_DEPTH = 3  # of nested lists and mappings
# Truncation may split a secret, and no pattern matches half of it, so this much before the end is not shown.
MARGIN = 512
_NAMES = (
    r"authorization|(?:set-)?cookie|password|passwd|secret[_-]?key(?:[_-]?old)?|secret|sealed[_-]?key|token|"
    r"(?:callback|access|session|refresh|invitation)[_-]?token|api[_-]?key|aws[_-]secret[_-]access[_-]key|signature"
)
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
# The closing quote may be missing in truncated text.
_ASSIGNED_TEXT = r"""(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s"',;&)}\]]+)"""


def _redact_query(address: re.Match[str]) -> str:
    return f"{address[1]}?{HIDDEN}" if address[2] else address[0]


# The callback path contains the token; also inside JSON with escaped slashes, or percent-encoded.
CALLBACK_PATH = re.compile(r"((?:\\?/|%2F)api(?:\\?/|%2F)callback(?:\\?/|%2F))[^\s\"'<>\\]+", re.IGNORECASE)
# payload.time.signature
SIGNED_TOKEN = re.compile(r"(?<![\w-])[\w-]{8,}\.[\w-]{6}\.[\w-]{27}(?![\w-])")

# The order matters: secrets recognised by their context come before those recognised by their form.
_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (CALLBACK_PATH, rf"\1{HIDDEN}"),
    # URLs: user, password and the whole query, which holds the secret of presigned URLs and signed sources.
    (re.compile(r"://[^\s/@\"'<>]+@"), f"://{HIDDEN}@"),
    (re.compile(r"(https?://[^\s?#\"'<>]*)([?#][^\s\"'<>]*)?", re.IGNORECASE), _redact_query),
    # Headers: to the end of the line, since cookies and schemes have several parts.
    (re.compile(r"(\b(?:set-)?cookie[\"']?\s*[:=]\s*)[^\r\n]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Parts of a query without its URL.
    (re.compile(r"(\bX-Amz-[A-Za-z-]{1,40}=)[^\s&\"'<>]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(r"([?&](?:key|code|sig|signature|token|ticket|invitation)=)[^\s&\"'<>]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    # The same inside another URL, percent-encoded once or more often.
    (
        re.compile(
            r"(%(?:25)*(?:3F|26)(?:key|code|sig|signature|token|ticket|invitation|X-Amz-[A-Za-z-]{1,40})(?:=|%(?:25)*3D))"
            r"(?:(?!%(?:25)*26)[^\s&\"'<>])+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"(\b(?:{_NAMES})\b[\"']?\s*[:=]\s*){_ASSIGNED_TEXT}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\b(?:__Host-)?videovault_session=)[^\s;\"']+"), rf"\1{HIDDEN}"),
    # By their form: webhook secrets, personal API tokens, signed tokens, 256 random bits.
    (re.compile(r"\bwhsec_[\w+/=-]+"), HIDDEN),
    (re.compile(r"\bvv_[\w-]{43}"), HIDDEN),
    (SIGNED_TOKEN, HIDDEN),
    (re.compile(r"(?<![\w/-])[A-Za-z0-9_-]{43}(?![\w-])"), HIDDEN),
)


class _Truncated(str):
    """A truncated text; ``total`` is its original length."""

    total: int


def redact_text(line: str, secrets: Iterable[str] = ()) -> str:
    """Redact a line, including all ``secrets``.

    A line longer than ``MAX_CHARACTERS`` is truncated, with its length at the end.
    """
    return _redact_line(_truncated(line, MAX_CHARACTERS), secrets)


def bound_values(event: EventDict) -> EventDict:
    """Copy the event with values of bounded size. It still contains secrets."""
    return {
        name: _bound(value, MAX_TRACEBACK_CHARACTERS if name == "exception" else MAX_CHARACTERS)
        for name, value in event.items()
    }


def processor(secrets: Iterable[str]) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """A structlog processor that redacts all values and exceptions, as the last step before rendering."""
    known = sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True)

    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {name: _redact_value(name, value, known) for name, value in bound_values(event).items()}

    return redact


def _redact_line(line: str, secrets: Iterable[str]) -> str:
    shown = str(line)
    for secret in secrets:
        shown = shown.replace(secret, HIDDEN)
    for pattern, replacement in _RULES:
        shown = pattern.sub(replacement, shown)
    if isinstance(line, _Truncated):
        margin = max(MARGIN, *map(len, secrets), 0)
        shown = f"{shown[:-margin]}… (cut, {line.total:,} characters)"
    return shown


def _truncated(line: str, max_length: int) -> str:
    if isinstance(line, _Truncated) or len(line) <= max_length:
        return line
    truncated = _Truncated(line[:max_length])
    truncated.total = len(line)
    return truncated


def _bound(value: Any, max_length: int, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _truncated(value, max_length)
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth == MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        entries = islice(value.items(), MAX_ENTRIES)
        return {_truncated(str(key), max_length): _bound(one, max_length, depth + 1) for key, one in entries}
    if isinstance(value, list | tuple | set | frozenset):
        return [_bound(one, max_length, depth + 1) for one in islice(value, MAX_ENTRIES)]
    return _truncated(repr(value), max_length)


def _redact_value(name: str, value: Any, secrets: Iterable[str]) -> Any:
    if _SECRET_NAME.fullmatch(name):
        return HIDDEN
    if isinstance(value, str):
        return _redact_line(value, secrets)
    if isinstance(value, dict):
        return {_redact_line(key, secrets): _redact_value(key, one, secrets) for key, one in value.items()}
    if isinstance(value, list):
        return [_redact_value("", one, secrets) for one in value]
    return value


# Untrusted text must not start a new log line or look like another line, since fail2ban acts on them.

FIRST = ("timestamp", "level", "event")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
INDENT = "    "


def escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For text output: escape control characters and indent tracebacks."""
    shown = {name: _escape(value) for name, value in event.items()}
    if isinstance(event.get("exception"), str):
        shown["exception"] = "\n".join(INDENT + _escape(line) for line in event["exception"].splitlines())
    return shown


def order_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For JSON output: the fields of ``FIRST`` come first, so that no untrusted text precedes them."""
    first = {name: event[name] for name in FIRST if name in event}
    return first | {name: value for name, value in event.items() if name not in first}


def _escape(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
