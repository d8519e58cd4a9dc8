"""A generator's message about a video: a webhook reply, a polled status or a report."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from videovault import logs
from videovault.errors import SourceError
from videovault.gateways.container import SNIFF_BYTES, detect_container
from videovault.gateways.webhook_reply import decoding, scan
from videovault.gateways.webhook_reply import vocabulary as known
from videovault.gateways.webhook_reply.decoding import canonical
from videovault.gateways.webhook_reply.scan import Findings, FoundUrl, Path

MAX_MINUTES = 7 * 24 * 60
MAX_INTEGER = 2**63 - 1  # what a column holds
MAX_FORMAT_CHARS = 40
MAX_FIELDS = 30
State = Literal["rejected", "failed", "processing", "ready", "acknowledged", ""]
STATES_BY_PRIORITY: tuple[State, ...] = ("rejected", "failed", "processing", "ready", "acknowledged")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

TOO_LONG = f"It names an address of more than {scan.MAX_URL_CHARS // 1024} KiB."
AMBIGUOUS = "It names several addresses that may be the video."
CONTRADICTORY = "It names two different states."
TOO_MANY = f"It names more than {scan.MAX_URLS:,} addresses."
NO_URL = "It says that the video is finished, and names no address of it."
NOTHING_KNOWN = "It names neither the address of a video nor a state that is known."
IN_BUCKET = (
    "It names a file in a bucket (gs:// or s3://), which only the bucket's owner can fetch. "
    "Have the generator return an https address, such as a signed one."
)
PLAYLIST = "It names a stream playlist (HLS or DASH), which is not a file. Have the generator return an MP4."
NO_VIDEO_URL = "None of its addresses leads to a video file: they lead to pictures, sound or pages, or were part of the order."

log = logs.get(__name__)


@dataclass(frozen=True)
class VideoReply:
    """A generator's message about a video.

    ``rejected`` is about the script, ``failed`` about the render; ``message`` gives the reason. ``ready`` may come
    without ``video_url``. With ``processing``, ``video_url`` is where the video will be. ``unread`` means that the
    message was not understood, for the reason in ``message``. ``is_video``: the body itself is the video.
    ``estimated_minutes`` is None without an estimate. ``status_url`` can be polled; ``response_url`` holds the result
    of a finished render whose status has no URL. ``duration`` is in seconds, ``size`` in bytes. ``video_id`` and
    ``user_id`` may be the generator's own.
    """

    state: Literal["ready", "processing", "failed", "rejected", "unread"]
    video_url: str = ""
    estimated_minutes: float | None = None
    message: str = ""
    status_url: str = ""
    duration: float | None = None
    size: int | None = None
    format: str | None = None
    video_id: str = ""
    user_id: str = ""
    is_video: bool = False
    response_url: str = ""

    @property
    def problem(self) -> str:
        """Why the message cannot be used; empty if it can."""
        if self.state == "ready" and not (self.video_url or self.is_video):
            return NO_URL
        return self.message if self.state == "unread" else ""


@dataclass(frozen=True)
class UrlField:
    """A URL in a message, and its dotted path as VIDEO_RESULT_FIELD takes it."""

    path: str
    url: str


def read(body: bytes, content_type: str = "", *, field: str = "", status: int = 200) -> VideoReply:
    """Parse a message, looking at ``field`` (VIDEO_RESULT_FIELD) first. Never raises.

    ``status`` is the HTTP status: from 400 on the message is a failure, regardless of its body.
    """
    if is_video(body):
        return VideoReply("ready", is_video=True)
    try:
        value = decoding.parse(body, content_type)
    except decoding.Unreadable as error:
        return VideoReply("failed" if status >= 400 else "unread", message=str(error))
    found = scan.scan(value)
    if found.has_too_many_urls and status < 400:
        return VideoReply("unread", message=TOO_MANY)
    if status >= 400:
        return VideoReply(
            "rejected" if _state(found, ()) == "rejected" else "failed", message=_reason(found, value)
        )
    return _with_details(_interpret(value, found, field), found)


def url_fields(body: bytes, content_type: str = "") -> list[UrlField]:
    """The URLs in a message, the most likely first, for an admin to choose from; at most ``MAX_FIELDS``."""
    try:
        value = decoding.parse(body, content_type)
    except decoding.Unreadable:
        return []
    urls = [found for found in scan.scan(value).urls if found.path]
    urls.sort(key=lambda found: (found.rank is None, found.rank or ()))
    return [UrlField(".".join(map(str, found.path)), found.url) for found in urls[:MAX_FIELDS]]


def is_video(body: bytes) -> bool:
    """Whether a body with these first bytes is itself a video."""
    try:
        detect_container(body[:SNIFF_BYTES])
    except SourceError:
        return False
    return True


def _interpret(value: Any, found: Findings, field: str) -> VideoReply:
    chosen, problem = _choose_url(value, found, field)
    state = _state(found, chosen.path if chosen else ())
    if (
        state not in ("failed", "rejected")
        and found.weak_failures
        and not (chosen and _is_surely_video(chosen))
    ):
        state = "failed"
    if state in ("failed", "rejected"):
        return VideoReply(state, message=_reason(found, value))
    if found.is_contradictory:
        return VideoReply("unread", message=CONTRADICTORY)
    url = chosen.url if chosen else ""
    if url and state != "processing":
        return VideoReply("ready", video_url=url, status_url=found.status_url)
    if state == "processing" or not problem:
        outcome = _state_without_url(state, value, found)
        message = _what_is_missing(found) if outcome == "unread" else ""
        return VideoReply(outcome, video_url=url, message=message, status_url=found.status_url)
    return VideoReply("unread", message=problem)


def _what_is_missing(found: Findings) -> str:
    if found.has_bucket_url:
        return IN_BUCKET
    if any(scan.is_playlist(each.url) for each in found.urls):
        return PLAYLIST
    return NO_VIDEO_URL if found.urls else NOTHING_KNOWN


def _state_without_url(state: State, value: Any, found: Findings) -> Literal["ready", "processing", "unread"]:
    if state in ("ready", "processing"):
        return state
    if state == "acknowledged" or found.status_url or _acknowledges(value, found):
        return "processing"
    return "unread"


def _choose_url(value: Any, found: Findings, field: str) -> tuple[FoundUrl | None, str]:
    """The video's URL, or why there is none."""
    if field:
        value_there = decoding.value_at(value, field)
        inside = scan.scan({"videoUrl": value_there} if isinstance(value_there, str) else value_there or {})
        best, _ = _best_url(inside.urls)
        if best:
            path = tuple(field.replace("[", ".").replace("]", "").split("."))
            return FoundUrl(path, best.url, scan.Rank(0, 0, False, 0)), ""
    best, problem = _best_url(found.urls)
    if best is None and found.has_too_long_url:
        return None, TOO_LONG
    return best, problem


