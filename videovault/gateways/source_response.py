"""The head of a source's response, checked against the request; file names in it are made safe."""

import re
import unicodedata
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import httpx

from videovault.errors import SourceError
from videovault.gateways.container import Container
from videovault.gateways.source_errors import RangesUnreliable, SourceChanged, empty, too_large

MAX_CHARS = 100
UNNAMED = "video"
_MAX_HEADER_CHARS = 8 * 1024
_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|]')
# RFC 6266; tolerates a quoted value without its end.
_PARAMETER = re.compile(
    r';\s*([a-z0-9-]{1,40}\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|\Z)|([^;"]*))', re.IGNORECASE
)
# RFC 8187 allows the first two; others must not choose among Python's many codecs.
_CHARSETS = ("utf-8", "iso-8859-1", "windows-1252")
_ESCAPED = re.compile(r"\\(.)")
_JOINERS = "\u200c\u200d"  # invisible, but needed for Persian and for combined emoji
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,256}"')
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_NUMBER = re.compile(r"[0-9]{1,18}")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")
# Many hosts refuse user agents that do not start as those of browsers do.
BASE_HEADERS = {
    "User-Agent": "Mozilla/5.0 (compatible; VideoVault)",
    "Accept": "video/*,*/*;q=0.8",
    "Accept-Encoding": "identity",
}
# IANA's HTTP content codings. Other values of Content-Encoding, such as aws-chunked, none, binary or a charset, do
# not describe the bytes that arrive.
_ENCODINGS = frozenset(
    ("gzip", "x-gzip", "compress", "x-compress", "deflate", "br", "zstd", "dcb", "dcz", "exi", "pack200-gzip")
)
_WITHOUT_BODY = (204, 205)


@dataclass(frozen=True)
class RangeRequest:
    """The requested bytes: from ``start`` up to, not including, ``end``; None means to the end.

    ``validator`` is the strong ETag that the bytes must belong to.
    """

    start: int = 0
    end: int | None = None
    validator: str | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            raise ValueError(f"there are no bytes from {self.start} to {self.end}")

    @property
    def is_range(self) -> bool:
        return self.start > 0 or self.end is not None

    @property
    def headers(self) -> dict[str, str]:
        headers = dict(BASE_HEADERS)
        if self.is_range:
            headers["Range"] = f"bytes={self.start}-{'' if self.end is None else self.end - 1}"
            if self.validator:
                headers["If-Range"] = self.validator
        return headers


@dataclass(frozen=True)
class SourceInfo:
    """What one response announces. Sizes in bytes; None where the source does not give them.

    ``total`` is the size of the whole video, ``length`` that of this response, which starts at ``start``.
    ``partial`` is False when the response is the whole video, even if a part was requested. ``validator`` is a
    strong ETag; ``last_modified`` the unparsed header. ``container`` is known when ``start`` is 0.
    ``final_url`` often carries a secret and must never be shown; later parts may be requested from it directly.
    ``given_name`` is the file name of a Content-Disposition header, empty without one.
    """

    final_url: str = field(repr=False)
    total: int | None
    length: int | None
    start: int
    partial: bool
    accepts_ranges: bool
    validator: str | None
    last_modified: str | None
    content_type: str | None
    filename_hint: str
    header_name: str = ""
    container: Container | None = None


def parse_response(response: httpx.Response, requested: RangeRequest, url: str, max_bytes: int) -> SourceInfo:
    """What ``response`` announces; its body has not been read, and its status allows a video.

    Raises SourceError and its kinds for a response that is no video, is too large, or has other bytes than requested.
    """
    start, length, total = _extent(response, requested)
    _check_encoding(response.headers)
    if total is not None and total > max_bytes:
        raise too_large(max_bytes)
    if length == 0:
        raise empty()
    partial = response.status_code == 206 and requested.is_range
    disposition = header_text(response, "content-disposition")
    validator = _strong_etag(response.headers)
    if partial and requested.validator and validator != requested.validator:
        raise SourceChanged
    return SourceInfo(
        final_url=url,
        total=total,
        length=length,
        start=start,
        partial=partial,
        accepts_ranges=partial or response.headers.get("accept-ranges", "").strip().lower() == "bytes",
        validator=validator,
        last_modified=response.headers.get("last-modified"),
        content_type=_content_type(response.headers),
        filename_hint=filename_hint(disposition, url),
        header_name=name_in_header(disposition),
    )


def may_be_video(status: int, requested: RangeRequest) -> bool:
    """Whether a response with this status may be a video; after that, its first bytes decide."""
    return (200 <= status < 300 and status not in _WITHOUT_BODY) or (status == 416 and requested.is_range)


def header_text(response: httpx.Response, name: str) -> str:
    """A header in UTF-8 if possible, independent of the encoding of the other headers."""
    raw = next((value for key, value in response.headers.raw if key.lower() == name.encode()), b"")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _extent(response: httpx.Response, requested: RangeRequest) -> tuple[int, int | None, int | None]:
    """Start, length and total."""
    if response.status_code == 416:
        raise SourceChanged
    if response.status_code == 206:
        return (
            _range_extent(response.headers, requested)
            if requested.is_range
            else _unrequested_extent(response.headers)
        )
    length = _length(response.headers)
    return 0, length, length


