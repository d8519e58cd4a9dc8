"""What a generator said of a video, from whichever answer, polled status or report it said it in."""

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
from videovault.gateways.webhook_reply.scan import Address, Findings, Path

LONGEST_MINUTES = 7 * 24 * 60
LARGEST = 2**63 - 1  # what a column holds
LONGEST_FORMAT = 40
MOST_FIELDS = 30
Said = Literal["rejected", "failed", "processing", "ready", "polite", ""]
BY_WEIGHT: tuple[Said, ...] = ("rejected", "failed", "processing", "ready", "polite")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

TOO_LONG = f"It names an address of more than {scan.LONGEST_ADDRESS // 1024} KiB."
EQUALS = "It names several addresses that may be the video."
CONTRADICTORY = "It names two different states."
TOO_MANY = f"It names more than {scan.MOST_ADDRESSES:,} addresses."
NO_ADDRESS = "It says that the video is finished, and names no address of it."
NOTHING_KNOWN = "It names neither the address of a video nor a state that is known."

log = logs.get(__name__)


@dataclass(frozen=True)
class Generation:
    """What a generator said of a video.

    ``rejected`` is about the script, ``failed`` about the render; ``message`` says why. ``ready`` without
    ``video_url`` is finished without saying where. Beside ``processing``, ``video_url`` is where the video will be.
    ``unread`` means that nothing of it was understood, for the reason in ``message``. ``is_video``: the body itself is
    the video, so there is no address. ``estimated_minutes`` only where a time was named; ``status_url`` where the generator can be asked how
    far it is; ``response_url`` where a finished one without an address says more. ``duration`` in seconds, ``size`` in bytes. ``video_id`` and ``user_id`` are those that it names, which may
    be the generator's own.
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
        """Why nothing can be done with it; empty where something can."""
        if self.state == "ready" and not (self.video_url or self.is_video):
            return NO_ADDRESS
        return self.message if self.state == "unread" else ""


@dataclass(frozen=True)
class Field:
    """An address in an answer, and the dotted path that VIDEO_RESULT_FIELD takes."""

    path: str
    url: str


def read(body: bytes, content_type: str = "", *, field: str = "", status: int = 200) -> Generation:
    """What was said, with ``field`` (VIDEO_RESULT_FIELD) looked at first; never raises, whatever the bytes are.

    ``status`` is the answer's HTTP status: from 400 on it is a failure, whatever else it says.
    """
    if is_video(body):
        return Generation("ready", is_video=True)
    try:
        value = decoding.parsed(body, content_type)
    except decoding.Unreadable as error:
        return Generation("failed" if status >= 400 else "unread", message=str(error))
    found = scan.walk(value)
    if found.too_many and status < 400:
        return Generation("unread", message=TOO_MANY)
    if status >= 400:
        return Generation(
            "rejected" if _state(found, ()) == "rejected" else "failed", message=_reason(found, value)
        )
    return _with_figures(_understood(value, found, field), found)


def fields(body: bytes, content_type: str = "") -> list[Field]:
    """Every address in an answer, the likeliest first, for a person to choose from; at most ``MOST_FIELDS``."""
    try:
        value = decoding.parsed(body, content_type)
    except decoding.Unreadable:
        return []
    addresses = [address for address in scan.walk(value).addresses if address.path]
    addresses.sort(key=lambda address: (address.standing is None, address.standing or ()))
    return [Field(dotted(address.path), address.url) for address in addresses[:MOST_FIELDS]]


def dotted(path: Path) -> str:
    return ".".join(str(step) for step in path)


def is_video(body: bytes) -> bool:
    """Whether a body with these first bytes is a video itself."""
    try:
        detect_container(body[:SNIFF_BYTES])
    except SourceError:
        return False
    return True


def _understood(value: Any, found: Findings, field: str) -> Generation:
    chosen, trouble = _chosen(value, found, field)
    state = _state(found, chosen.path if chosen else ())
    if state not in ("failed", "rejected") and found.weak and not (chosen and _is_surely_video(chosen)):
        state = "failed"
    if state in ("failed", "rejected"):
        return Generation(state, message=_reason(found, value))
    if found.is_contradictory:
        return Generation("unread", message=CONTRADICTORY)
    url = chosen.url if chosen else ""
    if url and state != "processing":
        return Generation("ready", video_url=url, status_url=found.status_url)
    if state == "processing" or not trouble:
        outcome = _without_address(state, value, found)
        message = NOTHING_KNOWN if outcome == "unread" else ""
        return Generation(outcome, video_url=url, message=message, status_url=found.status_url)
    return Generation("unread", message=trouble)


def _without_address(state: Said, value: Any, found: Findings) -> Literal["ready", "processing", "unread"]:
    if state in ("ready", "processing"):
        return state
    if state == "polite" or found.status_url or _is_acknowledgement(value, found):
        return "processing"
    return "unread"


def _chosen(value: Any, found: Findings, field: str) -> tuple[Address | None, str]:
    """The video's address, or why there is none."""
    if field:
        held = decoding.at(value, field)
        inside = scan.walk({"videoUrl": held} if isinstance(held, str) else held or {})
        address, _ = _best(inside.addresses)
        if address:
            path = tuple(field.replace("[", ".").replace("]", "").split("."))
            return Address(path, address.url, scan.Standing(0, 0, False, 0)), ""
    address, trouble = _best(found.addresses)
    if address is None and found.too_long:
        return None, TOO_LONG
    return address, trouble


