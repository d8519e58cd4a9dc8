"""The brief survives reloads, lost sessions and errors; the wait for its script can be cancelled."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server, Tab
from tests.support.generator import Generator
from videovault.services.core.views import ScriptView
from videovault.services.generation.avatars import OTHER_AVATAR
from videovault.services.videos import gallery
from videovault.state import create, wording
from videovault.state.create import CreateState
from videovault.state.session import SessionState

TYPED = {**create.EMPTY, "topic": "Half a top", "company_name": "Brot & Söhne", "avatar": "Sofia"}


@pytest.fixture
def ada(server: Server, person: Callable[[str], Person]) -> Tab:
    return server.tab(person("ada").token)


def drafts(person: Person) -> int:
    drafted = gallery.GalleryQuery(status="draft")
    return len(gallery.list_videos(person.caller, person.caller.user_id, drafted, links=False).videos)


def test_typed_brief_is_there_after_loading_the_page_again(ada: Tab) -> None:
    ada.send(CreateState, "save_brief", form=TYPED)
    ada.send(CreateState, "enter")
    assert ada.sees(CreateState).brief == TYPED


def test_typing_before_the_page_has_avatars_leaves_one_chosen(ada: Tab) -> None:
    ada.send(CreateState, "save_brief", form={"topic": "Bread"})
    ada.send(CreateState, "enter")
    assert ada.sees(CreateState).brief == {**create.EMPTY, "topic": "Bread"}


def test_brief_kept_by_the_browser_is_shown_in_new_fields(ada: Tab) -> None:
    ada.send(CreateState, "enter")
    before = ada.sees(CreateState).form_number
    ada.send(CreateState, "restore_brief", form=TYPED)
    assert (ada.sees(CreateState).brief, ada.sees(CreateState).form_number) == (TYPED, before + 1)
    ada.send(CreateState, "enter")
    assert ada.sees(CreateState).brief == TYPED


def test_brief_already_shown_is_left_alone(ada: Tab) -> None:
    ada.send(CreateState, "save_brief", form=TYPED)
    ada.send(CreateState, "restore_brief", form=TYPED)
    assert ada.sees(CreateState).form_number == 0


def test_browser_keeps_the_brief_until_its_video_is_ordered(ada: Tab, generator: Generator) -> None:
    ada.send(CreateState, "write_script", form=TYPED)
    assert ada.sees(CreateState).removal == ""
    ada.send(CreateState, "create_video", form=generator.script)
    assert "videovault/ada@example.com/brief" in ada.sees(CreateState).stored_keys


def test_missing_avatar_id_is_reported_at_its_field(ada: Tab) -> None:
    ada.send(CreateState, "write_script", form={**TYPED, "avatar": OTHER_AVATAR})
    assert ada.sees(SessionState).errors == {"avatar_name": "Say who speaks."}


def test_script_of_a_cancelled_wait_is_discarded(
    server: Server, person: Callable[[str], Person], generator: Generator
) -> None:
    user = person("ada")
    tab = server.tab(user.token)
    generator.script_mode = "hang"
    tab.start(CreateState, "write_script", form=TYPED)
    tab.wait_until(lambda: tab.sees(CreateState).waiting_for == "script" and len(generator.requests) == 1)
    tab.send(CreateState, "cancel_wait")
    assert tab.sees(CreateState).waiting_for == ""
    generator.over.set()
    generator.script_mode = "direct"
    tab.send(CreateState, "write_script", form=TYPED)
    assert (tab.sees(CreateState).stage, drafts(user)) == ("script", 1)


def test_wait_is_counted_and_limited(ada: Tab, generator: Generator) -> None:
    generator.script_mode = "hang"
    ada.start(CreateState, "write_script", form=TYPED)
    ada.wait_until(lambda: ada.sees(CreateState).waited_seconds >= 1)
    assert ada.sees(CreateState).max_wait
    ada.send(CreateState, "cancel_wait")
    generator.over.set()


def leave_wait_behind(tab: Tab, waiting_for: str) -> None:
    """As a replica does that is killed while it waits for the script webhook."""
    state = tab.sees(CreateState)
    state.waiting_for, state.waited_seconds = waiting_for, 7


@pytest.mark.parametrize(("waiting_for", "place"), [("script", "form"), ("hook", "hook")])
@pytest.mark.parametrize("handler", ["resume", "enter"])
@pytest.mark.usefixtures("generator")
def test_wait_of_a_killed_server_ends_and_can_be_asked_again(
    ada: Tab, monkeypatch: pytest.MonkeyPatch, handler: str, waiting_for: str, place: str
) -> None:
    monkeypatch.setattr(create, "WAIT_LEASE_SECONDS", 0.1)
    monkeypatch.setattr(create, "TICK_SECONDS", 0.05)
    ada.send(CreateState, "enter")
    leave_wait_behind(ada, waiting_for)
    ada.send(CreateState, handler)
    assert ada.sees(CreateState).waiting_for == ""
    assert ada.sees(SessionState).errors == {place: wording.SCRIPT_LOST[waiting_for]}
    ada.send(CreateState, "write_script", form=TYPED)
    assert ada.sees(CreateState).stage == "script"


def test_wait_that_goes_on_is_not_ended(
    ada: Tab, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(create, "WAIT_LEASE_SECONDS", 1.5)
    generator.script_mode = "hang"
    ada.start(CreateState, "write_script", form=TYPED)
    ada.wait_until(lambda: ada.sees(CreateState).waiting_for == "script")
    ada.start(CreateState, "resume")
    ada.wait_until(lambda: ada.sees(CreateState).waited_seconds >= 3)
    assert ada.sees(CreateState).waiting_for == "script"
    ada.send(CreateState, "cancel_wait")
    generator.over.set()


# The brief as its form shows it.


def script(avatar: str) -> ScriptView:
    return ScriptView(
        video_id="v",
        topic="Bread",
        hook="h",
        body="b",
        conclusion="c",
        company_name="Harbor",
        social_handles="@harbor",
        license="",
        avatar=avatar,
    )


def test_first_form_is_empty_but_for_an_avatar() -> None:
    assert create.next_brief(None) == create.EMPTY


def test_next_form_keeps_all_but_the_topic() -> None:
    assert create.next_brief(script("Sofia")) == {
        "topic": "",
        "company_name": "Harbor",
        "social_handles": "@harbor",
        "license": "",
        "avatar": "Sofia",
        "avatar_name": "",
    }


def test_avatar_outside_the_cast_is_shown_by_its_name() -> None:
    form = create.next_brief(script("Professor Quill"))
    assert (form["avatar"], form["avatar_name"]) == (OTHER_AVATAR, "Professor Quill")
    assert create.requested_brief(form)["avatar"] == "Professor Quill"


def test_other_without_a_name_is_no_avatar() -> None:
    assert create.requested_brief({"topic": "Bread", "avatar": OTHER_AVATAR})["avatar"] == ""


def test_chosen_face_wins_over_a_name_left_in_the_hidden_field() -> None:
    assert create.requested_brief({"avatar": "Maya", "avatar_name": "Professor Quill"})["avatar"] == "Maya"


def test_unknown_fields_and_types_do_not_get_through() -> None:
    wanted = create.requested_brief({"topic": ["a"], "is_admin": True, "avatar": "Maya"})
    assert set(wanted) == {"topic", "company_name", "social_handles", "license", "avatar"}
    assert wanted["topic"] == "['a']"


def test_error_of_another_avatar_is_at_its_id_field() -> None:
    problems = {"topic": "Say what", "avatar": "Say who"}
    assert create.errors_by_field(problems, {"avatar": OTHER_AVATAR}) == {
        "topic": "Say what",
        "avatar_name": "Say who",
    }
    assert create.errors_by_field(problems, {"avatar": ""}) == problems


def test_a_form_that_was_sent_before_the_page_had_avatars_asks_for_the_one_shown() -> None:
    shown = create.EMPTY | {"avatar": "Sofia"}
    assert create.requested_brief(create.with_default_avatar({"topic": "Bread"}, shown))["avatar"] == "Sofia"
    other = create.EMPTY | {"avatar": OTHER_AVATAR, "avatar_name": "Professor Quill"}
    assert (
        create.requested_brief(create.with_default_avatar({"topic": "Bread"}, other))["avatar"]
        == "Professor Quill"
    )
    assert create.with_default_avatar({"avatar": "Maya"}, shown) == {"avatar": "Maya"}
