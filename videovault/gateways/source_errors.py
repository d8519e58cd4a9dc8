"""Errors of sources, each with a message for the user and whether a retry may help.

SourceError
├── LinkExpired         the URL does not return the video, no longer or not yet: a fresh one may
├── SourceUnavailable   busy or failing; ``retry_after`` seconds, if the source gave them
├── SourceChanged       no longer the bytes of the first request: start again
└── RangesUnreliable    its ranges are wrong: read it as one stream
SourceCancelled         close() was called; not an error
"""

import re
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import httpx

from videovault.errors import SourceError
from videovault.formatting import format_size
from videovault.gateways.http_headers import retry_after_seconds

# Challenge pages of Cloudflare, Akamai, AWS WAF, Imperva, DataDome, PerimeterX and Sucuri.
_CHALLENGES = re.compile(
    rb"just a moment\.\.\.|/cdn-cgi/challenge-platform|cf-chl|cf-browser-verification|cf-error-details"
    rb"|attention required! \| cloudflare|checking your browser|verify(?:ing)? (?:that )?you are (?:a )?human"
    rb"|errors\.edgesuite\.net|reference&#32;&#35;|reference #[0-9a-f]{1,4}\.|awswaf|_incapsula_resource"
    rb"|captcha-delivery\.com|px-captcha|sucuri website firewall"
)
_CHALLENGE_HEADERS = ("cf-mitigated", "x-amzn-waf-action", "x-datadome")
_CHALLENGE = (
    "The source shows a page that checks whether a person is asking (bot protection{status}), so VideoVault cannot fetch "
    "the video. Use a direct download link, or ask its operator to let VideoVault through."
)
_DIRECT = "Use the direct download link of the video file"
# By the end of the host's name.
_SHARE_PAGES = {
    "drive.google.com": f"This is a page of Google Drive. {_DIRECT}: share the file with anyone who has the link, and "
    "give https://drive.usercontent.google.com/download?id=…&export=download&confirm=t with the file's id.",
    "docs.google.com": f"This is a page of Google Drive. {_DIRECT}: share the file with anyone who has the link, and "
    "give https://drive.usercontent.google.com/download?id=…&export=download&confirm=t with the file's id.",
    "photos.google.com": f"This is a page of Google Photos. {_DIRECT}, or download the video and store it elsewhere.",
    "photos.app.goo.gl": f"This is a page of Google Photos. {_DIRECT}, or download the video and store it elsewhere.",
    "dropbox.com": f"This is a page of Dropbox. {_DIRECT}: the same link with dl=1 instead of dl=0 at its end.",
    "1drv.ms": f"This is a page of OneDrive. {_DIRECT}: choose Download there and copy the link.",
    "onedrive.live.com": f"This is a page of OneDrive. {_DIRECT}: choose Download there and copy the link.",
    "sharepoint.com": f"This is a page of SharePoint. {_DIRECT}: the same link with &download=1 at its end.",
    "box.com": f"This is a page of Box. {_DIRECT}, which its share settings show.",
    "icloud.com": f"This is a page of iCloud. {_DIRECT}: choose Download there and copy the link.",
    "wetransfer.com": f"This is a page of WeTransfer. {_DIRECT}: start the download there and copy its link.",
    "we.tl": f"This is a page of WeTransfer. {_DIRECT}: start the download there and copy its link.",
    "youtube.com": "This is a page of YouTube, which gives no file. Download the video in YouTube Studio if it is yours. "
    f"{_DIRECT}.",
    "youtu.be": "This is a page of YouTube, which gives no file. Download the video in YouTube Studio if it is yours. "
    f"{_DIRECT}.",
    "vimeo.com": f"This is a page of Vimeo. {_DIRECT}: choose Download there and copy the link.",
    "loom.com": f"This is a page of Loom. {_DIRECT}: choose Download there and copy the link.",
    "heygen.com": f"This is a page of HeyGen. {_DIRECT}: choose Download there, or take video_url from its API.",
    "synthesia.io": f"This is a page of Synthesia. {_DIRECT}: choose Download there, or take it from its API.",
    "d-id.com": f"This is a page of D-ID. {_DIRECT}: choose Download there, or take result_url from its API.",
    "tiktok.com": f"This is a page of TikTok, which gives no file. {_DIRECT}.",
    "instagram.com": f"This is a page of Instagram, which gives no file. {_DIRECT}.",
    "facebook.com": f"This is a page of Facebook, which gives no file. {_DIRECT}.",
}
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


def is_challenge(page: bytes, headers: Mapping[str, str]) -> bool:
    """Whether a page is bot protection, by its first bytes and its headers."""
    if any(name in headers for name in _CHALLENGE_HEADERS) or _CHALLENGES.search(page.lower()):
        return True
    return "akamaighost" in headers.get("server", "").lower() and b"access denied" in page.lower()


