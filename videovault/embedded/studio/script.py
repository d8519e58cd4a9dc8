"""The script writer: a topic becomes hook, body and conclusion by templates, the same ones for the same topic."""

import hashlib
import re
from typing import NamedTuple

from videovault.embedded.studio import phrases
from videovault.embedded.studio.orders import ScriptOrder
from videovault.embedded.studio.topic import Topic, shortened, understand

NAME_LENGTH = 60
MOST_HANDLES = 3


class Script(NamedTuple):
    """What the avatar says, in this order."""

    hook: str
    body: str
    conclusion: str


def write(brief: ScriptOrder) -> Script:
    """A script of some fifty words; the same brief always gives the same one."""
    script = _worded(brief, 0)
    stale = brief.part and getattr(script, brief.part) == getattr(brief, brief.part)
    return _worded(brief, 1) if stale else script


def _worded(brief: ScriptOrder, moved_on: int) -> Script:
    topic = understand(brief.topic)
    names = {
        "company": shortened(_one_line(brief.company_name), NAME_LENGTH),
        "handles": _listed(brief.social_handles),
        "speaker": _first_name(brief.avatar),
    }
    return Script(
        hook=_hook(topic, _Choice(brief, "hook", moved_on)),
        body=_body(topic, names, _Choice(brief, "body", moved_on)),
        conclusion=_conclusion(names, _Choice(brief, "conclusion", moved_on)),
    )


class _Choice:
    """Picks the wording of one part: by the topic, moved on by the seed if that is meant for this part."""

    def __init__(self, brief: ScriptOrder, part: str, moved_on: int) -> None:
        topic = _one_line(brief.topic).casefold()
        self._number = _hashed(f"{part}/{topic}") + moved_on
        if brief.part in (None, part) and brief.seed:
            self._number += int(brief.seed) if brief.seed.isdecimal() else _hashed(brief.seed)

    def among(self, wordings: tuple[str, ...]) -> str:
        return wordings[self._number % len(wordings)]


def _hook(topic: Topic, choice: _Choice) -> str:
    return _filled(choice.among(phrases.HOOKS[topic.kind]), subject=topic.subject, action=topic.action)


def _body(topic: Topic, names: dict[str, str], choice: _Choice) -> str:
    opening = choice.among(phrases.OPENINGS[_known(names, "speaker", "company")])
    points = choice.among(phrases.BODIES[len(topic.points)])
    return _filled(opening + points, *topic.points, **names)


def _conclusion(names: dict[str, str], choice: _Choice) -> str:
    return _filled(choice.among(phrases.CONCLUSIONS[_known(names, "handles", "company")]), **names)


def _known(names: dict[str, str], first: str, second: str) -> str:
    if names[first] and names[second]:
        return "both"
    return first if names[first] else second if names[second] else "neither"


def _filled(wording: str, *points: str, **names: str) -> str:
    text = wording.format(*points, **names)
    return re.sub(r"([…!?？؟])\.", r"\1", text)  # noqa: RUF001 - a cut-off subject needs no full stop


def _first_name(avatar: str) -> str:
    """Avatars are often called by a first name ("Maya"), and often not ("avatar-07"): only a name is spoken."""
    return avatar if re.fullmatch(r"[A-Z][a-z]{1,14}", avatar) and avatar not in NOT_NAMES else ""


NOT_NAMES = {"Default", "Avatar", "Other", "None", "Presenter", "Male", "Female", "Man", "Woman", "Robot"}


def _listed(handles: str) -> str:
    entries = [_one_line(entry) for entry in re.split(r"[,;\n]", handles)]
    known = [shortened(entry, NAME_LENGTH) for entry in entries if entry][:MOST_HANDLES]
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
