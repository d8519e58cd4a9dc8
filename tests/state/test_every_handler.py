"""Every handler that a browser may call, called by those who have no business there, over the pages' own socket.

Reflex's register tells which there are, so that a new one is tried without anybody thinking of it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.state.attack_target import AttackTarget
from tests.state.event_handlers import Handler, handlers, payloads, states
from tests.support.documents import table
from tests.support.raw_tab import HYDRATE, Frame, RawTab
from tests.support.security_document import in_document

pytestmark = [pytest.mark.process]
SESSION_SECONDS = 2.0
BACKGROUND_SECONDS = 0.5
SETTERS = "calls the setter of a var by its name, of which there is one: is_hydrated"
# Those that need no session, and why.
OPEN = {
    "State.hydrate": "tells a tab what is in it",
    "State.hydrate_and_load": "the same, and calls the handlers of the page, each of which asks who calls",
    "State.set_is_hydrated": "tells a tab that its page has loaded",
    "OnLoadInternalState.on_load_internal": "calls the handlers of the page, each of which asks who calls",
    "OnLoadInternalState.set_is_hydrated": "tells a tab that its page has loaded",
    "UpdateVarsInternalState.update_vars_internal": "sets vars that browsers keep, of which there are none",
    "FrontendEventExceptionState.handle_frontend_exception": "leaves a line in the log",
    "SessionState.apologise": "shows a sentence in the tab",
    "SessionState.arrive": "clears the tab's notices",
    "SessionState.dismiss": "clears the tab's notice",
    "SessionState.go_home": "leads who is signed in to the first page",
    "AccountState.enter": "reads the address of the sign-in page",
    "ProblemState.tell": "reads the address of the page that explains errors",
    "AccountState.join": "the same for the page of new accounts, and tells who may make one",
    "AccountState.recover": "reads the address of the page for a lost password",
    "ShareState.open": "shows a video to whoever has its key",
} | {f"{state.__name__}.setvar": SETTERS for state in states()}
HANDLERS = handlers()
GUARDED = [handler for handler in HANDLERS if handler.label not in OPEN]

STRANGERS = ("nobody", "stolen tab", "ended session")
USERS = ("Bob", "stolen tab, Bob's cookie")
KINDS = (*STRANGERS, *USERS)

Tabs = Callable[[Handler], RawTab]


@dataclass
class Trial:
    """One kind of caller: how often it called, and what came of it, for each State class."""

    called: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def note(self, handler: Handler, calls: int, refused: int = 0) -> None:
        self.called[handler.state.__name__] += calls
        self.refused[handler.state.__name__] += refused


@pytest.fixture(scope="module")
def trials() -> dict[str, Trial]:
    return {}


@pytest.fixture
def bystander(house: AttackTarget) -> Iterator[RawTab]:
    """Another tab of Ada's, which must not notice anything."""
    with house.adas_tab(house.ada.cookie) as tab:
        yield tab
        assert list(tab.frames(0.2)) == []


def test_every_exception_is_one_of_a_handler_that_exists() -> None:
    assert {handler.label for handler in HANDLERS} >= OPEN.keys()


def test_no_var_can_be_set_by_what_a_browser_keeps() -> None:
    assert not [
        (state, name) for state in states() for name in state.get_fields() if state._is_client_storage(name)
    ]


def test_there_is_no_other_way_in(house: AttackTarget) -> None:
    """Reflex's upload calls handlers too, and its list of routes is for its own hosting."""
    for method, path in (("POST", "/_upload"), ("GET", "/_all_routes"), ("GET", "/auth-codespace")):
        headers = {"Cookie": house.ada.cookie, "Origin": house.app.url}
        answer = httpx.request(method, f"{house.app.url}{path}", headers=headers)
        assert answer.status_code in (404, 405), path


