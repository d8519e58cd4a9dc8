"""Long-running handlers stay with the session that started them when another user signs in at the tab."""

from collections.abc import Callable

import pytest

from tests.state.conftest import PASSWORD, Person, Server, Tab
from tests.support.generator import Generator
from videovault.services.accounts import accounts
from videovault.state.create import CreateState
from videovault.state.live_updates import ProgressState
from videovault.state.session import SessionState

BRIEF = {"topic": "Adas secret plans", "avatar": "Sofia"}


@pytest.fixture
def ada(person: Callable[[str], Person]) -> Person:
    return person("ada")


@pytest.fixture
def tab(server: Server, ada: Person) -> Tab:
    return server.tab(ada.token)


@pytest.fixture
def asking(tab: Tab, generator: Generator) -> Generator:
    """The script webhook, called and not answering yet."""
    generator.script_mode = "hang"
    tab.start(CreateState, "write_script", form=BRIEF)
    tab.wait_until(lambda: bool(generator.requests))
    return generator


def hand_over(tab: Tab, cookie: str) -> None:
    tab.cookie = cookie
    tab.send(SessionState, "clear_messages")
    tab.server.received.deltas.clear()
    tab.server.received.events.clear()


def ended(tab: Tab) -> None:
    tab.wait_until(lambda: not tab.server.processor._tasks)


def test_script_opens_in_the_session_that_requested_it(tab: Tab, asking: Generator) -> None:
    asking.over.set()
    ended(tab)
    assert tab.sees(CreateState).stage == "script"


@pytest.mark.parametrize("answer", ["direct", "nonsense"])
@pytest.mark.parametrize("next_one", ["bob", "ada", "nobody"])
def test_neither_script_nor_error_reaches_another_session(
    tab: Tab, person: Callable[[str], Person], asking: Generator, next_one: str, answer: str
) -> None:
    cookies: dict[str, Callable[[], str]] = {
        "bob": lambda: person("bob").token,
        "ada": lambda: accounts.login("ada@example.com", PASSWORD).token,
        "nobody": str,
    }
    hand_over(tab, cookies[next_one]())
    asking.script_mode = answer  # type: ignore[assignment] # one of its modes
    asking.over.set()
    ended(tab)
    assert (tab.sees(CreateState).stage, tab.sees(CreateState).video.title) == ("", "")
    assert (tab.received, tab.sent_to) == ("[]", "")


def test_loop_stays_with_its_session(tab: Tab, ada: Person, person: Callable[[str], Person]) -> None:
    tab.start(ProgressState, "watch")
    tab.wait_until(lambda: ProgressState.get_full_name() in tab.received)
    hand_over(tab, person("bob").token)
    accounts.logout(ada.token)
    ended(tab)
    assert tab.sent_to == ""
