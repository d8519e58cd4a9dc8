"""The brief as its form shows it: an avatar of the cast, or any other by name."""

from collections.abc import Mapping
from typing import Any

from videovault.services.views import ScriptView

CAST = ("Maya", "Daniel", "Sofia", "Marcus", "Aisha", "Kenji", "Emma", "Amara", "James")
OTHER = "other"
TEXTS = ("topic", "company_name", "social_handles", "license")
EMPTY = {**dict.fromkeys(TEXTS, ""), "avatar": CAST[0], "avatar_name": ""}


def of(script: Mapping[str, Any]) -> dict[str, str]:
    """The form that would make this script again."""
    avatar = str(script["avatar"])
    chosen = (
        {"avatar": avatar, "avatar_name": ""} if avatar in CAST else {"avatar": OTHER, "avatar_name": avatar}
    )
    return {name: str(script[name]) for name in TEXTS} | (
        chosen if avatar else {"avatar": CAST[0], "avatar_name": ""}
    )


def shown(latest: ScriptView | None) -> dict[str, str]:
    """The form for a new video: all as in the last one but what it is about."""
    return of(latest.model_dump()) | {"topic": ""} if latest else EMPTY


def typed(form: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the form now."""
    return {name: str(form.get(name, "")) for name in EMPTY}


def wanted(form: Mapping[str, Any]) -> dict[str, str]:
    """What the form asks for, as the services take it."""
    fields = typed(form)
    named = fields.pop("avatar_name")
    return fields | ({"avatar": named} if fields["avatar"] == OTHER else {})


def placed(problems: Mapping[str, str], form: Mapping[str, Any]) -> dict[str, str]:
    """What the services say of the brief, at the fields of the form: another avatar has one of its own."""
    named = form.get("avatar") == OTHER
    return {"avatar_name" if named and name == "avatar" else name: text for name, text in problems.items()}
