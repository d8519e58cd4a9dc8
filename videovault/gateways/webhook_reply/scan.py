"""Goes through an answer once and notes what the tables know: addresses, states, reasons and figures."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from videovault.gateways.webhook_reply import vocabulary as known
from videovault.gateways.webhook_reply.decoding import by_name, canonical
from videovault.untrusted_json import DuplicateKeyValues

LONGEST_ADDRESS = 16 * 1024
LONGEST_NAME = 100
LONGEST_REASON = 2000
MOST_REASONS = 5  # of a list
MOST_ADDRESSES = 1000
Path = tuple[str | int, ...]

_IN_PROSE = re.compile(r"https?://[^\s<>\"'`)\]]+", re.IGNORECASE)
_SUFFIXES = ("url", "uri", "link", "file", "path")

VIDEO = {canonical(name): rank for rank, name in enumerate(known.VIDEO_NAMES)}
ADDRESS = {canonical(name): rank for rank, name in enumerate(known.ADDRESS_NAMES)}
STATUS_ADDRESS = {tuple(canonical(step) for step in name.split(".")) for name in known.STATUS_ADDRESS_NAMES}
RESPONSE_ADDRESS = {canonical(name) for name in known.RESPONSE_ADDRESS_NAMES}
WRAPPERS = {canonical(name) for name in known.WRAPPERS}
STATE = [canonical(name) for name in known.STATE_NAMES]
KIND = [canonical(name) for name in known.KIND_NAMES]
SUCCESS = [canonical(name) for name in known.SUCCESS_NAMES]
DONE = [canonical(name) for name in known.DONE_NAMES]
ERROR = [canonical(name) for name in known.ERROR_NAMES]
REJECTION = [canonical(name) for name in known.REJECTION_NAMES]
REASON = [canonical(name) for name in known.REASON_NAMES]
ASIDE = {*ERROR, "detail", "details"}  # what is said in these is not the video's state
NOTHING = ("", "none", "null", "false", "0")


class Standing(NamedTuple):
    """How surely an address is the video's: the least is the surest, and equals are not told apart."""

    tier: int
    rank: int
    unlike_video: bool
    aside: int


@dataclass(frozen=True)
class Address:
    """An http(s) address; ``standing`` is None for what is not the video, such as a thumbnail."""

    path: Path
    url: str
    standing: Standing | None


@dataclass
class Findings:
    """What stands in an answer. ``states`` and ``weak`` failures are those of the objects at their paths."""

    addresses: list[Address] = field(default_factory=list)
    states: list[tuple[Path, str]] = field(default_factory=list)
    weak: list[Path] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    status_url: str = ""
    response_url: str = ""
    too_long: bool = False
    is_contradictory: bool = False
    too_many: bool = False
    names: set[str] = field(default_factory=set)
    has_text: bool = False


def walk(value: Any) -> Findings:
    found = Findings()
    if isinstance(value, str):
        found.addresses = list(_in_text((), value, "", None, found))
        return found
    waiting: list[tuple[Path, Any, bool, bool]] = [((), value, False, True)]
    while waiting and not found.too_many:
        path, held, is_beside, is_spine = waiting.pop()
        children = _children(held)
        if isinstance(held, dict) and not is_beside and is_spine:
            _note(found, path, held)
        one_way = is_spine and not (isinstance(held, list) and len(held) > 1)
        below = []
        for key, child in children:
            if len(found.addresses) > MOST_ADDRESSES:
                found.too_many = True
                break
            name = canonical(key) if isinstance(key, str) else ""
            if isinstance(child, str):
                _note_text(found, (*path, key), child, held, is_beside)
            elif isinstance(child, dict | list):
                beside = is_beside or (isinstance(key, str) and _says(key, known.BESIDE_THE_VIDEO))
                below.append(((*path, key), child, beside, one_way and name not in ASIDE))
        waiting += reversed(below)
    return found


