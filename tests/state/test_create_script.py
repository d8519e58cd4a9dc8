"""The script in the modal: nothing typed is lost, and one part can be rewritten without touching the others."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server, Tab
from tests.support.generator import Generator
from videovault.services.core.access import Caller
from videovault.services.generation import scripts
from videovault.state.create import CreateState
from videovault.state.session import SessionState

BRIEF = {"topic": "Bread at night", "company_name": "Brot & Söhne", "avatar": "Sofia"}
SCRIPT = {"hook": "Do you know?", "body": "We bake at night.", "conclusion": "Come by."}
REWRITTEN = {"hook": "Another hook", "body": "Another body", "conclusion": "Another end"}


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def tab(server: Server, ada: Person, generator: Generator) -> Tab:
    """A tab with a script in its modal."""
    generator.script = SCRIPT
    opened = server.tab(ada.token)
    opened.send(CreateState, "write_script", form=BRIEF)
    generator.script = REWRITTEN
    return opened


def stored(caller: Caller, tab: Tab) -> dict[str, str]:
    script = scripts.read(caller, tab.sees(CreateState).script_id)
    return {part: getattr(script, part) for part in SCRIPT}


def test_one_part_is_rewritten_and_the_others_stay_as_typed(tab: Tab, ada: Person) -> None:
    typed = {**SCRIPT, "body": "We bake when you sleep."}
    tab.send(CreateState, "save_script", form=typed)
    tab.send(CreateState, "rewrite", part="hook")
    expected = {**typed, "hook": "Another hook"}
    assert tab.sees(CreateState).parts == stored(ada.caller, tab) == expected
    assert tab.sees(CreateState).undo_labels == {"hook": "Undo"}
    assert tab.sees(CreateState).parts_notice == "Hook rewritten."


def test_only_the_part_that_changed_gets_a_new_field(tab: Tab) -> None:
    before = tab.sees(CreateState).part_numbers
    tab.send(CreateState, "rewrite", part="body")
    assert tab.sees(CreateState).part_numbers == {**before, "body": before["body"] + 1}


def test_undo_and_redo_lose_neither_of_the_two_texts_even_when_edited(tab: Tab, ada: Person) -> None:
    tab.send(CreateState, "rewrite", part="hook")
    tab.send(CreateState, "save_script", form={**SCRIPT, "hook": "Another hook, mended"})
    tab.send(CreateState, "undo", part="hook")
    assert tab.sees(CreateState).parts == stored(ada.caller, tab) == SCRIPT
    assert tab.sees(CreateState).undo_labels == {"hook": "Redo"}
    tab.send(CreateState, "undo", part="hook")
    assert stored(ada.caller, tab)["hook"] == "Another hook, mended"
    assert tab.sees(CreateState).undo_labels == {"hook": "Undo"}


def test_each_part_has_its_own_undo(tab: Tab) -> None:
    tab.send(CreateState, "rewrite", part="hook")
    tab.send(CreateState, "rewrite", part="body")
    tab.send(CreateState, "undo", part="hook")
    assert tab.sees(CreateState).parts == {**SCRIPT, "body": "Another body"}
    assert tab.sees(CreateState).undo_labels == {"hook": "Redo", "body": "Undo"}


def test_undo_ends_when_another_script_opens(tab: Tab) -> None:
    tab.send(CreateState, "rewrite", part="hook")
    tab.send(CreateState, "open", video_id=tab.sees(CreateState).script_id)
    tab.send(CreateState, "undo", part="hook")
    assert tab.sees(CreateState).undo_labels == {}
    assert tab.sees(CreateState).parts["hook"] == "Another hook"


def test_no_video_is_requested_while_a_part_is_being_rewritten(tab: Tab, generator: Generator) -> None:
    generator.script_mode = "hang"
    tab.start(CreateState, "rewrite", part="hook")
    tab.wait_until(lambda: tab.sees(CreateState).waiting_for == "hook")
    tab.send(CreateState, "create_video", form=SCRIPT)
    assert tab.sees(CreateState).stage == "script"
    tab.send(CreateState, "rewrite", part="hook")
    assert tab.sees(CreateState).waiting_for == ""
    generator.over.set()
    assert tab.sees(CreateState).parts == SCRIPT


def test_closing_leaves_the_part_as_it_was(tab: Tab, ada: Person, generator: Generator) -> None:
    generator.script_mode = "hang"
    tab.start(CreateState, "rewrite", part="hook")
    tab.wait_until(lambda: tab.sees(CreateState).waiting_for == "hook")
    tab.send(CreateState, "close")
    generator.over.set()
    assert tab.sees(CreateState).waiting_for == ""
    assert stored(ada.caller, tab) == SCRIPT


def test_webhook_error_is_shown_at_the_part(tab: Tab, generator: Generator) -> None:
    generator.script_mode = "nonsense"
    tab.send(CreateState, "rewrite", part="conclusion")
    assert set(tab.sees(SessionState).errors) == {"conclusion"}
    assert tab.sees(CreateState).parts == SCRIPT
    assert tab.sees(CreateState).waiting_for == ""


@pytest.mark.parametrize("part", ["", "license", "video_id"])
def test_only_parts_can_be_rewritten(tab: Tab, generator: Generator, part: str) -> None:
    tab.send(CreateState, "rewrite", part=part)
    tab.send(CreateState, "undo", part=part)
    assert len(generator.requests) == 1
    assert tab.sees(CreateState).parts == SCRIPT


def test_script_kept_by_the_browser_is_saved(tab: Tab, ada: Person) -> None:
    again = tab.server.tab(ada.token, address=f"/create?video={tab.sees(CreateState).script_id}")
    again.send(CreateState, "enter")
    typed = {**SCRIPT, "body": "Typed when the session had ended."}
    again.send(CreateState, "restore_script", form=typed)
    assert again.sees(CreateState).parts == stored(ada.caller, again) == typed


def test_browser_copy_is_removed_after_saving(tab: Tab) -> None:
    tab.send(CreateState, "save_script", form={**SCRIPT, "hook": "h" * 5_000})
    assert tab.sees(CreateState).removal == ""
    tab.send(CreateState, "save_script", form=SCRIPT)
    saved = tab.sees(CreateState)
    assert saved.stored_keys == [f"videovault/ada@example.com/script/{saved.script_id}"]
    first = saved.removal
    tab.send(CreateState, "save_script", form=SCRIPT)
    assert tab.sees(CreateState).removal != first


def test_script_of_a_video_in_progress_stays_unchanged(tab: Tab, ada: Person) -> None:
    script_id = tab.sees(CreateState).script_id
    tab.send(CreateState, "create_video", form=SCRIPT)
    tab.send(CreateState, "save_script", form={**SCRIPT, "hook": "Too late"})
    tab.send(CreateState, "rewrite", part="hook")
    assert scripts.read(ada.caller, script_id).hook == SCRIPT["hook"]
    assert tab.sees(SessionState).errors == {}
