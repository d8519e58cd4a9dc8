"""Parses JSON from outside with a limit on nesting, so that recursive code behind it cannot overflow the stack."""

import json
from typing import Any

MAX_DEPTH = 32
_OTHERS = bytes(set(range(256)) - set(b"[]"))
_LONGEST_INTEGER = 20
_TOO_MANY = b"[" * (MAX_DEPTH + 1)
_BRACKETS = bytes.maketrans(b"{}", b"[]")


class DuplicateKeyValues(list[Any]):
    """The values of a key that occurs several times in one object."""


class TooDeep(ValueError):
    """Lists and objects nested deeper than ``MAX_DEPTH``."""


def loads(text: str | bytes) -> Any:
    """Parse JSON. Raises TooDeep, and ValueError for invalid JSON; never RecursionError."""
    text = _decoded(text)
    _check(text.encode(errors="surrogatepass"))
    return json.loads(text)


def loads_checked(text: str | bytes) -> Any:
    """As ``loads`` for text that passed ``check``, which takes longer than the parsing."""
    return json.loads(_decoded(text))


def loads_lenient(text: str) -> tuple[Any, str]:
    """As ``loads`` for hand-written JSON: the first value, and the text behind it.

    Line breaks in strings are accepted, an integer too long for a column becomes a float, and a key that occurs twice
    with different values holds ``DuplicateKeyValues``.
    """
    text = text.lstrip()
    _check(text.encode(errors="surrogatepass"))
    value, end = _LENIENT.raw_decode(text)
    return value, text[end:]


def check(text: str | bytes) -> None:
    """Raises TooDeep; whether the text is valid JSON is left to the parser."""
    try:
        decoded = _decoded(text)
    except UnicodeDecodeError:
        return
    _check(decoded.encode(errors="surrogatepass"))


def _decoded(text: str | bytes) -> str:
    """Decode as ``json.loads`` does. Raises ValueError."""
    return text if isinstance(text, str) else text.decode(json.detect_encoding(text), "surrogatepass")


def _check(raw: bytes) -> None:
    """Remove strings, then the innermost brackets up to ``MAX_DEPTH`` times: a few passes in C over at most 1 MiB."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    bare = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = bare.translate(_BRACKETS).translate(None, _OTHERS)
    for _ in range(MAX_DEPTH):
        if _TOO_MANY in brackets:  # one pass finds it, while removing pairs would need a pass for each level
            break
        before, brackets = len(brackets), brackets.replace(b"[]", b"")
        if len(brackets) in (0, before):
            break
    if brackets:
        raise TooDeep(f"Lists and objects are nested deeper than {MAX_DEPTH} levels.")


def _integer(digits: str) -> int | float:
    """Python refuses to parse integers of thousands of digits."""
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
