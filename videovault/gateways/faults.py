"""What can go wrong with a source, each with its sentence for a person and whether trying again may help.

SourceError
├── LinkExpired         the address does not give the video, no longer or not yet: a fresh one may
├── SourceUnavailable   busy or out of order: ``retry_after`` seconds, if it said so
├── SourceChanged       no longer the bytes that were begun with: start afresh
└── RangesUnreliable    its ranges cannot be trusted: read it as one stream
SourceCancelled         close() was called; nothing went wrong
"""

import re
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx

from videovault.errors import SourceError
from videovault.gateways import http_dates, web_pages

_NOT_YET = "The video is not there yet (HTTP {}). Try again in a few minutes."
_LINK_FAULTS = {
    401: "The source wants a sign-in for this link (HTTP 401). Use a link that works without signing in.",
    403: "The source refuses access (HTTP 403): the link has expired or is not public.",
    404: "The link has expired: the video is no longer at this address, or not there yet (HTTP 404).",
    409: _NOT_YET.format(409),
    410: "The link has expired: the video is no longer at this address (HTTP 410).",
    425: _NOT_YET.format(425),
}
_MAY_APPEAR = (403, 404, 409, 425)
_UNITS = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


class LinkExpired(SourceError):
    """The address does not give the video: a generator may have a fresh address for it.

    ``may_appear``: the same address may give it in some minutes, as of a generator that reports too early.
    """

    def __init__(self, public_message: str, *, may_appear: bool = False) -> None:
        super().__init__(public_message)
        self.may_appear = may_appear


class SourceUnavailable(SourceError):
    """Busy or out of order: worth another try, after ``retry_after`` seconds if the source said so.

    ``may_appear`` as in LinkExpired: it answers that the video is still being made.
    """

    def __init__(
        self, public_message: str, retry_after: float | None = None, *, may_appear: bool = False
    ) -> None:
        super().__init__(public_message, retryable=True)
        self.retry_after = retry_after
        self.may_appear = may_appear


class SourceChanged(SourceError):
    """The source no longer gives the bytes that were begun with."""

    def __init__(self) -> None:
        super().__init__("The video was changed at its source while it was being fetched.", retryable=True)


class RangesUnreliable(SourceError):
    """The source answers requests for a part wrongly."""

    def __init__(self) -> None:
        super().__init__("The source sends other parts of the video than those asked for.")


class SourceCancelled(Exception):
    """The stream or its Source was closed while it was in use."""


def empty() -> SourceError:
    return SourceError("The address gives an empty file.")


def too_large(limit: int) -> SourceError:
    return SourceError(f"The video is larger than the limit of {_size(limit)}.")


def too_long(seconds: float) -> SourceError:
    return SourceError(f"The source did not deliver the video within {seconds / 60:,.0f} minutes.")


def too_slow() -> SourceError:
    return SourceError("The source sends the video too slowly.", retryable=True)


def cut_short() -> SourceError:
    return SourceError("The source broke off before the end of the video.", retryable=True)


def refused(
    status: int, retry_after: str = "", *, is_challenge: bool = False, hosts: Collection[str] = ()
) -> SourceError:
    """The error for an answer whose status gives no video; ``retry_after`` is the header.

    ``is_challenge``: its body is a page that keeps programs out; ``hosts`` are all those that were asked on the way.
    """
    advice = web_pages.challenged(status) if is_challenge else ""
    if status in (401, 403):
        advice = advice or web_pages.share_page(hosts)
    if status in _LINK_FAULTS:
        return LinkExpired(advice or _LINK_FAULTS[status], may_appear=status in _MAY_APPEAR)
    wait = seconds_of(retry_after)
    if status == 429 and not is_challenge:
        return SourceUnavailable("The source asks us to slow down (HTTP 429).", wait)
    if status in (202, 408, 423, 429) or status >= 500:
        sentence = advice or f"The source cannot give the video right now (HTTP {status})."
        return SourceUnavailable(sentence, wait, may_appear=status == 202)
    return SourceError(advice or f"The source does not give the video (HTTP {status}).")


def may_appear(error: Exception) -> bool:
    """Whether the same address may give the video in some minutes."""
    return isinstance(error, LinkExpired | SourceUnavailable) and error.may_appear


@contextmanager
def translated() -> Iterator[None]:
    """Turns httpx's errors into SourceError."""
    try:
        yield
    except httpx.HTTPError as error:
        raise _translation(error) from error


def _translation(error: httpx.HTTPError) -> SourceError:
    if isinstance(error.__cause__, ssl.SSLError) and not isinstance(error.__cause__, ssl.SSLEOFError):
        return SourceError("The source cannot prove who it is: its TLS certificate or setup is not valid.")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return SourceError("The source cannot be reached.", retryable=True)
    if isinstance(error, httpx.TimeoutException):
        return SourceError("The source sent nothing for too long.", retryable=True)
    if isinstance(error, httpx.NetworkError):
        return SourceError("The connection to the source was lost.", retryable=True)
    return SourceError("The source's answer could not be understood.", retryable=True)


def seconds_of(retry_after: str) -> float | None:
    """What a Retry-After header asks for (RFC 9110, 10.2.3: a number of seconds, or a date); None for nonsense."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    date = http_dates.read(text)
    return None if date is None else max(0.0, (date - datetime.now(UTC)).total_seconds())


def _size(count: int) -> str:
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{count} bytes"
