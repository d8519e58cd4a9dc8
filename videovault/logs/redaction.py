"""What must not be read in a log is taken out of every line, wherever in it and however it got there."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from structlog.typing import EventDict, WrappedLogger

HIDDEN = "[hidden]"
_NAMES = (
    r"authorization|(?:set-)?cookie|password|passwd|secret[_-]?key(?:[_-]?old)?|secret|sealed[_-]?key|token|"
    r"(?:callback|access|session|refresh|invitation)[_-]?token|api[_-]?key|aws[_-]secret[_-]access[_-]key|signature"
)
_NAMED = re.compile(_NAMES, re.IGNORECASE)
_VALUE = r"""(?:"[^"]*"|'[^']*'|[^\s"',;&)}\]]+)"""

# In this order: what is recognised by what stands round it comes before what is by its own form.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # Whole addresses: user and password, and all of a query, as presigned ones and signed sources have their secret there.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@\"'<>]+@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    (re.compile(r"(\bhttps?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE), rf"\1?{HIDDEN}"),
    # Headers: to the end of the line, as cookies and schemes have parts.
    (re.compile(r"(\b(?:set-)?cookie[\"']?\s*[:=]\s*)[^\r\n]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Parts of a query without its address.
    (re.compile(r"(\bX-Amz-[A-Za-z-]+=)[^\s&\"'<>]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(r"([?&](?:key|code|sig|signature|token|ticket|invitation)=)[^\s&\"'<>]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    # The same inside another address, where they are percent-encoded, perhaps more than once.
    (
        re.compile(
            r"(%(?:25)*(?:3F|26)(?:key|code|sig|signature|token|ticket|invitation|X-Amz-[A-Za-z-]+)(?:=|%(?:25)*3D))"
            r"(?:(?!%(?:25)*26)[^\s&\"'<>])+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"(\b(?:{_NAMES})\b[\"']?\s*[:=]\s*){_VALUE}", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\b(?:__Host-)?videovault_session=)[^\s;\"']+"), rf"\1{HIDDEN}"),
    # By their own form: webhook secrets, personal API tokens, signed tokens (payload.time.signature), 256 random bits.
    (re.compile(r"\bwhsec_[\w+/=-]+"), HIDDEN),
    (re.compile(r"\bvv_[\w-]{43}"), HIDDEN),
    (re.compile(r"(?<![\w-])[\w-]{8,}\.[\w-]{6}\.[\w-]{27}(?![\w-])"), HIDDEN),
    (re.compile(r"(?<![\w/-])[A-Za-z0-9_-]{43}(?![\w-])"), HIDDEN),
)


def text(line: str, secrets: Iterable[str] = ()) -> str:
    """The line without what must not be read in it; ``secrets`` are values to hide in any place."""
    for secret in secrets:
        line = line.replace(secret, HIDDEN)
    for pattern, shown in _RULES:
        line = pattern.sub(shown, line)
    return line


def processor(secrets: Iterable[str]) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    """For structlog, as the last one before a line is written: all values and exceptions are gone through."""
    known = sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True)

    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {name: _value(name, value, known) for name, value in event.items()}

    return redact


def _value(name: str, value: Any, secrets: Iterable[str]) -> Any:
    if _NAMED.fullmatch(name):
        return HIDDEN
    if isinstance(value, str):
        return text(value, secrets)
    if isinstance(value, Mapping):
        return {key: _value(str(key), one, secrets) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value("", one, secrets) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return text(repr(value), secrets)  # as it would have been written
