"""What takes long in a tab ends there for whoever began it, not for somebody else who has signed in meanwhile."""

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
    """The script webhook, which has been asked and does not answer yet."""
    generator.script_mode = "hang"
    tab.start(CreateState, "write", form=BRIEF)
    tab.waits_until(lambda: bool(generator.requests))
    return generator


def hand_over(tab: Tab, cookie: str) -> None:
    tab.cookie = cookie
    tab.send(SessionState, "arrive")
    tab.server.received.deltas.clear()
    tab.server.received.events.clear()


def ended(tab: Tab) -> None:
    tab.waits_until(lambda: not tab.server.processor._tasks)


def test_a_script_opens_at_whoever_asked_for_it(tab: Tab, asking: Generator) -> None:
    asking.over.set()
    ended(tab)
    assert tab.sees(CreateState).stage == "script"


@pytest.mark.parametrize("answer", ["direct", "nonsense"])
@pytest.mark.parametrize("next_one", ["bob", "ada", "nobody"])
def test_neither_a_script_nor_its_failure_reaches_another_session(
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


def test_a_loop_stays_with_the_session_that_it_began_in(
    tab: Tab, ada: Person, person: Callable[[str], Person]
) -> None:
    tab.start(ProgressState, "watch")
    tab.waits_until(lambda: bool(tab.received.count("works")))
    hand_over(tab, person("bob").token)
    accounts.logout(ada.token)
    ended(tab)
    assert tab.sent_to == ""
