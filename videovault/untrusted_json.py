"""Reads JSON from outside within a depth that everything which handles it afterwards can bear."""

import json
from typing import Any

MAX_DEPTH = 32
_OTHERS = bytes(set(range(256)) - set(b"[]"))
_LONGEST_INTEGER = 20
_TOO_MANY = b"[" * (MAX_DEPTH + 1)
_BRACKETS = bytes.maketrans(b"{}", b"[]")


class DuplicateKeyValues(list[Any]):
    """The different values of a name that stands several times in one object."""


class TooDeep(ValueError):
    """Lists and objects inside each other beyond ``MOST_DEPTH``."""


def loads(text: str | bytes) -> Any:
    """What the JSON says. Raises TooDeep, and ValueError for what is no JSON; never RecursionError."""
    text = _decoded(text)
    _check(text.encode(errors="surrogatepass"))
    return json.loads(text)


def loads_checked(text: str | bytes) -> Any:
    """As ``loads``, for what ``check`` has let through already: it takes longer than the reading."""
    return json.loads(_decoded(text))


def loads_lenient(text: str) -> tuple[Any, str]:
    """As ``loads``, for JSON that people put together by hand: the first value, and the text behind it.

    Line breaks in strings are taken, a whole number too long for a column is read as a float, and a name that
    stands twice with different values holds ``Repeated``.
    """
    text = text.lstrip()
    _check(text.encode(errors="surrogatepass"))
    value, end = _LENIENT.raw_decode(text)
    return value, text[end:]


def check(text: str | bytes) -> None:
    """Raises TooDeep, before a parser sees the text; whether it is JSON at all is left to that parser."""
    try:
        decoded = _decoded(text)
    except UnicodeDecodeError:
        return
    _check(decoded.encode(errors="surrogatepass"))


def _decoded(text: str | bytes) -> str:
    """As ``json.loads`` does it. Raises ValueError."""
    return text if isinstance(text, str) else text.decode(json.detect_encoding(text), "surrogatepass")


def _check(raw: bytes) -> None:
    """Take strings out, then the innermost brackets, as often as may be: a few passes in C over at most 1 MiB."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    bare = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = bare.translate(_BRACKETS).translate(None, _OTHERS)
    for _ in range(MAX_DEPTH):
        if (
            _TOO_MANY in brackets
        ):  # found at once, while taking pairs out of it would go through all of it each time
            break
        before, brackets = len(brackets), brackets.replace(b"[]", b"")
        if len(brackets) in (0, before):
            break
    if brackets:
        raise TooDeep(f"Lists and objects go deeper than {MAX_DEPTH} levels.")


def _integer(digits: str) -> int | float:
    """Python refuses to read thousands of digits at all."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        values: dict[str, DuplicateKeyValues] = {name: DuplicateKeyValues() for name in found}
        for name, value in pairs:
            values[name].append(value)
        found |= {name: each for name, each in values.items() if any(value != each[0] for value in each)}
    return found


_LENIENT = json.JSONDecoder(strict=False, parse_int=_integer, object_pairs_hook=_object)