def reason_of(value: Any, depth: int = 4) -> str:
    """The sentence in a text, an object or a list, with nothing in it that cannot be shown or stored."""
    if isinstance(value, dict) and depth:
        named = by_name(value)
        texts = (reason_of(named.get(name), depth - 1) for name in [*REASON, "code", "kind"])
        said = next(filter(None, texts), "")
        where = value.get("loc")  # how FastAPI names the field
        return f"{where[-1]}: {said}" if said and isinstance(where, list) and where else said
    if isinstance(value, list) and depth:
        return "; ".join(filter(None, (reason_of(each, depth - 1) for each in value[:MOST_REASONS])))[
            :LONGEST_REASON
        ]
    if value is None or isinstance(value, bool | dict | list):
        return ""
    text = str(value).strip()[:LONGEST_REASON]
    shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return "" if shown.lower() in NOTHING else shown


def state_of(word: Any) -> str:
    """The state that a word means, also as the end of an event's name; empty for another word."""
    if not isinstance(word, str) or len(word) > LONGEST_NAME:
        return ""
    text = word.strip().lower().replace("-", "_").replace(" ", "_")
    event = text.replace(":", ".").replace("/", ".").rpartition(".")
    if _is_beside(event[0]):
        return "processing" if _ends(event[2]) else ""
    return _ends(event[2])


def _ends(text: str) -> str:
    if text in known.STATES:
        return known.STATES[text]
    tokens = text.split("_")
    if known.NEGATIONS & set(tokens):
        return ""
    ends = ("_".join(tokens[-2:]), tokens[-1])
    word = next((end for end in ends if end in known.STATES), "")
    if word and _is_beside("_".join(tokens[: -len(word.split("_"))])):
        return "processing"  # news of a GIF or of captions
    return known.STATES.get(word, "")


def _is_beside(event: str) -> bool:
    """Whether an event is about something else, such as ``avatar_video_gif``; ``avatar_video`` is a video."""
    words = set(_words(event))
    return bool(words & known.BESIDE_THE_VIDEO - {"avatar", "template"}) or (
        "avatar" in words and "video" not in words
    )


def is_address(text: str) -> bool:
    """Whether it is an http(s) address and nothing else, whatever its length."""
    if not text[:8].lower().startswith(("http://", "https://")) or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.hostname) and (" " not in text or _ending(text) in known.VIDEO_ENDINGS)


def _children(held: Any) -> Iterator[tuple[str | int, Any]]:
    return iter(held.items()) if isinstance(held, dict) else enumerate(held)


def _note(found: Findings, path: Path, held: dict[str, Any]) -> None:
    named = by_name(held)
    found.names |= named.keys()
    states = [state for name in STATE if (state := _state(found, named.get(name)))]
    states += ["ready" if named[name] else "processing" for name in DONE if isinstance(named.get(name), bool)]
    rejection = next((reason for name in REJECTION if (reason := reason_of(named.get(name)))), "")
    if rejection:
        states.append("rejected")
        found.reasons.setdefault(REASON[0], rejection)
    if any(named.get(name) is True for name in SUCCESS):
        states.append("polite")
    found.states += [(path, state) for state in states]
    if _is_weak_failure(named):
        found.weak.append(path)
    for name in REASON:
        if name in named and (reason := reason_of(named[name])):
            found.reasons.setdefault(name, reason)
    for name, value in named.items():
        if not isinstance(value, dict | list):
            found.figures.setdefault(name, value)


def _state(found: Findings, value: Any) -> str:
    if isinstance(value, DuplicateKeyValues):
        found.is_contradictory |= len({state_of(each) for each in value}) > 1
        return ""
    state = state_of(value)
    if state == "ready" and str(value).strip().lower() in known.POLITE:
        return "polite"
    return state


def _is_weak_failure(named: Mapping[str, Any]) -> bool:
    """What is a failure if there is no video: a success that is false, an error, or an HTTP status in the body."""
    code = next((named[name] for name in ("code", "statuscode", "status") if name in named), None)
    return (
        any(_is_false(named.get(name)) for name in SUCCESS)
        or any(named.get(name) is True or not is_polite(reason_of(named.get(name))) for name in ERROR)
        or (isinstance(code, int) and 400 <= code < 600)
    )


