"""The script in the modal: nothing typed is lost, and one part is written anew without touching the others."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server, Tab
from tests.support.generator import Generator
from videovault.services.core.access import Caller
from videovault.services.generation import scripts
from videovault.state.create import CreateState, ScriptState, WaitState
from videovault.state.session import SessionState

BRIEF = {"topic": "Bread at night", "company_name": "Brot & Söhne", "avatar": "Sofia"}
SCRIPT = {"hook": "Do you know?", "body": "We bake at night.", "conclusion": "Come by."}
ANEW = {"hook": "Another hook", "body": "Another body", "conclusion": "Another end"}


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def tab(server: Server, ada: Person, generator: Generator) -> Tab:
    """A tab with a script in its modal."""
    generator.script = SCRIPT
    opened = server.tab(ada.token)
    opened.send(CreateState, "write", form=BRIEF)
    generator.script = ANEW
    return opened


def stored(caller: Caller, tab: Tab) -> dict[str, str]:
    script = scripts.read(caller, tab.sees(ScriptState).script_id)
    return {part: getattr(script, part) for part in SCRIPT}


def test_one_part_is_written_anew_and_the_others_stay_as_they_were_typed(tab: Tab, ada: Person) -> None:
    typed = {**SCRIPT, "body": "We bake when you sleep."}
    tab.send(ScriptState, "keep", form=typed)
    tab.send(ScriptState, "rewrite", part="hook")
    expected = {**typed, "hook": "Another hook"}
    assert tab.sees(ScriptState).parts == stored(ada.caller, tab) == expected
    assert tab.sees(ScriptState).undo_labels == {"hook": "Undo"}
    assert tab.sees(ScriptState).parts_notice == "The hook has been rewritten. You can undo it."


def test_only_the_part_that_changed_gets_a_new_field(tab: Tab) -> None:
    before = tab.sees(ScriptState).part_numbers
    tab.send(ScriptState, "rewrite", part="body")
    assert tab.sees(ScriptState).part_numbers == {**before, "body": before["body"] + 1}


def test_undo_and_redo_lose_neither_of_the_two_texts_even_when_edited(tab: Tab, ada: Person) -> None:
    tab.send(ScriptState, "rewrite", part="hook")
    tab.send(ScriptState, "keep", form={**SCRIPT, "hook": "Another hook, mended"})
    tab.send(ScriptState, "undo", part="hook")
    assert tab.sees(ScriptState).parts == stored(ada.caller, tab) == SCRIPT
    assert tab.sees(ScriptState).undo_labels == {"hook": "Redo"}
    tab.send(ScriptState, "undo", part="hook")
    assert stored(ada.caller, tab)["hook"] == "Another hook, mended"
    assert tab.sees(ScriptState).undo_labels == {"hook": "Undo"}


def test_each_part_has_a_way_back_of_its_own(tab: Tab) -> None:
    tab.send(ScriptState, "rewrite", part="hook")
    tab.send(ScriptState, "rewrite", part="body")
    tab.send(ScriptState, "undo", part="hook")
    assert tab.sees(ScriptState).parts == {**SCRIPT, "body": "Another body"}
    assert tab.sees(ScriptState).undo_labels == {"hook": "Redo", "body": "Undo"}


def test_way_back_ends_with_the_script_it_belongs_to(tab: Tab) -> None:
    tab.send(ScriptState, "rewrite", part="hook")
    tab.send(CreateState, "open", video_id=tab.sees(ScriptState).script_id)
    tab.send(ScriptState, "undo", part="hook")
    assert tab.sees(ScriptState).undo_labels == {}
    assert tab.sees(ScriptState).parts["hook"] == "Another hook"


def test_no_video_is_made_while_a_part_is_being_written(tab: Tab, generator: Generator) -> None:
    generator.script_mode = "hang"
    tab.start(ScriptState, "rewrite", part="hook")
    tab.waits_until(lambda: tab.sees(WaitState).waiting_for == "hook")
    tab.send(CreateState, "make", form=SCRIPT)
    assert tab.sees(CreateState).stage == "script"
    tab.send(ScriptState, "rewrite", part="hook")
    assert tab.sees(WaitState).waiting_for == ""
    generator.over.set()
    assert tab.sees(ScriptState).parts == SCRIPT


def test_closing_leaves_the_part_as_it_was(tab: Tab, ada: Person, generator: Generator) -> None:
    generator.script_mode = "hang"
    tab.start(ScriptState, "rewrite", part="hook")
    tab.waits_until(lambda: tab.sees(WaitState).waiting_for == "hook")
    tab.send(CreateState, "close")
    generator.over.set()
    assert tab.sees(WaitState).waiting_for == ""
    assert stored(ada.caller, tab) == SCRIPT


def test_webhook_that_fails_is_told_at_the_part(tab: Tab, generator: Generator) -> None:
    generator.script_mode = "nonsense"
    tab.send(ScriptState, "rewrite", part="conclusion")
    assert set(tab.sees(SessionState).errors) == {"conclusion"}
    assert tab.sees(ScriptState).parts == SCRIPT
    assert tab.sees(WaitState).waiting_for == ""


@pytest.mark.parametrize("part", ["", "license", "video_id"])
def test_nothing_but_a_part_is_written(tab: Tab, generator: Generator, part: str) -> None:
    tab.send(ScriptState, "rewrite", part=part)
    tab.send(ScriptState, "undo", part=part)
    assert len(generator.requests) == 1
    assert tab.sees(ScriptState).parts == SCRIPT


def test_what_the_browser_kept_of_a_lost_session_is_kept_for_good(tab: Tab, ada: Person) -> None:
    again = tab.server.tab(ada.token, address=f"/create?video={tab.sees(ScriptState).script_id}")
    again.send(CreateState, "enter")
    typed = {**SCRIPT, "body": "Typed when the session had ended."}
    again.send(ScriptState, "restore", form=typed)
    assert again.sees(ScriptState).parts == stored(ada.caller, again) == typed


def test_browser_lets_go_of_what_the_server_has(tab: Tab) -> None:
    tab.send(ScriptState, "keep", form={**SCRIPT, "hook": "h" * 5_000})
    events = tab.server.received.events[tab.token]
    assert not [event for event in events if event.name == "_remove_local_storage"]
    tab.send(ScriptState, "keep", form=SCRIPT)
    [gone] = [event.payload["key"] for event in events if event.name == "_remove_local_storage"]
    assert gone == f"videovault/ada@example.com/script/{tab.sees(ScriptState).script_id}"


def test_script_of_a_video_in_work_is_left_alone(tab: Tab, ada: Person) -> None:
    script_id = tab.sees(ScriptState).script_id
    tab.send(CreateState, "make", form=SCRIPT)
    tab.send(ScriptState, "keep", form={**SCRIPT, "hook": "Too late"})
    tab.send(ScriptState, "rewrite", part="hook")
    assert scripts.read(ada.caller, script_id).hook == SCRIPT["hook"]
    assert tab.sees(SessionState).errors == {}
