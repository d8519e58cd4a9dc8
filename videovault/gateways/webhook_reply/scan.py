"""Scans a decoded message once and collects what the vocabulary knows: URLs, states, reasons and values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from videovault.gateways.webhook_reply import vocabulary as known
from videovault.gateways.webhook_reply.decoding import by_name, canonical
from videovault.untrusted_json import DuplicateKeyValues

MAX_URL_CHARS = 16 * 1024
MAX_NAME_CHARS = 100
MAX_REASON_CHARS = 2000
MAX_REASONS = 5  # of a list
MAX_URLS = 1000
Path = tuple[str | int, ...]

_URL_IN_TEXT = re.compile(r"https?://[^\s<>\"'`)\]]+", re.IGNORECASE)
_SUFFIXES = ("url", "uri", "link", "file", "path")

VIDEO = {canonical(name): rank for rank, name in enumerate(known.VIDEO_NAMES)}
URL = {canonical(name): rank for rank, name in enumerate(known.URL_NAMES)}
STATUS_URL = {tuple(canonical(step) for step in name.split(".")) for name in known.STATUS_URL_NAMES}
RESPONSE_URL = {canonical(name) for name in known.RESPONSE_URL_NAMES}
WRAPPERS = {canonical(name) for name in known.WRAPPERS}
STATE = [canonical(name) for name in known.STATE_NAMES]
KIND = [canonical(name) for name in known.KIND_NAMES]
SUCCESS = [canonical(name) for name in known.SUCCESS_NAMES]
DONE = [canonical(name) for name in known.DONE_NAMES]
ERROR = [canonical(name) for name in known.ERROR_NAMES]
REJECTION = [canonical(name) for name in known.REJECTION_NAMES]
REASON = [canonical(name) for name in known.REASON_NAMES]
DETAIL_NAMES = {*ERROR, "detail", "details"}  # a state inside these is not the video's
NOTHING = ("", "none", "null", "false", "0")


class Rank(NamedTuple):
    """How likely a URL is the video's: the lowest rank is the most likely, and equal ranks are ambiguous."""

    tier: int
    rank: int
    is_not_video: bool
    distance: int


@dataclass(frozen=True)
class FoundUrl:
    """An http(s) URL; ``rank`` is None if it is not the video, such as a thumbnail."""

    path: Path
    url: str
    rank: Rank | None


@dataclass
class Findings:
    """The contents of a message. ``states`` and ``weak_failures`` have the paths of the objects they were found in."""

    urls: list[FoundUrl] = field(default_factory=list)
    states: list[tuple[Path, str]] = field(default_factory=list)
    weak_failures: list[Path] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    status_url: str = ""
    response_url: str = ""
    has_too_long_url: bool = False
    has_bucket_url: bool = False
    is_contradictory: bool = False
    has_too_many_urls: bool = False
    names: set[str] = field(default_factory=set)
    has_text: bool = False


def scan(value: Any) -> Findings:
    found = Findings()
    if isinstance(value, str):
        found.urls = list(_urls_in((), value, "", None, found))
        return found
    queue: list[tuple[Path, Any, bool, bool]] = [((), value, False, True)]
    while queue and not found.has_too_many_urls:
        path, node, is_other, is_main = queue.pop()
        children = _children(node)
        if isinstance(node, dict) and not is_other and is_main:
            _scan_object(found, path, node)
        may_hold_state = is_main and not (isinstance(node, list) and len(node) > 1)
        nested = []
        for key, child in children:
            if len(found.urls) > MAX_URLS:
                found.has_too_many_urls = True
                break
            name = canonical(key) if isinstance(key, str) else ""
            if isinstance(child, str):
                _scan_text(found, (*path, key), child, node, is_other)
            elif isinstance(child, dict | list):
                other = is_other or (isinstance(key, str) and _has_word(key, known.NON_VIDEO_WORDS))
                nested.append(((*path, key), child, other, may_hold_state and name not in DETAIL_NAMES))
        queue += reversed(nested)
    return found


def reason_of(value: Any, depth: int = 4) -> str:
    """The reason in a text, an object or a list, limited to characters that can be shown and stored."""
    if isinstance(value, dict) and depth:
        named = by_name(value)
        texts = (reason_of(named.get(name), depth - 1) for name in [*REASON, "code", "kind"])
        reason = next(filter(None, texts), "")
        location = value.get("loc")  # FastAPI's name for the field
        return f"{location[-1]}: {reason}" if reason and isinstance(location, list) and location else reason
    if isinstance(value, list) and depth:
        return "; ".join(filter(None, (reason_of(each, depth - 1) for each in value[:MAX_REASONS])))[
            :MAX_REASON_CHARS
        ]
    if value is None or isinstance(value, bool | dict | list):
        return ""
    text = str(value).strip()[:MAX_REASON_CHARS]
    shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return "" if shown.lower() in NOTHING else shown


