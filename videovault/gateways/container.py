"""Detect a file's video container by its first bytes, and truncated files by the lengths that they declare.

``filetype`` detects MP4, MOV, WebM, MKV, AVI and other files; the rest is added here. The structure is read in the
sandboxed child, in few and bounded reads for any content.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import filetype

from videovault.errors import SourceError

Container = Literal["mp4", "mov", "webm", "mkv", "avi", "ts"]
Read = Callable[[int, int], bytes]  # of bytes from an offset; fewer at the end of the file
Span = tuple[int, int]  # from the first byte to the one after the last

SNIFF_BYTES = 4096

CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "ts": "video/mp2t",
}
_CONTAINERS: dict[str, Container] = {
    "mp4": "mp4",
    "m4v": "mp4",
    "3gp": "mp4",
    "mov": "mov",
    "webm": "webm",
    "mkv": "mkv",
    "avi": "avi",
}
# QuickTime files from before 2001 have no ftyp box and start with one of these.
_OLD_QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_LARGEST_FIRST_BOX = 0x10000000  # above, the four bytes of the size are more likely letters
# Offset and distance of sync bytes in MPEG transport streams: plain, with time codes (M2TS), with error correction.
_TS_PACKETS = ((0, 188), (4, 192), (0, 204))
_TS_SYNC_BYTE = 0x47

_WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<!--")
_SUPPORTED = "MP4, MOV, WebM, MKV, AVI and MPEG-TS can be stored"

MAX_ELEMENTS = 2_000
TAIL_STEP_BYTES, MAX_TAIL_BYTES = 1024**2, 16 * 1024**2
# Other boxes are skipped but prove nothing, since any four letters look like a box type.
_BOXES = set(b"ftyp styp moov mdat moof mfra sidx free skip wide uuid udta".split())
_EBML, _SEGMENT, _CLUSTER, _TIMESTAMP = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", 0xE7
_HEADER_BYTES = 16  # the longest header of a box or an element


class WebPage(SourceError):
    """The file is HTML; ``head`` are its first bytes."""

    def __init__(self, head: bytes) -> None:
        super().__init__("This address gives a web page, not a video.")
        self.head = head


@dataclass(frozen=True)
class Structure:
    """``is_complete`` is None if unknown.

    ``ends`` are the spans of a Matroska file without a duration that hold its first and last timestamps.
    """

    is_complete: bool | None
    ends: tuple[Span, Span] | None = None


UNKNOWN = Structure(None)


def detect_container(head: bytes) -> Container:
    """The container of a file that starts with ``head``, its first SNIFF_BYTES or all of a shorter file.

    Raises SourceError that names the actual type, and WebPage for HTML.
    """
    kind = filetype.guess(head)
    if kind and kind.extension in _CONTAINERS:
        return _CONTAINERS[kind.extension]
    if _is_transport_stream(head):
        return "ts"
    if kind:
        raise SourceError(_describe_file(cast("str", kind.mime), cast("str", kind.extension)))
    if head[4:8] == b"ftyp":
        return "mp4"
    if _is_old_quicktime(head):
        return "mov"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_WEB_PAGE):
        raise WebPage(head)
    raise SourceError(f"This address gives {_describe_text(head, text)}.")


def read_structure(container: str, size: int, read: Read) -> Structure:
    """``container`` as ``detect_container`` names it, ``size`` in bytes."""
    if container in ("mp4", "mov"):
        return Structure(_has_complete_boxes(size, read))
    if container in ("webm", "mkv"):
        return _matroska(size, read)
    if container == "avi":
        return Structure(_has_complete_riff(size, read))
    return UNKNOWN


def _is_transport_stream(head: bytes) -> bool:
    return any(
        len(head) > offset + 2 * length and set(head[offset::length]) == {_TS_SYNC_BYTE}
        for offset, length in _TS_PACKETS
    )


def _is_old_quicktime(head: bytes) -> bool:
    size = int.from_bytes(head[:4], "big")
    return head[4:8] in _OLD_QUICKTIME_BOXES and (size == 1 or 8 <= size < _LARGEST_FIRST_BOX)


def _describe_file(mime: str, extension: str) -> str:
    family = mime.partition("/")[0]
    if family == "video":
        return f"This address gives a video in the format {extension.upper()}; {_SUPPORTED}."
    article = {"image": "an image", "audio": "an audio file"}.get(family, "a file")
    return f"This address gives {article} ({extension.upper()}), not a video."


def _describe_text(head: bytes, text: bytes) -> str:
    if text.startswith(b"#extm3u") or b"<mpd" in text[:1024]:
        return "a streaming playlist; the address of a video file is needed"
    if text.startswith(b"<"):
        return "an XML document (often an error message), not a video"
    if text.startswith((b"{", b"[")):
        return "JSON data (often an error message), not a video"
    return "plain text, not a video" if _is_text(head) else f"something that is not a video; {_SUPPORTED}"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # otherwise the sample ends within a character
            return False
        text = head[: error.start].decode()
    return all(char.isprintable() or char in "\r\n\t\f" for char in text)


def _has_complete_boxes(size: int, read: Read) -> bool | None:
    """A file without ``moov`` was never finished; a box that ends after the file was truncated."""
    at, has_index = 0, False
    for _ in range(MAX_ELEMENTS):
        if at >= size:
            return has_index if size else None
        head = read(at, _HEADER_BYTES)
        kind, length = head[4:8], int.from_bytes(head[:4], "big")
        if len(head) < 8 or not (kind.isascii() and kind.decode("ascii").isprintable()):
            return True if has_index else None  # data after the last box is ignored
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        elif length == 0:  # to the end of the file
            length = size - at
        if length < 8:
            return True if has_index else None
        has_index |= kind == b"moov"
        at += length
        if at > size:
            return False if kind in _BOXES else True if has_index else None
    return None


def _has_complete_riff(size: int, read: Read) -> bool | None:
    head = read(0, _HEADER_BYTES)
    declared = int.from_bytes(head[4:8], "little")
    if head[:4] != b"RIFF" or not declared:
        return None
    return declared + 8 <= size


def _matroska(size: int, read: Read) -> Structure:
    segment = _segment(read)
    if segment is None:
        return UNKNOWN
    at, length = segment
    if length is not None:
        return Structure(at + length <= size)
    first = _first_cluster(at, read)
    last = _last_cluster(size, read) if first is not None else None
    if first is None or last is None:
        return UNKNOWN
    start, tail = last
    return Structure(_has_complete_blocks(tail), ((0, first), (max(first, start), size)))


def _segment(read: Read) -> tuple[int, int | None] | None:
    """The start of the segment's content, and its length if known."""
    at, head = 0, read(0, _HEADER_BYTES)
    if head[:4] == _EBML and (length := _vint(head[4:])) and length[0] is not None:
        at = 4 + length[1] + length[0]
        head = read(at, _HEADER_BYTES)
    found = _vint(head[4:]) if head[:4] == _SEGMENT else None
    return (at + 4 + found[1], found[0]) if found else None


