"""Every event handler, called over the real socket by callers without the right to.

The handlers come from Reflex's registry, so that new ones are tested automatically.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from reflex import State

from tests.state.attack_target import AttackTarget
from tests.state.event_handlers import OPEN, Handler, handlers, payloads, states
from tests.support.documents import table
from tests.support.raw_tab import HYDRATE, Frame, RawTab
from tests.support.security_document import in_document

pytestmark = [pytest.mark.process]
SESSION_SECONDS = 2.0
BACKGROUND_SECONDS = 0.5
HANDLERS = handlers()

STRANGERS = ("anonymous", "stolen tab", "ended session")
USERS = ("Bob", "stolen tab, Bob's cookie")
KINDS = (*STRANGERS, *USERS)
WITH_ALL_PAYLOADS = ("anonymous", "Bob", "stolen tab, Bob's cookie")

Tabs = Callable[[type[State]], RawTab]  # one for all handlers of a state
Calls = list[tuple[dict[str, Any], str]]  # payload and page address


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
def bystander(site: AttackTarget) -> Iterator[RawTab]:
    """Another tab of Ada's, which must receive nothing."""
    with site.adas_tab(site.ada.cookie) as tab:
        yield tab
        assert list(tab.frames(0.2)) == []


def test_every_open_handler_exists() -> None:
    assert {handler.label for handler in HANDLERS} >= OPEN.keys()


def test_no_var_is_kept_by_the_browser() -> None:
    assert not [
        (state, name) for state in states() for name in state.get_fields() if state._is_client_storage(name)
    ]


def test_no_other_route_calls_handlers(site: AttackTarget) -> None:
    """Reflex's upload route would call handlers, and its list of routes is for its own hosting."""
    for method, path in (("POST", "/_upload"), ("GET", "/_all_routes"), ("GET", "/auth-codespace")):
        headers = {"Cookie": site.ada.cookie, "Origin": site.app.url}
        answer = httpx.request(method, f"{site.app.url}{path}", headers=headers)
        assert answer.status_code in (404, 405), path


@pytest.mark.usefixtures("bystander")
def test_handlers_refuse_callers_without_a_session(site: AttackTarget, trials: dict[str, Trial]) -> None:
    trials["anonymous"] = _strangers(site, lambda _: site.tab(), _calls)


@pytest.mark.usefixtures("bystander")
def test_stolen_tab_token_is_useless_without_its_cookie(site: AttackTarget, trials: dict[str, Trial]) -> None:
    trials["stolen tab"] = _strangers(site, _stolen(site, ""), _calls_in_adas_tab)


@pytest.mark.usefixtures("bystander")
def test_an_ended_session_is_refused_in_sockets_that_are_open(
    site: AttackTarget, trials: dict[str, Trial]
) -> None:
    with ExitStack() as opened, site.another_session() as ending:
        tabs = {state: opened.enter_context(site.adas_tab(ending.cookie)) for state in states()}
        ending.api.post("/api/auth/logout").raise_for_status()
        time.sleep(SESSION_SECONDS)
        trials["ended session"] = _strangers(site, tabs.__getitem__, _calls_in_adas_tab)


@pytest.mark.usefixtures("bystander")
def test_another_user_reads_and_changes_nothing_but_what_is_their_own(
    site: AttackTarget, trials: dict[str, Trial]
) -> None:
    trials["Bob"] = _bobs(site, lambda _: site.tab(site.bob.cookie), _calls)


@pytest.mark.usefixtures("bystander")
def test_stolen_tab_token_is_useless_with_another_users_cookie(
    site: AttackTarget, trials: dict[str, Trial]
) -> None:
    trials["stolen tab, Bob's cookie"] = _bobs(site, _stolen(site, site.bob.cookie), _calls)


def test_the_document_lists_refused_calls(request: pytest.FixtureRequest, trials: dict[str, Trial]) -> None:
    """After a change: `python -m pytest tests/state/test_every_handler.py --write-security`."""
    if len(trials) < len(KINDS):
        pytest.skip("only some of the callers in the table were run")
    names = sorted({handler.state.__name__ for handler in HANDLERS})
    lines = [_line(f"`{name}`", {name}, trials) for name in names] + [_line("all", set(names), trials)]
    shown = table(("State", "Handlers", "Open", "Calls with all payloads", "with Ada's ids", *KINDS), lines)
    print(shown)
    assert in_document(request.config, "handlers", shown) == shown


def _line(title: str, names: set[str], trials: Mapping[str, Trial]) -> tuple[str, ...]:
    those = [handler for handler in HANDLERS if handler.state.__name__ in names]
    [every] = {sum(trials[kind].called[name] for name in names) for kind in WITH_ALL_PAYLOADS}
    [few] = {
        sum(trials[kind].called[name] for name in names) for kind in KINDS if kind not in WITH_ALL_PAYLOADS
    }
    refused = [sum(trials[kind].refused[name] for name in names) for kind in STRANGERS]
    cells = [f"{count} refused" if count else "nothing there" for count in refused]
    is_open = sum(not handler.is_guarded for handler in those)
    counts = map(str, (len(those), is_open, every, few))
    return (title, *counts, *cells, *["his own only"] * len(USERS))