def state_of(word: Any) -> str:
    """The state that a word means, also as the end of an event name; empty for an unknown word."""
    if not isinstance(word, str) or len(word) > MAX_NAME_CHARS:
        return ""
    text = word.strip().lower().replace("-", "_").replace(" ", "_")
    event = text.replace(":", ".").replace("/", ".").rpartition(".")
    if _is_about_other(event[0]):
        return "processing" if _state_by_ending(event[2]) else ""
    return _state_by_ending(event[2])


def _state_by_ending(text: str) -> str:
    if text in known.STATES:
        return known.STATES[text]
    tokens = text.split("_")
    if known.NEGATIONS & set(tokens):
        return ""
    suffixes = ("_".join(tokens[-2:]), tokens[-1])
    word = next((end for end in suffixes if end in known.STATES), "")
    if word and _is_about_other("_".join(tokens[: -len(word.split("_"))])):
        return "processing"  # an event about a GIF or captions
    return known.STATES.get(word, "")


def _is_about_other(event: str) -> bool:
    """Whether an event is not about the video, such as ``avatar_video_gif``; ``avatar_video`` is about it."""
    words = set(_words(event))
    return bool(words & known.NON_VIDEO_WORDS - {"avatar", "template"}) or (
        "avatar" in words and "video" not in words
    )


def is_url(text: str) -> bool:
    """Whether the whole text is one http(s) URL, of any length."""
    if not text[:8].lower().startswith(("http://", "https://")) or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.hostname) and (" " not in text or _extension(text) in known.VIDEO_EXTENSIONS)


def _children(value: Any) -> Iterator[tuple[str | int, Any]]:
    return iter(value.items()) if isinstance(value, dict) else enumerate(value)


def _scan_object(found: Findings, path: Path, node: dict[str, Any]) -> None:
    named = by_name(node)
    found.names |= named.keys()
    states = [state for name in STATE if (state := _state(found, named.get(name)))]
    states += ["ready" if named[name] else "processing" for name in DONE if isinstance(named.get(name), bool)]
    rejection = next((reason for name in REJECTION if (reason := reason_of(named.get(name)))), "")
    if rejection:
        states.append("rejected")
        found.reasons.setdefault(REASON[0], rejection)
    if any(named.get(name) is True for name in SUCCESS):
        states.append("acknowledged")
    found.states += [(path, state) for state in states]
    if _is_weak_failure(named):
        found.weak_failures.append(path)
    for name in REASON:
        if name in named and (reason := reason_of(named[name])):
            found.reasons.setdefault(name, reason)
    for name, value in named.items():
        if not isinstance(value, dict | list):
            found.values.setdefault(name, value)


def _state(found: Findings, value: Any) -> str:
    if isinstance(value, DuplicateKeyValues):
        found.is_contradictory |= len({state_of(each) for each in value}) > 1
        return ""
    state = state_of(value)
    if state == "ready" and str(value).strip().lower() in known.AMBIGUOUS_SUCCESS:
        return "acknowledged"
    return state


def _is_weak_failure(named: Mapping[str, Any]) -> bool:
    """A failure unless there is a video: ``success: false``, an error, or an HTTP error status in the body."""
    code = next((named[name] for name in ("code", "statuscode", "status") if name in named), None)
    return (
        any(_is_false(named.get(name)) for name in SUCCESS)
        or any(
            named.get(name) is True or not is_acknowledgement(reason_of(named.get(name))) for name in ERROR
        )
        or (isinstance(code, int) and 400 <= code < 600)
    )


def _is_false(value: Any) -> bool:
    return value is False or (isinstance(value, str) and value.strip().lower() == "false")


def is_acknowledgement(text: str) -> bool:
    """Whether the text is empty or only confirms receipt."""
    plain = " ".join(text.strip().strip(".!").lower().split())
    return not plain or plain in known.ACKNOWLEDGEMENTS


