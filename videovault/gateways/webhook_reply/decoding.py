"""Decodes the bytes of a message into objects, lists and strings: JSON, forms, and JSON inside strings."""

import json
from contextlib import suppress
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from python_multipart import parse_form
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field

from videovault import untrusted_json

MAX_BYTES = 1024 * 1024
MAX_FORM_FIELDS = 1000
MAX_DEPTH = 3  # JSON in a string in JSON …
FENCE = "```"
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MAX_MULTIPART_BYTES = 64 * 1024  # its parser reads byte by byte


class Unreadable(ValueError):
    """The message is a sentence that says why the bytes cannot be decoded."""


def parse(body: bytes, content_type: str = "") -> Any:
    """The value of the body: JSON, a form, or else the text itself. Raises Unreadable."""
    if len(body) > MAX_BYTES:
        raise Unreadable(f"It is longer than {MAX_BYTES // 1024:,} KiB.")
    text = _decoded(body).strip()
    media_type = content_type.partition(";")[0].strip().lower()
    if text[:1] not in ("{", "[") and media_type == FORM:
        return _fields(_form_pairs(text))
    if text[:2] == "--" and media_type == MULTIPART:
        return _fields(_multipart_pairs(body, content_type))
    return _unpack(text, MAX_DEPTH)


def value_at(value: Any, path: str) -> Any:
    """The value at a dotted path such as ``movie.url`` or ``output.0``; None if there is none.

    Lists of one need no index. A name that does not match exactly is compared in its ``canonical`` form.
    """
    for step in path.replace("[", ".").replace("]", "").split("."):
        while isinstance(value, list) and len(value) == 1 and not step.isdecimal():
            value = value[0]
        if isinstance(value, dict):
            value = value[step] if step in value else by_name(value).get(canonical(step))
        elif isinstance(value, list) and step.isdecimal() and len(step) <= 6 and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def by_name(value: dict[str, Any]) -> dict[str, Any]:
    """Keyed by canonical names; of names that differ only in spelling, the first counts."""
    found: dict[str, Any] = {}
    for name, held in value.items():
        found.setdefault(canonical(name), held)
    return found


def canonical(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()


def _decoded(body: bytes) -> str:
    with suppress(UnicodeDecodeError):
        return body.decode(json.detect_encoding(body)).removeprefix("\ufeff")
    return body.decode("utf-8", "replace").removeprefix("\ufeff")


def _form_pairs(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        raise Unreadable("Its form has too many fields.") from error


def _multipart_pairs(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """The text fields; files are left out."""
    if len(body) > MAX_MULTIPART_BYTES:
        raise Unreadable(f"Its form is longer than {MAX_MULTIPART_BYTES // 1024} KiB.")
    pairs = []

    def add(field: Field) -> None:
        name, value = field.field_name or b"", field.value or b""
        pairs.append((name.decode("utf-8", "replace"), value.decode("utf-8", "replace")))

    try:
        parse_form({"Content-Type": content_type.encode("latin-1", "replace")}, BytesIO(body), add, None)
    except (FormParserError, ValueError) as error:
        raise Unreadable("Its form cannot be decoded.") from error
    return pairs


def _fields(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The form's fields; those like ``metadata[size]`` become a nested object."""
    found: dict[str, Any] = {}
    for name, text_of_field in pairs:
        outer, _, inner = name.partition("[")
        value = _unpack(text_of_field, MAX_DEPTH)
        holder = found.setdefault(outer, {}) if inner else found
        if isinstance(holder, dict):
            _add(holder, inner.removesuffix("]") or outer, value)
    return found


def _add(holder: dict[str, Any], name: str, value: Any) -> None:
    if name not in holder:
        holder[name] = value
    elif isinstance(holder[name], untrusted_json.DuplicateKeyValues):
        holder[name].append(value)
    elif holder[name] != value:
        holder[name] = untrusted_json.DuplicateKeyValues([holder[name], value])


def _unpack(value: Any, depth: int) -> Any:
    """Replaces strings that contain JSON by its value, up to ``depth`` levels."""
    if isinstance(value, dict):
        return {name: _unpack(held, depth) for name, held in value.items()}
    if isinstance(value, list):
        unpacked = [_unpack(held, depth) for held in value]
        return (
            untrusted_json.DuplicateKeyValues(unpacked)
            if isinstance(value, untrusted_json.DuplicateKeyValues)
            else unpacked
        )
    if isinstance(value, str) and depth:
        inner = _json_in(value)
        return value if inner is None else _unpack(inner, depth - 1)
    return value


def _json_in(text: str) -> Any:
    """The object or list in a text: all of it, in a code fence, or an object after some words. None without one."""
    text = text.strip()
    fenced = text.split(FENCE, 2)[1] if FENCE in text else ""
    for part in (text, fenced.partition("\n")[2] or fenced, _from_brace(text)):
        if part.lstrip()[:1] in ("{", "[", '"'):
            with suppress(ValueError):
                value, rest = untrusted_json.loads_lenient(part)
                if isinstance(value, dict) or not rest.strip():
                    return value
    return None


def _from_brace(text: str) -> str:
    """From the first brace on, for JSON that follows a sentence."""
    if text[:1] == "<":  # a web page, whose braces are style sheets
        return ""
    return text[text.find("{") :] if "{" in text else ""
