"""What a topic is about: one subject, and points that the script can name."""

import re
from dataclasses import dataclass
from typing import Literal

MAX_SUBJECT_LENGTH = 100
MAX_POINT_LENGTH = 90
MAX_POINTS = 3

_WISH = re.compile(
    r"^(?:please\s+)?(?:(?:make|create|write|produce|generate|film|i\s+(?:want|need|would\s+like)|we\s+(?:want|need))\s+)?"
    r"(?:me\s+|us\s+)?(?:an?\s+|the\s+|this\s+)?(?:short\s+|quick\s+)?(?:video|clip|film|script)\s+(?:about|on|for)\s+",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"^(?:topic|subject|title)\s*[:=]\s*", re.IGNORECASE)
_BULLET = re.compile(r"^(?:[-*+•·–—]+|\d{1,2}[.)])\s+")  # noqa: RUF001 - dashes that people type as bullets
SENTENCE_END = re.compile(r"(?<=[.!?…。！？؟])\s+")  # noqa: RUF001 - full-width ends of other scripts
_QUESTION_MARKS = "?？؟"  # noqa: RUF001 - full-width and Arabic question marks
_PUNCTUATION = " .,:;!…。！،"  # noqa: RUF001 - full-width ends of other scripts

# Words that are not a name's, at the beginning of a sentence.
_COMMON_OPENING = re.compile(
    r"(?:The|A|An|It|We|Our|You|Your|They|This|No|There|How|And|Everything|Every|All|Come|Get|Only|Available|Use|Try"
    r"|Free|New)(?= |$)"
)


@dataclass(frozen=True)
class Topic:
    """``subject`` ends without punctuation except a question mark; ``action`` is what follows "How to", else empty."""

    kind: Literal["question", "how_to", "plain"]
    subject: str
    action: str
    points: tuple[str, ...]


def understand(text: str) -> Topic:
    """Read any text; an empty one is about "something new"."""
    sentences = _sentences(text) or ["Something new"]
    mark = sentences[0][-1] if sentences[0][-1] in _QUESTION_MARKS else ""
    subject = _capitalised(shortened(sentences[0].strip(_PUNCTUATION + _QUESTION_MARKS), MAX_SUBJECT_LENGTH))
    how_to = re.match(r"how\s+to\s+(?=\S)", subject, re.IGNORECASE)
    return Topic(
        kind="question" if mark else "how_to" if how_to else "plain",
        subject=(subject or "Something new") + mark,
        action=subject[how_to.end() :] if how_to else "",
        points=tuple(_points(sentences[1:])),
    )


def shortened(text: str, length: int) -> str:
    """At most ``length`` characters, cut between words; an ellipsis replaces the rest."""
    if len(text) <= length:
        return text
    head = text[: length - 1]
    whole_words = head.rpartition(" ")[0] if " " in head[length // 2 :] else head
    return whole_words.rstrip(_PUNCTUATION + "-") + "…"


def _sentences(text: str) -> list[str]:
    lines = (" ".join(line.split()) for line in text.splitlines())
    parts = (part for line in lines for part in SENTENCE_END.split(_BULLET.sub("", line)))
    cleaned = [_WISH.sub("", _PREFIX.sub("", part)).strip() for part in parts]
    return [part for part in cleaned if part]


def _points(sentences: list[str]) -> list[str]:
    ends = _PUNCTUATION + _QUESTION_MARKS
    points = (shortened(sentence.strip(ends), MAX_POINT_LENGTH) for sentence in sentences)
    return [_lowered(point) for point in points if point][:MAX_POINTS]


def _capitalised(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.islower() else text


def _lowered(text: str) -> str:
    """Lower the first letter after a colon, unless the word may be a name."""
    return text[:1].lower() + text[1:] if _COMMON_OPENING.match(text) else text
