"""Writes scripts: a topic becomes hook, body and conclusion by templates, always the same for the same topic."""

import hashlib
import re
from typing import NamedTuple

from videovault.embedded.studio.requests import ScriptRequest
from videovault.embedded.studio.topic import Topic, shortened, understand

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


MAX_NAME_LENGTH = 60
MAX_HANDLES = 3


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


def _script(brief: ScriptRequest, offset: int) -> Script:
    topic = understand(brief.topic)
    names = {
        "company": shortened(_one_line(brief.company_name), MAX_NAME_LENGTH),
        "handles": _listed(brief.social_handles),
        "speaker": _first_name(brief.avatar),
    }
    return Script(
        hook=_hook(topic, _Choice(brief, "hook", offset)),
        body=_body(topic, names, _Choice(brief, "body", offset)),
        conclusion=_conclusion(names, _Choice(brief, "conclusion", offset)),
    )


class _Choice:
    """Picks the template of one part by the topic, and by the seed if it is for this part."""

    def __init__(self, brief: ScriptRequest, part: str, offset: int) -> None:
        topic = _one_line(brief.topic).casefold()
        self._number = _hashed(f"{part}/{topic}") + offset
        if brief.part in (None, part) and brief.seed:
            self._number += int(brief.seed) if brief.seed.isdecimal() else _hashed(brief.seed)

    def among(self, templates: tuple[str, ...]) -> str:
        return templates[self._number % len(templates)]


def _hook(topic: Topic, choice: _Choice) -> str:
    return _filled(choice.among(HOOKS[topic.kind]), subject=topic.subject, action=topic.action)


def _body(topic: Topic, names: dict[str, str], choice: _Choice) -> str:
    opening = choice.among(OPENINGS[_known(names, "speaker", "company")])
    points = choice.among(BODIES[len(topic.points)])
    return _filled(opening + points, *topic.points, **names)


def _conclusion(names: dict[str, str], choice: _Choice) -> str:
    return _filled(choice.among(CONCLUSIONS[_known(names, "handles", "company")]), **names)


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


NOT_NAMES = {"Default", "Avatar", "Other", "None", "Presenter", "Male", "Female", "Man", "Woman", "Robot"}


def _listed(handles: str) -> str:
    entries = [_one_line(entry) for entry in re.split(r"[,;\n]", handles)]
    known = [shortened(entry, MAX_NAME_LENGTH) for entry in entries if entry][:MAX_HANDLES]
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
