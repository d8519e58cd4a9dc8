"""Who may open a socket, and how long it works."""

import time
from collections.abc import Iterator
from threading import Event

import pytest

from tests.state.attack_target import BRIEF, SCRIPT, AttackTarget
from tests.support.raw_tab import HYDRATE, RawTab, Refused
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.state.create import CreateState
from videovault.state.gallery import GalleryState
from videovault.state.live_updates import IDLE_SECONDS, ProgressState

pytestmark = [pytest.mark.process]
WRITE_SCRIPT = f"{CreateState.get_full_name()}.write_script"
WATCH = f"{ProgressState.get_full_name()}.watch"
REPORT = "reflex___state____state.reflex___state____frontend_event_exception_state.handle_frontend_exception"
LOAD_GALLERY = f"{GalleryState.get_full_name()}.load"


def test_no_page_of_another_site_opens_a_socket(site: AttackTarget) -> None:
    port = site.app.url.rpartition(":")[2]
    foreign = (
        "https://evil.example",
        "http://localhost:1",
        "http://localhost",
        f"http://127.0.0.1:{port}",
        "null",
    )
    for origin in (*foreign, f"{site.app.url}.evil.example", f"http://evil.example:{port}"):
        with pytest.raises(Refused, match="403"):
            site.tab(site.ada.cookie, origin=origin)


@pytest.fixture
def held_script(site: AttackTarget) -> Iterator[Event]:
    """The script webhook answers with Ada's script once this is set."""
    generator = site.generator
    usual, generator.script, generator.script_mode = generator.script, dict(SCRIPT), "held"
    generator.release.clear()
    yield generator.release
    generator.script, generator.script_mode = usual, "direct"


@pytest.mark.parametrize("whose", ["anonymous", "bob"])
def test_running_handler_gives_nothing_to_a_stolen_token(
    site: AttackTarget, held_script: Event, whose: str
) -> None:
    with site.tab(site.ada.cookie) as left:
        left.send(WRITE_SCRIPT, {"form": BRIEF}, "/create")
        left.answers()
    with _taken(site, left.token, site.bob.cookie if whose == "bob" else "") as thief:
        thief.send(HYDRATE)
        frames = thief.answers()
        held_script.set()
        frames += list(thief.frames(1))
    assert not [secret for secret in site.hidden if any(secret in frame.text for frame in frames)]


def test_tab_returns_to_its_session_after_its_token_was_stolen(site: AttackTarget) -> None:
    with site.adas_tab(site.ada.cookie) as tab:
        token = tab.token
    with _taken(site, token, site.bob.cookie) as thief:
        thief.send(HYDRATE)
        thief.answers()
    with _taken(site, token, site.ada.cookie) as again:
        again.send(HYDRATE)
        assert any(site.secret_key in frame.text for frame in again.answers())


def test_a_watch_stops_and_the_next_event_is_refused_once_the_session_has_ended(site: AttackTarget) -> None:
    with site.another_session() as ending, site.tab(ending.cookie) as tab:
        tab.send(WATCH)
        assert any(frame.values("progress") for frame in tab.frames(HANG_SECONDS))
        ending.api.post("/api/auth/logout").raise_for_status()
        redirect = next(frame for frame in tab.frames(HANG_SECONDS) if frame.sent_to)  # by the loop itself
        assert redirect.sent_to[0].startswith("/login?")
        assert list(tab.frames(2 * IDLE_SECONDS)) == []
        tab.send(LOAD_GALLERY)
        assert [path for frame in tab.answers() for path in frame.sent_to] == [
            "/login?next=%2Fgallery&done=ended"
        ]


def test_deactivating_a_user_ends_their_open_pages(site: AttackTarget) -> None:
    with site.newcomer("carl") as carl, site.tab(carl.cookie) as tab:
        tab.send(WATCH)
        tab.answers()
        answer = site.root.api.patch(f"/api/admin/users/{carl.user_id}", json={"isActive": False})
        answer.raise_for_status()
        assert next(frame.sent_to for frame in tab.frames(HANG_SECONDS) if frame.sent_to)[0].startswith(
            "/login?"
        )


def test_what_a_browser_reports_is_one_short_line_of_the_log(site: AttackTarget) -> None:
    with site.tab() as tab:
        report = {"info": f"planted\n2026-01-01 [info] forged\x1b[2J {'x' * 9000}", "component_stack": ""}
        tab.send(REPORT, report)
        tab.answers()

    def lines() -> list[str]:
        logged = site.app.log.read_text().splitlines()
        return [line for line in logged if "planted" in line or "forged" in line]

    eventually(lines)  # a thread writes the log
    [line] = lines()
    assert line.count("x" * 100) >= 1
    assert len(line) < 1500
    assert "\x1b[2J" not in line


def _taken(site: AttackTarget, token: str, cookie: str) -> RawTab:
    """The tab with this token, once the server has noticed that it was closed."""
    until = time.monotonic() + HANG_SECONDS
    while True:
        tab = site.tab(cookie, token=token)
        if not any("new_token" in frame.text for frame in tab.answers()):
            return tab
        tab.close()
        assert time.monotonic() < until