@pytest.mark.usefixtures("bystander")
def test_nobody_gets_into_anything(house: AttackTarget, trials: dict[str, Trial]) -> None:
    trials["nobody"] = _strangers(house, lambda _: house.tab())


@pytest.mark.usefixtures("bystander")
def test_a_stolen_tab_is_worth_nothing_without_its_cookie(
    house: AttackTarget, trials: dict[str, Trial]
) -> None:
    trials["stolen tab"] = _strangers(house, _stolen(house, ""))


@pytest.mark.usefixtures("bystander")
def test_an_ended_session_is_refused_in_sockets_that_are_open(
    house: AttackTarget, trials: dict[str, Trial]
) -> None:
    with ExitStack() as opened, house.another_session() as ending:
        tabs = {one.full_name: opened.enter_context(house.adas_tab(ending.cookie)) for one in HANDLERS}
        ending.api.post("/api/auth/logout").raise_for_status()
        time.sleep(SESSION_SECONDS)
        trials["ended session"] = _strangers(house, lambda handler: tabs[handler.full_name])


@pytest.mark.usefixtures("bystander")
def test_another_user_reads_and_changes_nothing_but_what_is_their_own(
    house: AttackTarget, trials: dict[str, Trial]
) -> None:
    trials["Bob"] = _bobs(house, lambda _: house.tab(house.bob.cookie))


@pytest.mark.usefixtures("bystander")
def test_a_stolen_tab_is_worth_nothing_with_the_cookie_of_another_user(
    house: AttackTarget, trials: dict[str, Trial]
) -> None:
    trials["stolen tab, Bob's cookie"] = _bobs(house, _stolen(house, house.bob.cookie))


def test_who_is_no_admin_is_told_nothing_by_the_admins_page(house: AttackTarget) -> None:
    with house.tab(house.bob.cookie) as tab:
        for handler in (one for one in HANDLERS if one.is_for_admins):
            for payload in payloads(handler, house.named):
                tab.send(handler.full_name, payload, "/admin")
        frames = tab.answers()
    assert {value for frame in frames for value in frame.values("access")} <= {"", "no"}
    assert not _leaks(house, frames)


def test_the_document_tells_who_was_refused(request: pytest.FixtureRequest, trials: dict[str, Trial]) -> None:
    """After a change: `python -m pytest tests/state/test_every_handler.py --write-security`."""
    if len(trials) < len(KINDS):
        pytest.skip("only some of the callers whose trials the table holds were run")
    names = sorted({handler.state.__name__ for handler in HANDLERS})
    lines = [_line(f"`{name}`", {name}, trials) for name in names] + [_line("all", set(names), trials)]
    shown = table(("State", "Handlers", "Open", "Calls by each", *KINDS), lines)
    print(shown)
    assert in_document(request.config, "handlers", shown) == shown


def _line(title: str, names: set[str], trials: Mapping[str, Trial]) -> tuple[str, ...]:
    those = [handler for handler in HANDLERS if handler.state.__name__ in names]
    [calls] = {sum(trial.called[name] for name in names) for trial in trials.values()}
    refused = [sum(trials[kind].refused[name] for name in names) for kind in STRANGERS]
    cells = [f"{count} refused" if count else "nothing there" for count in refused]
    is_open = sum(handler not in GUARDED for handler in those)
    return (title, str(len(those)), str(is_open), str(calls), *cells, *["his own only"] * len(USERS))


def _stolen(house: AttackTarget, cookie: str) -> Tabs:
    """Tabs of Ada's whose pages she has just left, each with her share link still in it."""
    tokens = {}
    for handler in HANDLERS:
        with house.adas_tab(house.ada.cookie) as tab:
            tokens[handler.full_name] = tab.token
    return lambda handler: house.tab(cookie, token=tokens[handler.full_name])


