"""The admin's avatars: added, changed, ordered and deleted, and offered in the form at once."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server, Tab
from videovault.services.generation import avatars
from videovault.services.generation.avatars import BUILT_IN_NAMES, OTHER_AVATAR
from videovault.state.admin.avatars import AdminAvatarsState
from videovault.state.create import CreateState
from videovault.state.session import AdminState, SessionState


@pytest.fixture
def anna(person: Callable[[str], Person]) -> Person:
    """The first account, which is the admin."""
    return person("anna")


@pytest.fixture
def admin(server: Server, anna: Person) -> Tab:
    tab = server.tab(anna.token, "/admin/avatars")
    tab.send(AdminAvatarsState, "load")
    return tab


def names(tab: Tab) -> list[str]:
    return [avatar.name for avatar in tab.sees(AdminAvatarsState).avatars]


def add(tab: Tab, name: str, generator_id: str) -> str:
    tab.send(AdminAvatarsState, "add")
    tab.send(AdminAvatarsState, "save", form={"name": name, "generatorId": generator_id})
    return tab.sees(AdminAvatarsState).edited.avatar_id


def test_an_avatar_is_added_changed_and_deleted(admin: Tab) -> None:
    assert (names(admin), admin.sees(AdminAvatarsState).are_built_in) == (list(BUILT_IN_NAMES), True)
    avatar_id = add(admin, "Anna at the desk", "anna-1")
    shown = admin.sees(AdminAvatarsState)
    assert (shown.is_editing, shown.edited.initials, shown.are_built_in) == (True, "AD", False)
    admin.send(AdminAvatarsState, "save", form={"name": "Anna", "generatorId": "anna-2"})
    assert (names(admin), admin.sees(AdminAvatarsState).is_editing) == (["Anna"], False)
    admin.send(AdminAvatarsState, "ask_removal", avatar_id=avatar_id)
    assert admin.sees(AdminAvatarsState).to_delete.name == "Anna"
    admin.send(AdminAvatarsState, "cancel_removal")
    assert names(admin) == ["Anna"]
    admin.send(AdminAvatarsState, "ask_removal", avatar_id=avatar_id)
    admin.send(AdminAvatarsState, "remove")
    assert names(admin) == list(BUILT_IN_NAMES)


def test_they_move_one_place_at_a_time_and_stay_at_the_ends(admin: Tab) -> None:
    first, *_, last = [add(admin, name, name) for name in ("One", "Two", "Three")]
    for avatar_id, by in ((first, -1), (last, 1), ("nothing", 1)):
        admin.send(AdminAvatarsState, "move", avatar_id=avatar_id, by=by)
    assert names(admin) == ["One", "Two", "Three"]
    admin.send(AdminAvatarsState, "move", avatar_id=last, by=-5)
    assert names(admin) == ["One", "Three", "Two"]
    admin.send(AdminAvatarsState, "move", avatar_id=first, by=1)
    assert names(admin) == ["Three", "One", "Two"]


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(admin: Tab) -> None:
    admin.send(AdminAvatarsState, "add")
    admin.send(AdminAvatarsState, "save", form={"name": "Anna", "generatorId": " "})
    assert set(admin.sees(SessionState).errors) == {"generatorId"}
    assert admin.sees(AdminAvatarsState).is_editing
    admin.send(AdminAvatarsState, "close")
    assert (admin.sees(AdminAvatarsState).is_editing, admin.sees(SessionState).errors) == (False, {})


def test_a_picture_that_the_page_sent_is_shown(admin: Tab, anna: Person) -> None:
    avatar_id = add(admin, "Anna", "anna-1")
    admin.send(AdminAvatarsState, "picture_changed")
    assert admin.sees(AdminAvatarsState).edited.avatar_id == avatar_id
    admin.send(AdminAvatarsState, "remove_picture")
    assert admin.sees(AdminAvatarsState).edited.picture_url == ""
    avatars.remove(anna.caller, avatar_id)  # in another tab
    admin.send(AdminAvatarsState, "remove_picture")
    assert admin.sees(SessionState).errors == {"avatar": "This avatar has been deleted."}


def test_for_others_the_page_does_not_exist_and_nothing_on_it_works(
    admin: Tab, server: Server, person: Callable[[str], Person]
) -> None:
    avatar_id = add(admin, "Anna", "anna-1")
    bob = server.tab(person("bob").token, "/admin/avatars")
    bob.send(AdminAvatarsState, "load")
    assert bob.sees(AdminState).access == "no"
    bob.send(AdminAvatarsState, "add")
    bob.send(AdminAvatarsState, "save", form={"name": "Eve", "generatorId": "eve"})
    bob.send(AdminAvatarsState, "edit", avatar_id=avatar_id)
    bob.send(AdminAvatarsState, "save", form={"name": "Eve", "generatorId": "eve"})
    bob.send(AdminAvatarsState, "ask_removal", avatar_id=avatar_id)
    bob.send(AdminAvatarsState, "remove")
    admin.send(AdminAvatarsState, "load")
    assert names(admin) == ["Anna"]


def test_the_form_offers_them_and_keeps_what_older_videos_were_made_with(
    admin: Tab, server: Server, person: Callable[[str], Person]
) -> None:
    bob = server.tab(person("bob").token)
    bob.send(CreateState, "save_brief", form={"topic": "Bread", "avatar": "Sofia"})
    add(admin, "Anna", "anna-1")
    add(admin, "Ben", "ben-1")
    bob.send(CreateState, "enter")
    form = bob.sees(CreateState)
    assert [avatar.generator_id for avatar in form.avatars] == ["anna-1", "ben-1"]
    assert (form.brief["topic"], form.brief["avatar"]) == ("Bread", "anna-1")  # a built-in one gives way
    bob.send(
        CreateState, "restore_brief", form={"topic": "Rolls", "avatar": OTHER_AVATAR, "avatar_name": "my-own"}
    )
    assert (bob.sees(CreateState).brief["avatar"], bob.sees(CreateState).brief["avatar_name"]) == (
        OTHER_AVATAR,
        "my-own",
    )
    bob.send(CreateState, "restore_brief", form={"topic": "Rolls", "avatar": "gone-1"})
    assert (bob.sees(CreateState).brief["avatar"], bob.sees(CreateState).brief["avatar_name"]) == (
        OTHER_AVATAR,
        "gone-1",
    )
