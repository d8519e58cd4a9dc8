"""Reads JSON from outside within a depth that everything which handles it afterwards can bear."""

import json
from typing import Any

MOST_DEPTH = 32
_OTHERS = bytes(set(range(256)) - set(b"[]"))
_BRACKETS = bytes.maketrans(b"{}", b"[]")


class TooDeep(ValueError):
    """Lists and objects inside each other beyond ``MOST_DEPTH``."""


def loads(text: str | bytes) -> Any:
    """What the JSON says. Raises TooDeep, and ValueError for what is no JSON; never RecursionError."""
    text = _decoded(text)
    _check(text.encode(errors="surrogatepass"))
    return json.loads(text)


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
    if raw.count(b"[") + raw.count(b"{") <= MOST_DEPTH:
        return
    bare = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = bare.translate(_BRACKETS).translate(None, _OTHERS)
    for _ in range(MOST_DEPTH):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise TooDeep(f"Lists and objects go deeper than {MOST_DEPTH} levels.")