def _strangers(house: AttackTarget, tabs: Tabs) -> Trial:
    trial, rows, objects = Trial(), house.rows(), house.objects()
    for handler in HANDLERS:
        calls = _calls(handler, house)
        with tabs(handler) as tab:
            frames = _refused(tab, handler, calls) if handler in GUARDED else _call(tab, handler, calls)
            _assert_nobody_is_there(tab, handler)
        assert not _leaks(house, frames), handler.label
        assert house.rows() == rows, handler.label
        trial.note(handler, len(calls), len(calls) if handler in GUARDED else 0)
    assert house.objects() == objects
    return trial


def _bobs(house: AttackTarget, tabs: Tabs) -> Trial:
    trial, rows, objects = Trial(), house.rows(without=house.bob), house.objects()
    with ExitStack() as opened:
        in_background = []
        for handler in HANDLERS:
            calls = _calls(handler, house)
            tab = opened.enter_context(tabs(handler))
            _assert_only_his(house, handler, _call(tab, handler, calls))
            assert house.rows(without=house.bob) == rows, handler.label
            trial.note(handler, len(calls))
            if handler.is_background:
                in_background.append((handler, tab))
            else:
                tab.close()
        time.sleep(BACKGROUND_SECONDS)
        for handler, tab in in_background:
            _assert_only_his(house, handler, tab.answers())
    assert house.rows(without=house.bob) == rows
    theirs = {name for name in house.objects() if house.bob.user_id in name}
    assert {name: kept for name, kept in house.objects().items() if name not in theirs} == objects
    return trial


def _assert_only_his(house: AttackTarget, handler: Handler, frames: list[Frame]) -> None:
    assert not _leaks(house, frames), handler.label
    assert not any(frame.values("is_admin").count(True) for frame in frames), handler.label


def _calls(handler: Handler, house: AttackTarget) -> list[tuple[dict[str, Any], str]]:
    """What is sent, and from which address: pages take ids from there too."""
    film, draft = house.named[:2]
    addresses = [
        f"/gallery?video={film}",
        f"/create?video={draft}",
        f"/share/{film}?key=x",
        "/account",
        "/admin",
    ]
    made = payloads(handler, house.named)
    made += [made[0]] * (len(addresses) - len(made))
    return [(payload, addresses[at % len(addresses)]) for at, payload in enumerate(made)]


def _call(tab: RawTab, handler: Handler, calls: list[tuple[dict[str, Any], str]]) -> list[Frame]:
    for payload, address in calls:
        tab.send(handler.full_name, payload, address)
    return tab.answers()


def _refused(tab: RawTab, handler: Handler, calls: list[tuple[dict[str, Any], str]]) -> list[Frame]:
    """One by one where a call ends the one before it; and what runs in the background is refused a moment later."""
    found: list[Frame] = []
    for some in [[call] for call in calls] if handler.is_background else [calls]:
        frames = _call(tab, handler, some)
        for frame in tab.frames(5) if _refusals(frames) < len(some) else ():
            frames.append(frame)
            if _refusals(frames) == len(some):
                break
        assert _refusals(frames) == len(some), handler.label
        found += frames
    return found


def _refusals(frames: list[Frame]) -> int:
    """How often the page was sent to the login, or told that something went wrong: that it gave what is not taken."""
    sent = [path for frame in frames for path in frame.sent_to if path.startswith("/login?")]
    return len(sent) + len([number for frame in frames for number in frame.values("notice_number") if number])


def _assert_nobody_is_there(tab: RawTab, handler: Handler) -> None:
    """Whatever it was told, the tab takes nobody to be signed in."""
    tab.send(HYDRATE)
    frames = tab.answers()
    shown = {value for frame in frames for var in ("is_signed_in", "is_admin") for value in frame.values(var)}
    assert shown == {False}, handler.label


def _leaks(house: AttackTarget, frames: list[Frame]) -> list[str]:
    everything = "".join(frame.text for frame in frames)
    assert "new_token" not in everything  # else the tab was taken for a copy of one that is open
    return [secret for secret in house.hidden if secret in everything]