def challenge_message(status: int = 200) -> str:
    """The message for a challenge page."""
    return _CHALLENGE.format(status="" if status == 200 else f", HTTP {status}")


def share_page_advice(hosts: Collection[str]) -> str:
    """How to get a download link; empty unless one of the ``hosts`` of the redirects is known for share pages."""
    for host in hosts:
        for known, advice in _SHARE_PAGES.items():
            if f".{host}".endswith(f".{known}"):
                return advice
    return ""


def error_for_page(page: bytes, headers: Mapping[str, str], hosts: Collection[str]) -> SourceError | None:
    """The error for a page with a success status, if it is of a known kind."""
    message = share_page_advice(hosts) or (challenge_message() if is_challenge(page, headers) else "")
    return SourceError(message) if message else None


class LinkExpired(SourceError):
    """The URL does not return the video; a generator may have a fresh one.

    ``may_appear``: the same URL may return it in a few minutes, because the generator reported it too early.
    """

    def __init__(self, public_message: str, *, may_appear: bool = False) -> None:
        super().__init__(public_message)
        self.may_appear = may_appear


class SourceUnavailable(SourceError):
    """Busy or failing: worth a retry, after ``retry_after`` seconds if the source gave them.

    ``may_appear`` as in LinkExpired: the source reports that the video is still being made.
    """

    def __init__(
        self, public_message: str, retry_after: float | None = None, *, may_appear: bool = False
    ) -> None:
        super().__init__(public_message, retryable=True)
        self.retry_after = retry_after
        self.may_appear = may_appear


class SourceChanged(SourceError):
    """The source no longer returns the bytes of the first request."""

    def __init__(self) -> None:
        super().__init__("The video was changed at its source while it was being fetched.", retryable=True)


class RangesUnreliable(SourceError):
    """The source answers range requests incorrectly."""

    def __init__(self) -> None:
        super().__init__("The source sends other parts of the video than those asked for.")


class SourceCancelled(Exception):
    """The stream or its Source was closed while it was in use."""


def empty() -> SourceError:
    return SourceError("The address gives an empty file.")


def too_large(limit: int) -> SourceError:
    return SourceError(f"The video is larger than the limit of {format_size(limit)}.")


def too_long(seconds: float) -> SourceError:
    return SourceError(f"The source did not deliver the video within {seconds / 60:,.0f} minutes.")


def too_slow() -> SourceError:
    return SourceError("The source sends the video too slowly.", retryable=True)


def cut_short() -> SourceError:
    return SourceError("The source broke off before the end of the video.", retryable=True)


def error_for_status(
    status: int, retry_after: str = "", *, is_challenge: bool = False, hosts: Collection[str] = ()
) -> SourceError:
    """The error for a response whose status means no video; ``retry_after`` is the header.

    ``is_challenge``: its body is a bot-protection page; ``hosts`` are all hosts of the redirects.
    """
    advice = challenge_message(status) if is_challenge else ""
    if status in (401, 403):
        advice = advice or share_page_advice(hosts)
    if status in _LINK_FAULTS:
        return LinkExpired(advice or _LINK_FAULTS[status], may_appear=status in _MAY_APPEAR)
    wait = retry_after_seconds(retry_after)
    if status == 429 and not is_challenge:
        return SourceUnavailable("The source asks us to slow down (HTTP 429).", wait)
    if status in (202, 408, 423, 429) or status >= 500:
        message = advice or f"The source cannot give the video right now (HTTP {status})."
        return SourceUnavailable(message, wait, may_appear=status == 202)
    return SourceError(advice or f"The source does not give the video (HTTP {status}).")


def may_appear(error: Exception) -> bool:
    """Whether the same URL may return the video in a few minutes."""
    return isinstance(error, LinkExpired | SourceUnavailable) and error.may_appear


@contextmanager
def translating_errors() -> Iterator[None]:
    """Turns httpx's errors into SourceError."""
    try:
        yield
    except httpx.HTTPError as error:
        raise _translate(error) from error


def _translate(error: httpx.HTTPError) -> SourceError:
    if isinstance(error.__cause__, ssl.SSLError) and not isinstance(error.__cause__, ssl.SSLEOFError):
        return SourceError("The source cannot prove who it is: its TLS certificate or setup is not valid.")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return SourceError("The source cannot be reached.", retryable=True)
    if isinstance(error, httpx.TimeoutException):
        return SourceError("The source sent nothing for too long.", retryable=True)
    if isinstance(error, httpx.NetworkError):
        return SourceError("The connection to the source was lost.", retryable=True)
    return SourceError("The source's answer could not be understood.", retryable=True)
