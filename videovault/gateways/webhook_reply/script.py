"""The script in a reply of the script webhook, from any tool or model."""

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
    """Parse the script in a reply, looking at ``field`` (SCRIPT_RESULT_FIELD) first.

    Raises WebhookError with a message for people, including the generator's own reason for a failure.
    """
    try:
        value = decoding.parse(body, content_type)
    except decoding.Unreadable as error:
        raise WebhookError(f"{NO_SCRIPT} {error}") from error
    held = decoding.value_at(value, field) if field else None
    script = (_script_in(held) if held is not None else None) or _script_in(value)
    if script is None:
        raise WebhookError(_problem(value, body, content_type))
    return script


def _problem(value: Any, body: bytes, content_type: str) -> str:
    reply = video.read(body, content_type)
    if reply.state in ("failed", "rejected"):
        return f"The script service failed. {reply.message}".strip()
    short = [text for text in _texts(value) if 0 < len(text) < 100]
    if any(text.strip().strip(".!").lower() in known.N8N_STARTED for text in short):
        return N8N_STARTED
    if any(scan.is_acknowledgement(text) for text in short):
        return ACCEPTED
    return NO_PARTS if not value or isinstance(value, dict) else NO_SCRIPT


def _script_in(value: Any) -> Script | None:
    """From the object with the most parts, outer objects first; else from a text with the parts as headings."""
    best, best_count = None, 0
    queue = [value]
    for held in queue:  # grows during the loop: breadth first, so outer objects come first
        if isinstance(held, dict):
            parts = _parts(held)
            if len(parts) > best_count:
                best, best_count = Script(**parts), len(parts)
        if isinstance(held, dict | list):
            queue += [each for each in _children_of(held) if isinstance(each, dict | list)]
    if best:
        return best
    return next((script for text in _texts(value) if (script := _labelled(text))), None)


def _children_of(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else list(value)


def _parts(held: dict[str, Any]) -> dict[str, str]:
    named = by_name(held)
    found = {
        part: next((text for name in names if (text := _text(named.get(name)))), "")
        for part, names in PARTS.items()
    }
    return {part: text for part, text in found.items() if text}


def _text(value: Any, depth: int = 3) -> str:
    """A part's text: a string, a list of sentences, or an object that contains one of these."""
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
    queue = [value]
    for held in queue:
        if isinstance(held, str):
            found.append(held)
        elif isinstance(held, dict | list):
            queue += _children_of(held)
    return found


def _labelled(text: str) -> Script | None:
    """A text with at least two parts under their names, as language models write it."""
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
