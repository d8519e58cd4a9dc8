"""Writes scripts: a topic becomes hook, body and conclusion by templates, always the same for the same topic."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from videovault.embedded.studio.requests import ScriptRequest

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

# Words at the beginning of a sentence that are not a name.
_COMMON_OPENING = re.compile(
    r"(?:The|A|An|It|We|Our|You|Your|They|This|No|There|How|And|Everything|Every|All|Come|Get|Only|Available|Use|Try"
    r"|Free|New)(?= |$)"
)
MAX_NAME_LENGTH = 60
MAX_HANDLES = 3
NOT_NAMES = {"Default", "Avatar", "Other", "None", "Presenter", "Male", "Female", "Man", "Woman", "Robot"}

# Templates, short enough for a video of about twenty seconds.

HOOKS = {
    "plain": (
        "{subject}. Here is why it deserves twenty seconds of your day.",
        "Stop scrolling for a moment, this one is worth it: {subject}.",
        "Let me tell you about something we really care about: {subject}.",
        "{subject}. You may have heard of it. Now hear why it matters.",
        "Here is something that deserves more attention: {subject}.",
    ),
    "question": (
        "{subject} Give me twenty seconds, and you will have an answer.",
        "{subject} We hear this all the time. Here is the short answer.",
        "Have you ever asked yourself this one? {subject}",
        "{subject} Good question. Let us clear it up.",
    ),
    "how_to": (
        "Want to {action}? Give me twenty seconds.",
        "{subject}: it is easier than most people think.",
        "Yes, you can {action}. Here is where to start.",
        "{subject}? Let me show you the short way.",
    ),
}

OPENINGS = {
    "both": ("I'm {speaker} from {company}. ", "I'm {speaker}, and this is what we do at {company}. "),
    "speaker": ("I'm {speaker}. ", "My name is {speaker}. "),
    "company": ("At {company}, we work on this every day. ", "We at {company} have learned a lot about it. "),
    "neither": ("",),
}

BODIES = {
    0: (
        "We left out the noise and kept what works: one clear idea, a first step you can take today, "
        "and a result you can see.",
        "The secret is to start small. Pick one thing, try it this week, and build on what works. "
        "No jargon, no fuss.",
        "Good results rarely come from doing more. They come from the right step at the right time, "
        "and someone who shows you how.",
        "It comes down to three things: know what you need, keep it simple, and ask before you guess.",
    ),
    1: (
        "If you remember one thing, make it this: {0}.",
        "It comes down to one point: {0}. Everything else follows from there.",
    ),
    2: (
        "Two things to remember. First: {0}. And second: {1}.",
        "Keep two things in mind. One: {0}. Two: {1}.",
    ),
    3: (
        "Three things to remember. First: {0}. Second: {1}. And third: {2}.",
        "Here it is in short. One: {0}. Two: {1}. Three: {2}.",
    ),
}

CONCLUSIONS = {
    "both": (
        "Curious? Follow {handles} and tell us what you think. {company} is happy to help.",
        "Try it today, and let us know how it goes. You will find {company} at {handles}.",
        "That is all for today. Follow {handles} for more from {company}.",
    ),
    "handles": (
        "Curious? Follow {handles} and tell us what you think.",
        "Try it today, and let us know how it goes: {handles}.",
        "That is all for today. Follow {handles}, and see you in the next one.",
    ),
    "company": (
        "Curious? Talk to {company}. We are happy to help.",
        "Try it today, and let us know how it goes. {company} is here when you need us.",
        "That is all for today. {company} says thank you for watching.",
    ),
    "neither": (
        "Try it today, and share this with someone who needs it.",
        "That is all for today. Thank you for watching, and see you in the next one.",
        "Now it is your turn. Start small, start today.",
    ),
}


@dataclass(frozen=True)
class Topic:
    """``subject`` ends without punctuation except a question mark; ``action`` is what follows "How to", else empty."""

    kind: Literal["question", "how_to", "plain"]
    subject: str
    action: str
    points: tuple[str, ...]


class Script(NamedTuple):
    """What the avatar says, in this order."""

    hook: str
    body: str
    conclusion: str


def write_script(brief: ScriptRequest) -> Script:
    """A script of about fifty words, always the same for the same brief."""
    script = _script(brief, 0)
    is_unchanged = brief.part and getattr(script, brief.part) == getattr(brief, brief.part)
    return _script(brief, 1) if is_unchanged else script


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


def _script(brief: ScriptRequest, offset: int) -> Script:
    topic = understand(brief.topic)
    names = {
        "company": shortened(_one_line(brief.company_name), MAX_NAME_LENGTH),
        "handles": _listed(brief.social_handles),
        "speaker": _first_name(brief.avatar),
    }

    def choose(part: str, templates: tuple[str, ...]) -> str:
        """By the topic, and by the seed if it is for this part."""
        number = _hashed(f"{part}/{_one_line(brief.topic).casefold()}") + offset
        if brief.part in (None, part) and brief.seed:
            number += int(brief.seed) if brief.seed.isdecimal() else _hashed(brief.seed)
        return templates[number % len(templates)]

    hook = choose("hook", HOOKS[topic.kind])
    opening = choose("body", OPENINGS[_known(names, "speaker", "company")])
    points = choose("body", BODIES[len(topic.points)])
    conclusion = choose("conclusion", CONCLUSIONS[_known(names, "handles", "company")])
    return Script(
        hook=_filled(hook, subject=topic.subject, action=topic.action),
        body=_filled(opening + points, *topic.points, **names),
        conclusion=_filled(conclusion, **names),
    )


def _known(names: dict[str, str], first: str, second: str) -> str:
    if names[first] and names[second]:
        return "both"
    return first if names[first] else second if names[second] else "neither"


def _filled(wording: str, *points: str, **names: str) -> str:
    text = wording.format(*points, **names)
    return re.sub(r"([…!?？؟])\.", r"\1", text)  # noqa: RUF001 - a cut-off subject needs no full stop


def _first_name(avatar: str) -> str:
    """The avatar if it looks like a first name ("Maya", not "avatar-07"): only names are spoken."""
    return avatar if re.fullmatch(r"[A-Z][a-z]{1,14}", avatar) and avatar not in NOT_NAMES else ""


def _listed(handles: str) -> str:
    entries = [_one_line(entry) for entry in re.split(r"[,;\n]", handles)]
    known = [shortened(entry, MAX_NAME_LENGTH) for entry in entries if entry][:MAX_HANDLES]
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


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
