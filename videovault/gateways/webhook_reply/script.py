"""The script in an answer of the script webhook, whichever tool or model wrote the answer."""

import re
from dataclasses import dataclass
from typing import Any

from videovault.errors import WebhookError
from videovault.gateways.webhook_reply import decoding, scan, video
from videovault.gateways.webhook_reply import vocabulary as known
from videovault.gateways.webhook_reply.decoding import by_name, canonical

PARTS = {part: [canonical(name) for name in names] for part, names in known.SCRIPT_NAMES.items()}
TEXTS = [canonical(name) for name in known.TEXT_NAMES]
_LABEL = re.compile(r"[\s#*>_\d.-]{0,12}(hook|body|conclusion)\b[\s*_]{0,6}[:\n]?", re.IGNORECASE)

NO_SCRIPT = "The script service answered something that is not a script."
NO_PARTS = "The script service answered without hook, body or conclusion."
N8N_STARTED = (
    "The script service answered before its workflow had finished. In n8n, open the Webhook node and set Respond to "
    "“When Last Node Finishes” or “Using 'Respond to Webhook' Node”."
)
ACCEPTED = (
    "The script service only answered that it has accepted the brief. Let it answer with hook, body and conclusion: "
    "in Make, end the scenario with a “Webhook response” module."
)


@dataclass(frozen=True)
class Script:
    """The three parts of a script, each possibly empty."""

    hook: str = ""
    body: str = ""
    conclusion: str = ""


def read(body: bytes, content_type: str = "", *, field: str = "") -> Script:
    """The script in an answer, at ``field`` (SCRIPT_RESULT_FIELD) if it stands there.

    Raises WebhookError with a sentence for a person, and for a failure with the generator's own reason.
    """
    try:
        value = decoding.parsed(body, content_type)
    except decoding.Unreadable as error:
        raise WebhookError(f"{NO_SCRIPT} {error}") from error
    held = decoding.at(value, field) if field else None
    script = (_script_in(held) if held is not None else None) or _script_in(value)
    if script is None:
        raise WebhookError(_what_else(value, body, content_type))
    return script


def _what_else(value: Any, body: bytes, content_type: str) -> str:
    said = video.read(body, content_type)
    if said.state in ("failed", "rejected"):
        return f"The script service failed. {said.message}".strip()
    short = [text for text in _texts(value) if 0 < len(text) < 100]
    if any(text.strip().strip(".!").lower() in known.N8N_STARTED for text in short):
        return N8N_STARTED
    if any(scan.is_polite(text) for text in short):
        return ACCEPTED
    return NO_PARTS if not value or isinstance(value, dict) else NO_SCRIPT


def _script_in(value: Any) -> Script | None:
    """From the object with the most parts, the outermost first; or from a text with their names as headings."""
    best, most = None, 0
    waiting = [value]
    for held in waiting:  # grows while it is gone through: the outer objects first
        if isinstance(held, dict):
            parts = _parts(held)
            if len(parts) > most:
                best, most = Script(**parts), len(parts)
        if isinstance(held, dict | list):
            waiting += [each for each in _held(held) if isinstance(each, dict | list)]
    if best:
        return best
    return next((script for text in _texts(value) if (script := _labelled(text))), None)


def _held(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value)


def _parts(held: dict[str, Any]) -> dict[str, str]:
    named = by_name(held)
    found = {
        part: next((text for name in names if (text := _text(named.get(name)))), "")
        for part, names in PARTS.items()
    }
    return {part: text for part, text in found.items() if text}


def _text(value: Any, depth: int = 3) -> str:
    """A part's words: a text, a list of sentences, or an object that holds one of these."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and depth:
        return " ".join(filter(None, (_text(each, depth - 1) for each in value)))
    if isinstance(value, dict) and depth and not _is_script(value):
        named = by_name(value)
        return next((text for name in TEXTS if (text := _text(named.get(name), depth - 1))), "")
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _is_script(value: dict[str, Any]) -> bool:
    names = by_name(value)
    return any(name in names for part in PARTS.values() for name in part)


def _texts(value: Any) -> list[str]:
    found: list[str] = []
    waiting = [value]
    for held in waiting:
        if isinstance(held, str):
            found.append(held)
        elif isinstance(held, dict | list):
            waiting += _held(held)
    return found


def _labelled(text: str) -> Script | None:
    """A text in which at least two parts stand behind their names, as models write them."""
    parts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        label = _LABEL.match(line)
        rest = line[label.end() :].strip(" *_") if label else line.strip()
        if label and (not rest or line[: label.end()].rstrip().endswith(":")):
            current = parts.setdefault(label[1].lower(), [])
            current.append(rest)
        else:
            current.append(line.strip())
    joined = {part: text for part, lines in parts.items() if (text := "\n".join(filter(None, lines)))}
    return Script(**joined) if len(joined) > 1 else None
