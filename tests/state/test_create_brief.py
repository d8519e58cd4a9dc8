"""What is typed into the brief outlives reloads, lost sessions and errors; the wait for its script can be given up."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server, Tab
from tests.support.generator import Generator
from videovault.services.generation.avatars import OTHER
from videovault.services.videos import gallery
from videovault.state import create
from videovault.state.create import BriefState, StudioState
from videovault.state.session import SessionState
from videovault.state.wait import WaitState

TYPED = {**create.EMPTY, "topic": "Half a top", "company_name": "Brot & Söhne", "avatar": "Sofia"}


@pytest.fixture
def ada(server: Server, person: Callable[[str], Person]) -> Tab:
    return server.tab(person("ada").token)


def drafts(person: Person) -> int:
    drafted = gallery.GalleryQuery(status="draft")
    return len(gallery.gallery(person.caller, person.caller.user_id, drafted, links=False).videos)


def forgotten(tab: Tab) -> list[str]:
    """What the browser was told to keep no longer."""
    events = tab.server.received.events.get(tab.token, [])
    return [event.payload["key"] for event in events if event.name == "_remove_local_storage"]


def test_typed_brief_is_there_after_loading_the_page_again(ada: Tab) -> None:
    ada.send(BriefState, "keep_brief", form=TYPED)
    ada.send(StudioState, "enter")
    assert ada.sees(BriefState).brief == TYPED


def test_typing_before_the_page_has_avatars_leaves_one_chosen(ada: Tab) -> None:
    ada.send(BriefState, "keep_brief", form={"topic": "Bread"})
    ada.send(StudioState, "enter")
    assert ada.sees(BriefState).brief == {**create.EMPTY, "topic": "Bread"}


def test_what_the_browser_kept_is_shown_in_new_fields(ada: Tab) -> None:
    ada.send(StudioState, "enter")
    before = ada.sees(BriefState).form_number
    ada.send(BriefState, "restore_brief", form=TYPED)
    assert (ada.sees(BriefState).brief, ada.sees(BriefState).form_number) == (TYPED, before + 1)
    ada.send(StudioState, "enter")
    assert ada.sees(BriefState).brief == TYPED


def test_what_is_shown_already_is_left_alone(ada: Tab) -> None:
    ada.send(BriefState, "keep_brief", form=TYPED)
    ada.send(BriefState, "restore_brief", form=TYPED)
    assert ada.sees(BriefState).form_number == 0


def test_browser_keeps_the_brief_until_its_video_is_ordered(ada: Tab, generator: Generator) -> None:
    ada.send(StudioState, "write", form=TYPED)
    assert forgotten(ada) == []
    ada.send(StudioState, "make", form=generator.script)
    assert "videovault/ada@example.com/brief" in forgotten(ada)


def test_another_avatar_without_a_name_is_told_at_its_name(ada: Tab) -> None:
    ada.send(StudioState, "write", form={**TYPED, "avatar": OTHER})
    assert ada.sees(SessionState).errors == {"avatar_name": "Say who speaks."}


def test_script_that_is_given_up_is_not_kept(
    server: Server, person: Callable[[str], Person], generator: Generator
) -> None:
    somebody = person("ada")
    tab = server.tab(somebody.token)
    generator.script_mode = "hang"
    tab.start(StudioState, "write", form=TYPED)
    tab.waits_until(lambda: tab.sees(WaitState).waiting_for == "script" and len(generator.requests) == 1)
    tab.send(WaitState, "give_up")
    assert tab.sees(WaitState).waiting_for == ""
    generator.over.set()
    generator.script_mode = "direct"
    tab.send(StudioState, "write", form=TYPED)
    assert (tab.sees(StudioState).stage, drafts(somebody)) == ("script", 1)


def test_wait_is_counted_and_has_an_end(ada: Tab, generator: Generator) -> None:
    generator.script_mode = "hang"
    ada.start(StudioState, "write", form=TYPED)
    ada.waits_until(lambda: ada.sees(WaitState).waited >= 1)
    assert ada.sees(WaitState).patience
    ada.send(WaitState, "give_up")
    generator.over.set()