def _first_cluster(at: int, read: Read) -> int | None:
    for _ in range(MAX_ELEMENTS):
        head = read(at, _HEADER_BYTES)
        if head[:4] == _CLUSTER:
            return at
        element = _element(head)
        if element is None or element[2] is None:
            return None
        at += element[1] + element[2]
    return None


def _last_cluster(size: int, read: Read) -> tuple[int, bytes] | None:
    """Its offset, and the bytes from there to the end of the file."""
    tail = b""
    while len(tail) < min(size, MAX_TAIL_BYTES):
        start = max(0, size - len(tail) - TAIL_STEP_BYTES)
        tail = read(start, size - len(tail) - start) + tail
        at = len(tail)
        while (at := tail.rfind(_CLUSTER, 0, at)) >= 0:
            if _is_cluster(tail[at : at + 32]):
                return start + at, tail[at:]
    return None


def _is_cluster(data: bytes) -> bool:
    """A real cluster starts with a timestamp, unlike the same four bytes within a frame."""
    length = _vint(data[4:])
    first_element = _element(data[4 + length[1] :]) if length else None
    return first_element is not None and first_element[0] == _TIMESTAMP


def _has_complete_blocks(cluster: bytes) -> bool | None:
    length = _vint(cluster[4:])
    if length is None:
        return None
    at = 4 + length[1]
    if length[0] is not None:
        return at + length[0] <= len(cluster)
    while at < len(cluster):
        element = _element(cluster[at : at + _HEADER_BYTES])
        if element is None:
            return None
        _, head, content = element
        if content is None:
            return None
        at += head + content
    return at == len(cluster)


def _element(head: bytes) -> tuple[int, int, int | None] | None:
    """An EBML element's id, the length of its header, and the length of its content if known."""
    if not head or not head[0] >> 4:  # an id has four bytes at most
        return None
    id_bytes = 9 - head[0].bit_length()
    length = _vint(head[id_bytes:])
    return (int.from_bytes(head[:id_bytes], "big"), id_bytes + length[1], length[0]) if length else None


def _vint(data: bytes) -> tuple[int | None, int] | None:
    """A variable-length integer and its size in bytes; the value None means unknown length."""
    if not data or not data[0]:
        return None
    count = 9 - data[0].bit_length()
    if len(data) < count:
        return None
    value = int.from_bytes(data[:count], "big") & ((1 << (7 * count)) - 1)
    return (None if value == (1 << (7 * count)) - 1 else value), count
