"""What generators answer, read leniently: people wire them up in n8n, in Make or by hand."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from videovault import untrusted_json
from videovault.errors import UnsafeUrl, WebhookError
from videovault.gateways import urls

MAX_ANSWER_BYTES = 1024 * 1024
LONGEST_TEXT = 2000
LONGEST_MINUTES = 7 * 24 * 60
FAILED = frozenset({"failed", "failure", "error", "cancelled", "canceled"})
ADDRESS_NAMES = ("videoUrl", "video_url", "url")
STATUS_NAMES = ("statusUrl", "status_url")


@dataclass(frozen=True)
class Generation:
    """What a generator said of a video.

    ``rejected`` is about the script, ``failed`` about the render. ``estimated_minutes`` only where it named a
    time; ``status_url`` where it can be asked how far it is.
    """

    state: Literal["ready", "processing", "failed", "rejected"]
    video_url: str = ""
    estimated_minutes: float | None = None
    message: str = ""
    status_url: str = ""


@dataclass(frozen=True)
class Exchange:
    """A call that was made, as it is kept for people to look at: ``status`` None and a ``fault`` if unanswered."""

    headers: Mapping[str, str]
    body: bytes
    status: int | None = None
    answer: bytes = b""
    fault: str = ""


Note = Callable[[Exchange], object]


def unheard(_exchange: Exchange) -> None:
    """For callers that keep no record of their calls."""


def generation_of(answer: httpx.Response) -> Generation:
    """What an answer below 500 means. Raises WebhookError when it names an address that is none."""
    said = unwrapped(answer)
    if answer.status_code >= 400:
        rejected = isinstance(said, dict) and _text(said.get("status")).lower() == "rejected"
        return Generation("rejected" if rejected else "failed", message=message_of(answer))
    # A 2xx without an address, whatever else it says, is a render that was begun and is paid for.
    return _understood(said) if isinstance(said, dict) else Generation("processing")


def unwrapped(answer: httpx.Response) -> Any:
    """The object itself, the object in ``data``, or the only one of a list; None for what is no JSON."""
    try:
        said = untrusted_json.loads(answer.content)
    except ValueError:
        return None
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    if isinstance(said, dict) and isinstance(said.get("data"), dict):
        said = {**said, **said["data"]}
    return said


def message_of(answer: httpx.Response) -> str:
    said = unwrapped(answer)
    return _reason(said) if isinstance(said, dict) else ""


def _understood(said: Mapping[str, Any]) -> Generation:
    status = _text(said.get("status")).lower()
    if status == "rejected":
        return Generation("rejected", message=_reason(said))
    if status in FAILED:
        return Generation("failed", message=_reason(said))
    status_url = _address(said, STATUS_NAMES)
    status_url = status_url if _is_address(status_url) else ""
    url = _address(said, ADDRESS_NAMES)
    if url and status != "processing":
        if not _is_address(url):
            raise WebhookError("The generator's answer names an address that is none.")
        return Generation("ready", video_url=url, status_url=status_url)
    return Generation("processing", estimated_minutes=_minutes(said), status_url=status_url)


def _address(said: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The first of these that is there, whole and as it came: an address is no text."""
    return next((str(said[name]).strip() for name in names if said.get(name)), "")


def _reason(said: Mapping[str, Any]) -> str:
    return _text(said.get("error")) or _text(said.get("message"))


def _minutes(said: Mapping[str, Any]) -> float | None:
    """The estimated time, where it is a number that makes sense, such as 15 or "15 minutes"."""
    for name in ("estimatedTime", "estimated_time"):
        number = re.match(r"\s*(\d+(?:\.\d+)?)", _text(said.get(name)))
        if number and 0 < float(number[1]) <= LONGEST_MINUTES:
            return float(number[1])
    return None


def _is_address(url: str) -> bool:
    try:
        urls.check(url)
        parts = urlsplit(url)
    except (ValueError, UnsafeUrl):
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _text(value: Any) -> str:
    """A text in whatever form it came, with nothing in it that cannot be shown or stored."""
    if isinstance(value, dict):
        value = value.get("message")
    text = "" if value is None else str(value).strip()[:LONGEST_TEXT]
    return "".join(char if char.isprintable() else " " for char in text).strip()