def _scan_text(found: Findings, path: Path, text: str, holder: Any, is_other: bool) -> None:
    name = next((step for step in reversed(path) if isinstance(step, str)), "")
    found.has_text |= bool(text.strip()) and canonical(name) not in known.RECEIPT_NAMES
    if "://" not in text:
        return
    found.has_bucket_url |= text.strip()[:5].lower() in known.BUCKET_SCHEMES and not is_other
    for found_url in _urls_in(path, text, name, holder, found, is_other):
        steps = tuple(canonical(step) for step in path if isinstance(step, str))
        if any(steps[-len(suffixes) :] == suffixes for suffixes in STATUS_URL) and not is_other:
            found.status_url = found.status_url or found_url.url
        if steps[-1:] and steps[-1] in RESPONSE_URL and not is_other:
            found.response_url = found.response_url or found_url.url
        found.urls.append(found_url)


def _urls_in(
    path: Path, text: str, name: str, holder: Any, found: Findings, is_other: bool = False
) -> Iterator[FoundUrl]:
    text = text.strip()
    is_code = text[:1] in ("{", "<") or (text[:1] == "[" and "](" not in text)
    text = text.strip("<>\"'`").strip()
    if is_url(text):
        found.has_too_long_url |= len(text) > MAX_URL_CHARS
        if len(text) <= MAX_URL_CHARS:
            yield FoundUrl(path, text, None if is_other else _rank_of(path, text, name, holder))
    elif not is_code and not is_other:  # a sentence that contains the URL
        for match in set(_URL_IN_TEXT.findall(text)):
            url = match.rstrip(".,;:!?")
            if is_url(url) and _extension(url) in known.VIDEO_EXTENSIONS and len(url) <= MAX_URL_CHARS:
                yield FoundUrl(path, url, Rank(3, 0, False, 0))


def _rank_of(path: Path, url: str, name: str, holder: Any) -> Rank | None:
    ending, kind = _extension(url), _kind(holder)
    named = _singular(canonical(name))
    if ending in known.OTHER_EXTENSIONS or (kind == "other" and named not in VIDEO):
        return None
    is_not_video = ending not in known.VIDEO_EXTENSIONS and kind != "video"
    distance = sum(1 for step in path[:-1] if isinstance(step, str) and canonical(step) not in WRAPPERS)
    if named in VIDEO:
        return Rank(0, VIDEO[named], is_not_video, distance)
    if _has_word(name, known.NON_VIDEO_URL_WORDS) or (is_not_video and _is_page(url)):
        return None
    if named in URL:
        return Rank(1, URL[named] + len(URL) * is_not_video, is_not_video, distance)
    return Rank(3 if is_not_video else 2, 0, is_not_video, 0)


def _singular(name: str) -> str:
    return name if name in VIDEO or name in URL else name.removesuffix("s")


def _has_word(name: str, words: frozenset[str]) -> bool:
    """Whether one of the name's words is in ``words``, also with a suffix such as ``url``."""
    for word in _words(name):
        plain = word.rstrip("0123456789")
        stem = next((plain.removesuffix(end) for end in _SUFFIXES if plain.endswith(end)), plain)
        if not words.isdisjoint((word, plain, stem)):
            return True
    return False


def _words(name: str) -> list[str]:
    """Splits ``shareVideoURL`` into ``share``, ``video`` and ``url``."""
    name = name[:MAX_NAME_CHARS]
    spaced = [
        f" {char}" if char.isupper() and (not before.isupper() or after.islower()) else char
        for before, char, after in zip(f"_{name}", name, f"{name[1:]}_", strict=False)
    ]
    return "".join(char if char.isalnum() else " " for char in "".join(spaced)).lower().split()


def _extension(url: str) -> str:
    last = urlsplit(url).path.rpartition("/")[2]
    return last.rpartition(".")[2].lower() if "." in last else ""


def is_playlist(url: str) -> bool:
    return _extension(url) in known.PLAYLIST_EXTENSIONS


def _is_page(url: str) -> bool:
    return not known.PAGE_PATHS.isdisjoint(urlsplit(url).path.lower().split("/")[:-1])


def _kind(holder: Any) -> str:
    """``video``, ``other``, or empty if the object does not say what kind of file its URL leads to."""
    if not isinstance(holder, dict) or len(holder) > 100:
        return ""
    named = by_name(holder)
    for name in KIND:
        value = named.get(name)
        if isinstance(value, str) and len(value) <= MAX_NAME_CHARS:
            family, _, rest = value.strip().lower().partition("/")
            if family == "video":
                return "other" if "mpegurl" in rest else "video"
            if family in ("image", "audio", "text") or _has_word(family, known.NON_VIDEO_WORDS):
                return "other"
            if family == "application" and any(
                word in rest for word in ("json", "mpegurl", "dash", "pdf", "xml")
            ):
                return "other"
    return ""