def _best_url(urls: Sequence[FoundUrl]) -> tuple[FoundUrl | None, str]:
    ranked = [found for found in urls if found.rank is not None]
    if not ranked:
        return None, ""
    best = min(found.rank for found in ranked if found.rank is not None)
    candidates = {found.url: found for found in reversed(ranked) if found.rank == best}
    return (next(iter(candidates.values())), "") if len(candidates) == 1 else (None, AMBIGUOUS)


def _is_surely_video(found: FoundUrl) -> bool:
    """By its name or file extension, and not only because it is the single URL next to an error."""
    return found.rank is not None and (found.rank.tier == 0 or not found.rank.is_not_video)


def _state(found: Findings, path: Path) -> State:
    """The state in the objects that contain the URL; if they have none, in the other objects."""
    around = {state for at, state in found.states if path and _contains(at, path)}
    states = around or {state for _, state in found.states}
    return next((state for state in STATES_BY_PRIORITY if state in states), "")


def _contains(at: Path, path: Path) -> bool:
    return tuple(map(str, at)) == tuple(map(str, path[: len(at)]))


def _reason(found: Findings, value: Any) -> str:
    if isinstance(value, str):
        return scan.reason_of(value) if len(value) <= 500 and value[:1] != "<" else ""
    reasons = [found.reasons[name] for name in scan.REASON if name in found.reasons and name != "hint"]
    reason = next((reason for reason in reasons if not scan.is_acknowledgement(reason)), "")
    hint = found.reasons.get("hint", "")
    return f"{reason} {hint}".strip()[: scan.MAX_REASON_CHARS] if hint != reason else reason


def _acknowledges(value: Any, found: Findings) -> bool:
    if isinstance(value, str):
        return len(value) < 100 and (scan.is_acknowledgement(value) or scan.state_of(value) == "processing")
    if not value or value is True:
        return value is not False and value != 0
    if any(scan.is_acknowledgement(reason) for reason in found.reasons.values()):
        return True
    if found.has_text or found.urls or not found.names:
        return False
    names = known.NUMBER_NAMES | {canonical(name) for name in known.MINUTES_NAMES}
    return bool(found.names & names) or all(each in (None, "") for each in found.values.values())


def _with_details(reply: VideoReply, found: Findings) -> VideoReply:
    """Adds the optional values that are valid; invalid ones are dropped and never reject the reply."""
    dropped: list[str] = []

    def number(names: Sequence[str], maximum: float) -> float | None:
        name = next((canonical(name) for name in names if canonical(name) in found.values), "")
        value = found.values.get(name)
        result = _number(value)
        if result is not None and 0 <= result <= maximum:
            return result
        if value not in (None, ""):
            dropped.append(name)
        return None

    minutes = number(known.MINUTES_NAMES, MAX_MINUTES)
    duration, size = number(known.DURATION_NAMES, MAX_INTEGER), number(known.SIZE_NAMES, MAX_INTEGER)
    if dropped:
        log.info("unreadable values in a generator's reply were dropped", names=dropped)
    kind = next(
        (found.values.get(canonical(n)) for n in known.FORMAT_NAMES if canonical(n) in found.values), None
    )
    is_format = isinstance(kind, str) and 0 < len(kind) <= MAX_FORMAT_CHARS and kind.isprintable()
    return VideoReply(
        reply.state,
        reply.video_url,
        minutes or None,
        reply.message,
        reply.status_url,
        duration,
        None if size is None else int(size),
        str(kind) if is_format else None,
        _id(found.values.get("videoid")),
        _id(found.values.get("userid")),
        response_url=found.response_url if reply.state == "ready" and not reply.video_url else "",
    )


def _id(value: Any) -> str:
    return value if isinstance(value, str) and ID.fullmatch(value) else ""


def _number(value: Any) -> float | None:
    """A number, also as text, with a unit such as ``15 minutes``, or as a time such as ``0:01:30``."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return _number_in(value.strip()[:40])
    return float(value) if math.isfinite(value) else None


def _number_in(text: str) -> float | None:
    steps = text.split(":")
    if len(steps) in (2, 3) and all(_is_number(step) for step in steps):
        return float(sum(float(step) * 60**power for power, step in enumerate(reversed(steps))))
    first = text.partition(" ")[0]
    return float(first) if _is_number(first) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).isdigit()
