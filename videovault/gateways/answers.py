"""What a source's answer promises, and whether it is an answer to what was asked."""

import re
from dataclasses import dataclass, field

import httpx

from videovault.errors import SourceError
from videovault.gateways.container import Container
from videovault.gateways.faults import RangesUnreliable, SourceChanged, empty, refused, too_large
from videovault.gateways.filenames import filename_hint

_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{0,256}"')
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_NUMBER = re.compile(r"[0-9]{1,18}")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")


@dataclass(frozen=True)
class Wanted:
    """The bytes asked for: from ``start`` up to, not including, ``end``; None means to the end.

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
        headers = {"User-Agent": "VideoVault", "Accept": "*/*", "Accept-Encoding": "identity"}
        if self.is_range:
            headers["Range"] = f"bytes={self.start}-{'' if self.end is None else self.end - 1}"
            if self.validator:
                headers["If-Range"] = self.validator
        return headers


@dataclass(frozen=True)
class SourceInfo:
    """What one answer promises. Sizes in bytes; None where the source does not say.

    ``total`` is the size of the whole video, ``length`` of what this stream gives, beginning at ``start``.
    ``partial`` is False when the whole video is given, even though a part was asked for. ``validator`` is a
    strong ETag; ``last_modified`` the header as it came. ``container`` is known when ``start`` is 0.
    ``final_url`` often carries a secret and is never to be shown; later parts may be asked from it directly.
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
    container: Container | None = None


def info_of(response: httpx.Response, wanted: Wanted, url: str, max_bytes: int) -> SourceInfo:
    """What ``response``, whose body was not read yet, promises.

    Raises SourceError and its kinds for an answer that gives no video, too large a one, or other bytes than
    those wanted.
    """
    start, length, total = _extent(response, wanted)
    _check_encoding(response.headers)
    if total is not None and total > max_bytes:
        raise too_large(max_bytes)
    if length == 0:
        raise empty()
    partial = response.status_code == 206
    validator = _strong_etag(response.headers)
    if partial and wanted.validator and validator != wanted.validator:
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
        filename_hint=filename_hint(response.headers.get("content-disposition", ""), url),
    )


def _extent(response: httpx.Response, wanted: Wanted) -> tuple[int, int | None, int | None]:
    """Start, length and total."""
    if response.status_code == 200:
        length = _length(response.headers)
        return 0, length, length
    if not wanted.is_range or response.status_code not in (206, 416):
        raise refused(response.status_code, response.headers.get("retry-after", ""))
    if response.status_code == 416:
        raise SourceChanged
    return _range_extent(response.headers, wanted)


def _range_extent(headers: httpx.Headers, wanted: Wanted) -> tuple[int, int, int | None]:
    match = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip().lower())
    if match is None:
        raise RangesUnreliable
    first, last = int(match[1]), int(match[2])
    total = None if match[3] == "*" else int(match[3])
    length = last - first + 1
    ends = [end for end in (wanted.end, total) if end is not None]
    # Without the total, which may come before the end that was asked for, this cannot be known for sure.
    ends_well = not ends or (last < min(ends) if total is None else last == min(ends) - 1)
    if first != wanted.start or length < 1 or not ends_well or _length(headers) not in (None, length):
        raise RangesUnreliable
    return first, length, total


def _length(headers: httpx.Headers) -> int | None:
    """The Content-Length, which does not count beside a Transfer-Encoding (RFC 9112, 6.3)."""
    text = headers.get("content-length", "").strip()
    if "transfer-encoding" in headers or not _NUMBER.fullmatch(text):
        return None
    return int(text)


def _check_encoding(headers: httpx.Headers) -> None:
    encodings = {part.strip().lower() for part in headers.get("content-encoding", "").split(",")}
    if encodings - {"", "identity"}:
        raise SourceError("The source sends the video compressed, although it was asked not to.")


def _strong_etag(headers: httpx.Headers) -> str | None:
    etag = headers.get("etag", "").strip()
    return etag if _STRONG_ETAG.fullmatch(etag) else None


def _content_type(headers: httpx.Headers) -> str | None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if _MEDIA_TYPE.fullmatch(kind) else None