def _is_false(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")


def is_polite(text: str) -> bool:
    """Whether it says no more than that all is well, or nothing at all."""
    plain = " ".join(text.strip().strip(".!").lower().split())
    return not plain or plain in known.ACKNOWLEDGEMENTS


def _note_text(found: Findings, path: Path, text: str, holder: Any, is_beside: bool) -> None:
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    found.has_text |= bool(text.strip()) and canonical(name) not in known.RECEIPT_NAMES
    if "://" not in text:
        return
    for address in _in_text(path, text, name, holder, found, is_beside):
        steps = tuple(canonical(step) for step in path if isinstance(step, str))
        if any(steps[-len(ends) :] == ends for ends in STATUS_ADDRESS) and not is_beside:
            found.status_url = found.status_url or address.url
        if steps[-1:] and steps[-1] in RESPONSE_ADDRESS and not is_beside:
            found.response_url = found.response_url or address.url
        found.addresses.append(address)


def _in_text(
    path: Path, text: str, name: str, holder: Any, found: Findings, is_beside: bool = False
) -> Iterator[Address]:
    text = text.strip()
    is_code = text[:1] in ("{", "<") or (text[:1] == "[" and "](" not in text)
    text = text.strip("<>\"'`").strip()
    if is_address(text):
        found.too_long |= len(text) > LONGEST_ADDRESS
        if len(text) <= LONGEST_ADDRESS:
            yield Address(path, text, None if is_beside else _standing(path, text, name, holder))
    elif not is_code and not is_beside:  # a sentence that names the video
        for named in set(_IN_PROSE.findall(text)):
            url = named.rstrip(".,;:!?")
            if is_address(url) and _ending(url) in known.VIDEO_ENDINGS and len(url) <= LONGEST_ADDRESS:
                yield Address(path, url, Standing(3, 0, False, 0))


def _standing(path: Path, url: str, name: str, holder: Any) -> Standing | None:
    ending, kind = _ending(url), _kind(holder)
    named = _singular(canonical(name))
    if ending in known.OTHER_ENDINGS or (kind == "other" and named not in VIDEO):
        return None
    unlike = ending not in known.VIDEO_ENDINGS and kind != "video"
    aside = sum(1 for step in path[:-1] if isinstance(step, str) and canonical(step) not in WRAPPERS)
    if named in VIDEO:
        return Standing(0, VIDEO[named], unlike, aside)
    if _says(name, known.OTHER_ADDRESSES) or (unlike and _is_page(url)):
        return None
    if named in ADDRESS:
        return Standing(1, ADDRESS[named] + len(ADDRESS) * unlike, unlike, aside)
    return Standing(3 if unlike else 2, 0, unlike, 0)


def _singular(name: str) -> str:
    return name if name in VIDEO or name in ADDRESS else name.removesuffix("s")


def _says(name: str, words: frozenset[str]) -> bool:
    """Whether one of its words is among these, also with ``url`` grown on to it."""
    for word in _words(name):
        plain = word.rstrip("0123456789")
        stem = next((plain.removesuffix(end) for end in _SUFFIXES if plain.endswith(end)), plain)
        if not words.isdisjoint((word, plain, stem)):
            return True
    return False


def _words(name: str) -> list[str]:
    """``share``, ``video`` and ``url`` of ``shareVideoURL``."""
    name = name[:LONGEST_NAME]
    spaced = [
        f" {char}" if char.isupper() and (not before.isupper() or after.islower()) else char
        for before, char, after in zip(f"_{name}", name, f"{name[1:]}_", strict=False)
    ]
    return "".join(char if char.isalnum() else " " for char in "".join(spaced)).lower().split()


def _ending(url: str) -> str:
    last = urlsplit(url).path.rpartition("/")[2]
    return last.rpartition(".")[2].lower() if "." in last else ""


def _is_page(url: str) -> bool:
    return not known.PAGE_PATHS.isdisjoint(urlsplit(url).path.lower().split("/")[:-1])


def _kind(holder: Any) -> str:
    """``video``, ``other``, or empty where the object does not say what its address leads to."""
    if not isinstance(holder, dict) or len(holder) > 100:
        return ""
    named = by_name(holder)
    for name in KIND:
        said = named.get(name)
        if isinstance(said, str) and len(said) <= LONGEST_NAME:
            family, _, rest = said.strip().lower().partition("/")
            if family == "video":
                return "other" if "mpegurl" in rest else "video"
            if family in ("image", "audio", "text") or _says(family, known.BESIDE_THE_VIDEO):
                return "other"
            if family == "application" and any(
                word in rest for word in ("json", "mpegurl", "dash", "pdf", "xml")
            ):
                return "other"
    return ""