def _stolen(site: AttackTarget, cookie: str) -> Tabs:
    """Tabs that Ada has just closed, each with her share link still in its state."""
    tokens = {}
    for state in states():
        with site.adas_tab(site.ada.cookie) as tab:
            tokens[state] = tab.token
    return lambda state: site.tab(cookie, token=tokens[state])


def _strangers(site: AttackTarget, tabs: Tabs, calls_of: Callable[[Handler, AttackTarget], Calls]) -> Trial:
    trial, rows, objects = Trial(), site.rows(), site.objects()
    for state, those in itertools.groupby(HANDLERS, lambda handler: handler.state):
        with tabs(state) as tab:
            for handler in those:
                calls = calls_of(handler, site)
                frames = (_refused if handler.is_guarded else _call)(tab, handler, calls)
                assert not _leaks(site, frames), handler.label
                assert not _signed_in_values(frames) & {True}, handler.label
                trial.note(handler, len(calls), len(calls) if handler.is_guarded else 0)
            tab.send(HYDRATE)
            shown = tab.answers()
        assert not _leaks(site, shown), state.__name__
        assert _signed_in_values(shown) == {False}, state.__name__
        assert site.rows() == rows, state.__name__
    assert site.objects() == objects
    return trial


def _bobs(site: AttackTarget, tabs: Tabs, calls_of: Callable[[Handler, AttackTarget], Calls]) -> Trial:
    trial, rows, objects = Trial(), site.rows(without=site.bob), site.objects()
    with ExitStack() as opened:
        open_tabs = []
        for state, those in itertools.groupby(HANDLERS, lambda handler: handler.state):
            tab = opened.enter_context(tabs(state))
            for handler in those:
                calls = calls_of(handler, site)
                _assert_only_his(site, handler, _call(tab, handler, calls))
                trial.note(handler, len(calls))
                assert site.rows(without=site.bob) == rows, handler.label
            open_tabs.append((handler, tab))
        time.sleep(BACKGROUND_SECONDS)
        for handler, tab in open_tabs:
            _assert_only_his(site, handler, tab.answers())
    assert site.rows(without=site.bob) == rows
    theirs = {name for name in site.objects() if site.bob.user_id in name}
    assert {name: kept for name, kept in site.objects().items() if name not in theirs} == objects
    return trial


def _assert_only_his(site: AttackTarget, handler: Handler, frames: list[Frame]) -> None:
    assert not _leaks(site, frames), handler.label
    assert not any(frame.values("is_admin").count(True) for frame in frames), handler.label
    if handler.is_for_admins:  # for other users, these pages do not exist
        assert {value for frame in frames for value in frame.values("access")} <= {"", "no"}, handler.label


def _calls(handler: Handler, site: AttackTarget) -> Calls:
    """All payloads, each at one of the addresses, from which handlers also take ids."""
    addresses = [*_addresses(site), "/account", "/admin"]
    made = payloads(handler, site.named)
    made += [made[0]] * (len(addresses) - len(made))
    calls = [(payload, addresses[at % len(addresses)]) for at, payload in enumerate(made)]
    if handler.is_for_admins:  # which know whether they are called on an admin page
        calls += [(payload, "/admin") for payload in made if (payload, "/admin") not in calls]
    return calls


def _calls_in_adas_tab(handler: Handler, site: AttackTarget) -> Calls:
    """Valid payloads with Ada's ids only: others are no different in her tabs from those in new tabs."""
    made = payloads(handler, site.named)
    return [(made[at % len(made)], address) for at, address in enumerate(_addresses(site))]


def _addresses(site: AttackTarget) -> list[str]:
    film, draft = site.named[:2]
    return [f"/gallery?video={film}", f"/create?video={draft}", f"/share/{film}?key=x"]


def _call(tab: RawTab, handler: Handler, calls: Calls) -> list[Frame]:
    for payload, address in calls:
        tab.send(handler.full_name, payload, address)
    return tab.answers()


def _refused(tab: RawTab, handler: Handler, calls: Calls) -> list[Frame]:
    """Background handlers one by one: each call ends the one before it and is refused a moment later."""
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
    """How often the page was redirected to the login or shown an error about wrong arguments."""
    sent = [path for frame in frames for path in frame.sent_to if path.startswith("/login?")]
    return len(sent) + len([number for frame in frames for number in frame.values("notice_number") if number])


def _signed_in_values(frames: list[Frame]) -> set[bool]:
    return {value for frame in frames for var in ("is_signed_in", "is_admin") for value in frame.values(var)}


def _leaks(site: AttackTarget, frames: list[Frame]) -> list[str]:
    everything = "".join(frame.text for frame in frames)
    assert "new_token" not in everything  # else the tab counted as a copy of an open one
    return [secret for secret in site.hidden if secret in everything]