def _unrequested_extent(headers: httpx.Headers) -> tuple[int, int | None, int | None]:
    """For a 206 to a request without a range: some servers send the whole video with it."""
    length = _length(headers)
    if "content-range" not in headers:
        return 0, length, length
    match = _CONTENT_RANGE.fullmatch(headers["content-range"].strip().lower())
    is_whole = match and int(match[1]) == 0 and match[3] in ("*", str(int(match[2]) + 1))
    if not match or not is_whole or length not in (None, int(match[2]) + 1):
        raise SourceError(
            "The source sends only a part of the video, although the whole was requested (HTTP 206)."
        )
    return 0, int(match[2]) + 1, int(match[2]) + 1


def _range_extent(headers: httpx.Headers, requested: RangeRequest) -> tuple[int, int, int | None]:
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip().lower())
    if match is None:
        raise RangesUnreliable
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    length = last - first + 1
    ends = [end for end in (requested.end, total) if end is not None]
    # Without the total, which may be lower than the requested end, this is not certain.
    ends_well = not ends or (last < min(ends) if total is None else last == min(ends) - 1)
    if first != requested.start or length < 1 or not ends_well or _length(headers) not in (None, length):
        raise RangesUnreliable
    return first, length, total


def _length(headers: httpx.Headers) -> int | None:
    """The Content-Length, which a Transfer-Encoding overrides (RFC 9112, 6.3)."""
    text = headers.get("content-length", "").strip()
    if "transfer-encoding" in headers or not _NUMBER.fullmatch(text):
        return None
    return int(text)


def _check_encoding(headers: httpx.Headers) -> None:
    named = {part.strip().lower() for part in headers.get("content-encoding", "").split(",")}
    if encodings := named & _ENCODINGS:
        # Decompressed it would have no ranges and no known end, and could be arbitrarily large.
        name = ", ".join(sorted(encodings))
        raise SourceError(
            f"The source sends the video compressed ({name}), although uncompressed was requested. "
            "Use a link that gives the file as it is."
        )


def _strong_etag(headers: httpx.Headers) -> str | None:
    etag = headers.get("etag", "").strip()
    return etag if _STRONG_ETAG.fullmatch(etag) else None


def _content_type(headers: httpx.Headers) -> str | None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type if _MEDIA_TYPE.fullmatch(media_type) else None


def title_from_url(url: str) -> str:
    """The file name in the URL without its extension: ``video`` for ``https://host/a/video.mp4?x=1``."""
    return title_from_name(_last_segment(url)) or UNNAMED


def title_from_name(name: str) -> str:
    """The file name without its extension; may be empty."""
    stem, dot, extension = name.rpartition(".")
    # An extension is short and has a letter: "v1.2" and "The end. Really" have none.
    has_extension = dot and re.fullmatch(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,4}", extension)
    return safe_name(stem if has_extension else name)


def filename_hint(content_disposition: str, url: str) -> str:
    """A file name with its extension, from the header if it has one, otherwise from the URL."""
    return name_in_header(content_disposition) or safe_name(_last_segment(url)) or UNNAMED


def name_in_header(content_disposition: str) -> str:
    """The file name with its extension in the header (RFC 6266); empty without one."""
    name = _raw_name(content_disposition)
    is_extension = name.startswith(".") and "." not in name[1:]
    return "" if is_extension else safe_name(name)


def safe_name(text: str) -> str:
    """At most 100 characters without path separators, controls or direction overrides; may be empty."""
    visible = "".join(filter(_is_displayable, unicodedata.normalize("NFC", text)))
    name = " ".join(_NOT_IN_NAMES.sub("_", visible).split())
    return name.strip(" .")[:MAX_CHARS].rstrip(" .")


def _is_displayable(char: str) -> bool:
    return char.isprintable() or char.isspace() or char in _JOINERS


def _last_segment(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    segment = unquote(path.rpartition("/")[2]).replace("\ufffd", "")
    return re.split(r"[/\\]", segment)[-1]


def _raw_name(content_disposition: str) -> str:
    """The name in the header; of two, the encoded one (``filename*``), as RFC 6266 requires."""
    header = content_disposition[:_MAX_HEADER_CHARS].rstrip("\\")
    named = {match[1].lower(): match for match in reversed(list(_PARAMETER.finditer(header)))}
    name = ""
    if encoded := named.get("filename*"):
        name = _decoded(encoded[3] or encoded[2] or "")
    if not name and (plain := named.get("filename")):
        name = (plain[3] or "").strip() if plain[2] is None else _ESCAPED.sub(r"\1", plain[2])
        name = _unquoted(name)
    return re.split(r"[/\\]", name)[-1]


def _decoded(value: str) -> str:
    """RFC 8187: a charset, a language and a percent-encoded value."""
    charset, _, rest = value.strip().partition("'")
    known = charset.lower() if charset.lower() in _CHARSETS else "latin-1"
    return unquote(rest.partition("'")[2], known, "replace")


def _unquoted(name: str) -> str:
    """Many servers percent-encode the plain name, too; browsers decode it where it is UTF-8."""
    try:
        return unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
