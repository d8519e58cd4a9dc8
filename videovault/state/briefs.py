"""The brief as its form shows it: an avatar that is offered, or any other by the generator's ID."""

from collections.abc import Collection, Mapping
from typing import Any

from videovault.services.avatars import CAST, OTHER
from videovault.services.views import ScriptView

TEXTS = ("topic", "company_name", "social_handles", "license")
EMPTY = {**dict.fromkeys(TEXTS, ""), "avatar": CAST[0], "avatar_name": ""}


def of(script: Mapping[str, Any], offered: Collection[str] = CAST) -> dict[str, str]:
    """The form that would make this script again; ``offered`` are the IDs to choose from."""
    avatar = str(script["avatar"]) or next(iter(offered))
    return {name: str(script[name]) for name in TEXTS} | _chosen(avatar, offered)


def shown(latest: ScriptView | None, offered: Collection[str] = CAST) -> dict[str, str]:
    """The form for a new video: all as in the last one but what it is about."""
    return fitted(of(latest.model_dump(), offered) | {"topic": ""} if latest else EMPTY, offered)


def fitted(form: Mapping[str, str], offered: Collection[str]) -> dict[str, str]:
    """The form where other avatars are offered by now: a built-in one gives way, any other ID stays as typed."""
    avatar = form["avatar_name"] if form["avatar"] == OTHER else form["avatar"]
    if avatar in CAST and avatar not in offered:
        avatar = next(iter(offered))
    if not avatar:
        return dict(form)
    return {**form, **_chosen(avatar, offered)}


def typed(form: Mapping[str, Any]) -> dict[str, str]:
    """What stands in the form now."""
    return {name: str(form.get(name, "")) for name in EMPTY}


def completed(form: Mapping[str, Any], shown: Mapping[str, str]) -> dict[str, Any]:
    """The form with the avatar that is ``shown`` as chosen, where it was sent before the page had avatars."""
    if form.get("avatar"):
        return dict(form)
    return {**form, "avatar": shown["avatar"], "avatar_name": shown["avatar_name"]}


def wanted(form: Mapping[str, Any]) -> dict[str, str]:
    """What the form asks for, as the services take it."""
    fields = typed(form)
    named = fields.pop("avatar_name")
    return fields | ({"avatar": named} if fields["avatar"] == OTHER else {})


def placed(problems: Mapping[str, str], form: Mapping[str, Any]) -> dict[str, str]:
    """What the services say of the brief, at the fields of the form: another avatar has one of its own."""
    named = form.get("avatar") == OTHER
    return {"avatar_name" if named and name == "avatar" else name: text for name, text in problems.items()}


def _chosen(avatar: str, offered: Collection[str]) -> dict[str, str]:
    if avatar in offered:
        return {"avatar": avatar, "avatar_name": ""}
    return {"avatar": OTHER, "avatar_name": avatar}