def _best(addresses: Sequence[Address]) -> tuple[Address | None, str]:
    ranked = [address for address in addresses if address.standing is not None]
    if not ranked:
        return None, ""
    best = min(address.standing for address in ranked if address.standing is not None)
    equals = {address.url: address for address in reversed(ranked) if address.standing == best}
    return (next(iter(equals.values())), "") if len(equals) == 1 else (None, EQUALS)


def _is_surely_video(address: Address) -> bool:
    """By its name or its ending, and not just by being the only address beside an error."""
    standing = address.standing
    return standing is not None and (standing.tier == 0 or not standing.unlike_video)


def _state(found: Findings, path: Path) -> Said:
    """The state said by the objects around the address; where these say none, of those beside them."""
    around = {state for at, state in found.states if path and _holds(at, path)}
    said = around or {state for _, state in found.states}
    return next((state for state in BY_WEIGHT if state in said), "")


def _holds(at: Path, path: Path) -> bool:
    return tuple(map(str, at)) == tuple(map(str, path[: len(at)]))


def _reason(found: Findings, value: Any) -> str:
    if isinstance(value, str):
        return scan.reason_of(value) if len(value) <= 500 and value[:1] != "<" else ""
    said = [found.reasons[name] for name in scan.REASON if name in found.reasons and name != "hint"]
    plain = [reason for reason in said if not scan.is_polite(reason)]
    reason = next(iter(plain), "")
    hint = found.reasons.get("hint", "")
    return f"{reason} {hint}".strip()[: scan.LONGEST_REASON] if hint != reason else reason


def _is_acknowledgement(value: Any, found: Findings) -> bool:
    if isinstance(value, str):
        return len(value) < 100 and (scan.is_polite(value) or scan.state_of(value) == "processing")
    if not value or value is True:
        return value is not False and value != 0
    if any(scan.is_polite(reason) for reason in found.reasons.values()):
        return True
    if found.has_text or found.addresses or not found.names:
        return False
    names = known.NUMBER_NAMES | {canonical(name) for name in known.MINUTES_NAMES}
    return bool(found.names & names) or all(each in (None, "") for each in found.figures.values())


def _with_figures(said: Generation, found: Findings) -> Generation:
    """With the optional values that make sense; those that do not are dropped, and never refuse anything."""
    dropped: list[str] = []

    def number(names: Sequence[str], most: float) -> float | None:
        name = next((canonical(name) for name in names if canonical(name) in found.figures), "")
        value = found.figures.get(name)
        result = _number(value)
        if result is not None and 0 <= result <= most:
            return result
        if value not in (None, ""):
            dropped.append(name)
        return None

    minutes = number(known.MINUTES_NAMES, LONGEST_MINUTES)
    duration, size = number(known.DURATION_NAMES, LARGEST), number(known.SIZE_NAMES, LARGEST)
    if dropped:
        log.info("values of a generator that could not be read were dropped", names=dropped)
    kind = next(
        (found.figures.get(canonical(n)) for n in known.FORMAT_NAMES if canonical(n) in found.figures), None
    )
    is_format = isinstance(kind, str) and 0 < len(kind) <= LONGEST_FORMAT and kind.isprintable()
    return Generation(
        said.state,
        said.video_url,
        minutes or None,
        said.message,
        said.status_url,
        duration,
        None if size is None else int(size),
        str(kind) if is_format else None,
        _id(found.figures.get("videoid")),
        _id(found.figures.get("userid")),
        response_url=found.response_url if said.state == "ready" and not said.video_url else "",
    )


def _id(value: Any) -> str:
    return value if isinstance(value, str) and ID.fullmatch(value) else ""


def _number(value: Any) -> float | None:
    """A number, also as text and with a unit behind it, such as ``15 minutes``, or as a time, ``0:01:30``."""
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
