"""Detect a file's video container by its first bytes, or describe what else it is.

``filetype`` detects MP4, MOV, WebM, MKV, AVI and other files; the rest is added here.
"""

from typing import Literal, cast

import filetype

from videovault.errors import SourceError

Container = Literal["mp4", "mov", "webm", "mkv", "avi", "ts"]

SNIFF_BYTES = 4096

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


class WebPage(SourceError):
    """The file is HTML; ``head`` are its first bytes."""

    def __init__(self, head: bytes) -> None:
        super().__init__("This address gives a web page, not a video.")
        self.head = head


CONTENT_TYPES = {
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
    "mkv": "video/x-matroska",
    "avi": "video/x-msvideo",
    "ts": "video/mp2t",
}


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
