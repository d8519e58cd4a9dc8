"""What must not be read in a log is taken out of every line, wherever in it and however it got there.

Lines hold text from outside, so each step costs at most in proportion to what it is given, and it is given little:
values are cut before any pattern sees them.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from structlog.typing import EventDict, WrappedLogger

HIDDEN = "[hidden]"
MAX_CHARACTERS = 2048  # of one value
MAX_TRACEBACK_CHARACTERS = 16 * 1024
MAX_ENTRIES = 50  # of one list or mapping
MAX_DEPTH = 3  # of lists and mappings inside each other
# A cut may split a secret, of which no pattern knows the first half: this much before the cut is not shown.
MARGIN = 512
_NAMES = (
    r"authorization|(?:set-)?cookie|password|passwd|secret[_-]?key(?:[_-]?old)?|secret|sealed[_-]?key|token|"
    r"(?:callback|access|session|refresh|invitation)[_-]?token|api[_-]?key|aws[_-]secret[_-]access[_-]key|signature"
)
_NAMED = re.compile(_NAMES, re.IGNORECASE)
# The second quote may be missing where the text was cut.
_VALUE = r"""(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s"',;&)}\]]+)"""


def _without_query(address: re.Match[str]) -> str:
    return f"{address[1]}?{HIDDEN}" if address[2] else address[0]


# The path that is a generator's permission to report; also inside JSON with escaped slashes, or percent-encoded.
CALLBACK_PATH = re.compile(r"((?:\\?/|%2F)api(?:\\?/|%2F)callback(?:\\?/|%2F))[^\s\"'<>\\]+", re.IGNORECASE)
# payload.time.signature
SIGNED_TOKEN = re.compile(r"(?<![\w-])[\w-]{8,}\.[\w-]{6}\.[\w-]{27}(?![\w-])")

# In this order: what is recognised by what stands round it comes before what is by its own form.
_RULES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (CALLBACK_PATH, rf"\1{HIDDEN}"),
    # Whole addresses: user and password, and all of a query, as presigned ones and signed sources have their secret there.
    (re.compile(r"://[^\s/@\"'<>]+@"), f"://{HIDDEN}@"),
    (re.compile(r"(https?://[^\s?#\"'<>]*)([?#][^\s\"'<>]*)?", re.IGNORECASE), _without_query),
    # Headers: to the end of the line, as cookies and schemes have parts.
    (re.compile(r"(\b(?:set-)?cookie[\"']?\s*[:=]\s*)[^\r\n]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Parts of a query without its address.
    (re.compile(r"(\bX-Amz-[A-Za-z-]{1,40}=)[^\s&\"'<>]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(r"([?&](?:key|code|sig|signature|token|ticket|invitation)=)[^\s&\"'<>]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    # The same inside another address, where they are percent-encoded, perhaps more than once.
    (
        re.compile(
            r"(%(?:25)*(?:3F|26)(?:key|code|sig|signature|token|ticket|invitation|X-Amz-[A-Za-z-]{1,40})(?:=|%(?:25)*3D))"
            r"(?:(?!%(?:25)*26)[^\s&\"'<>])+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"(\b(?:{_NAMES})\b[\"']?\s*[:=]\s*){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\b(?:__Host-)?videovault_session=)[^\s;\"']+"), rf"\1{HIDDEN}"),
    # By their own form: webhook secrets, personal API tokens, signed tokens, 256 random bits.
    (re.compile(r"\bwhsec_[\w+/=-]+"), HIDDEN),
    (re.compile(r"\bvv_[\w-]{43}"), HIDDEN),
    (SIGNED_TOKEN, HIDDEN),
    (re.compile(r"(?<![\w/-])[A-Za-z0-9_-]{43}(?![\w-])"), HIDDEN),
)


class _Beginning(str):
    """The first characters of a longer text; ``total`` is how many it had."""

    total: int


def redact_text(line: str, secrets: Iterable[str] = ()) -> str:
    """The line without what must not be read in it; ``secrets`` are values to hide in any place.

    Of a line over ``MOST_CHARACTERS`` the beginning, which says how long the line was.
    """
    return _redacted(_beginning(line, MAX_CHARACTERS), secrets)


def bound_values(event: EventDict) -> EventDict:
    """The event with values of bounded size that nothing can change any more; it still holds secrets."""
    return {
        name: _bounded(value, MAX_TRACEBACK_CHARACTERS if name == "exception" else MAX_CHARACTERS)
        for name, value in event.items()
    }


def processor(secrets: Iterable[str]) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """For structlog, as the last one before a line is written: all values and exceptions are gone through."""
    known = sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True)

    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {name: _value(name, value, known) for name, value in bound_values(event).items()}

    return redact


def _redacted(line: str, secrets: Iterable[str]) -> str:
    shown = str(line)
    for secret in secrets:
        shown = shown.replace(secret, HIDDEN)
    for pattern, replacement in _RULES:
        shown = pattern.sub(replacement, shown)
    if isinstance(line, _Beginning):
        margin = max(MARGIN, *map(len, secrets), 0)
        shown = f"{shown[:-margin]}… (cut, {line.total:,} characters)"
    return shown


def _beginning(line: str, most: int) -> str:
    if isinstance(line, _Beginning) or len(line) <= most:
        return line
    beginning = _Beginning(line[:most])
    beginning.total = len(line)
    return beginning


def _bounded(value: Any, most: int, depth: int = 0) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _beginning(value, most)
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth == MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        entries = islice(value.items(), MAX_ENTRIES)
        return {_beginning(str(key), most): _bounded(one, most, depth + 1) for key, one in entries}
    if isinstance(value, list | tuple | set | frozenset):
        return [_bounded(one, most, depth + 1) for one in islice(value, MAX_ENTRIES)]
    return _beginning(repr(value), most)  # as it would have been written


def _value(name: str, value: Any, secrets: Iterable[str]) -> Any:
    if _NAMED.fullmatch(name):
        return HIDDEN
    if isinstance(value, str):
        return _redacted(value, secrets)
    if isinstance(value, dict):
        return {_redacted(key, secrets): _value(key, one, secrets) for key, one in value.items()}
    if isinstance(value, list):
        return [_value("", one, secrets) for one in value]
    return value


# No text from outside begins a line of its own in the log, or looks like another line: fail2ban acts on them.

FIRST = ("timestamp", "level", "event")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
INDENT = "    "


def escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For lines of text: control characters are shown as escapes, and the lines of a traceback are indented."""
    shown = {name: _escaped(value) for name, value in event.items()}
    if isinstance(event.get("exception"), str):
        shown["exception"] = "\n".join(INDENT + _escaped(line) for line in event["exception"].splitlines())
    return shown


def order_keys(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """For lines of JSON: what the line is about comes first, where nothing from outside can stand before it."""
    first = {name: event[name] for name in FIRST if name in event}
    return first | {name: value for name, value in event.items() if name not in first}


def _escaped(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
