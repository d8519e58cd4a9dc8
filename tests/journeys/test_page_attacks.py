"""Cross-site scripting and framing: hostile text in every field and address never runs."""

import re
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.attacks import INJECTED, LINKS, TEXTS, AttackMonitor, framing_site
from tests.journeys.conftest import PASSWORD, Violations, Visitor
from tests.support.app import RunningApp, running_app
from tests.support.generator import Generator, running_generator
from tests.support.generator_modes import ANSWERS, Said
from tests.support.log_grep import remember
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.pages import PAGES

pytestmark = pytest.mark.journey
LONG = "W" * 4000
UNFINISHED = "A license for which the generator never finishes the video"
PUBLIC = ("/", "/login", "/register", "/forgot", "/reset", "/share/video_1_a", "/there-is-no-such-page")
OWN = ("/create", "/gallery", "/account", "/admin")
QUERIES = ("next", "key", "token", "q", "video", "error", "done", "email", "invitation", "wait", "status")


@pytest.fixture(scope="module")
def generator(mp4: bytes) -> Iterator[Generator]:
    with running_generator(mp4) as running:
        running.script = dict.fromkeys(running.script, TEXTS[0] + LONG[:900])
        running.choose = lambda order: "processing" if order["license"] == UNFINISHED else "direct"
        yield running


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, generator: Generator) -> Iterator[RunningApp]:
    settings = {
        "SCRIPT_WEBHOOK_URL": f"{generator.url}/script",
        "VIDEO_WEBHOOK_URL": f"{generator.url}/video",
        "SOURCE_ALLOW_HOSTS": generator.url.removeprefix("http://"),
        "SMTP_URL": "smtp://127.0.0.1:9",  # so that the page for a forgotten password has its form
        "MAIL_FROM": "VideoVault <videos@example.com>",
        "RATE_LIMITS": "off",
        "GENERATE_WAIT_SECONDS": "0.1",
    }
    with running_app(tmp_path_factory.mktemp("attacks"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def admin(app: RunningApp) -> Iterator[httpx.Client]:
    with signed_up(app, "admin@example.com") as client:
        yield client


@pytest.fixture(scope="module")
def mallory(app: RunningApp, admin: httpx.Client) -> Iterator[httpx.Client]:
    """An attacker with hostile text in every field, and videos with such texts."""
    del admin
    with signed_up(app, "mallory@example.com") as client:
        client.patch("/api/auth/me", json={"name": TEXTS[0]})
        for text in TEXTS:
            client.post("/api/auth/tokens", json={"name": text}).raise_for_status()
            for status in ("ready", "failed", "draft"):
                make_video(client, text, status)
        eventually(lambda: len(videos(client, "ready")) == len(TEXTS), lambda: videos(client, ""))
        yield client


@pytest.fixture
def monitor() -> AttackMonitor:
    return AttackMonitor()


@pytest.fixture
def page_of(visitor: Visitor, monitor: AttackMonitor, app: RunningApp) -> Callable[..., Page]:
    """Opens a monitored page, with the session of this client if there is one."""

    def open_page(client: httpx.Client | None = None) -> Page:
        page = visitor()
        monitor.watch(page)
        if client:
            token = client.headers["authorization"].removeprefix("Bearer ")
            page.context.add_cookies([{"name": "videovault_session", "value": token, "url": app.url}])
        return page

    return open_page


def test_hostile_text_is_escaped_on_own_pages(
    page_of: Callable[..., Page], mallory: httpx.Client, monitor: AttackMonitor
) -> None:
    page = page_of(mallory)
    for status in ("", "draft", "failed"):
        for video in videos(mallory, status):
            page.goto(f"/gallery?video={video['videoId']}")
            expect(page.get_by_role("dialog")).to_be_visible()
            monitor.assert_nothing_ran([page])
    page.goto("/account")
    for text in TEXTS:
        expect(page.get_by_text(visible(text)).first).to_be_visible()
    monitor.assert_nothing_ran([page])


def test_hostile_text_is_escaped_in_dialogs(
    page_of: Callable[..., Page], mallory: httpx.Client, monitor: AttackMonitor
) -> None:
    page = page_of(mallory)
    for opener in ("Share", "Delete", "Play"):
        page.goto("/gallery")
        page.get_by_role("button", name=re.compile(f"^{opener} .*canary")).first.click()
        dialog = page.locator("dialog[open]")
        expect(dialog).to_contain_text("canary")
        monitor.assert_nothing_ran([page])
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def test_webhook_errors_are_escaped(
    page_of: Callable[..., Page],
    mallory: httpx.Client,
    generator: Generator,
    monitor: AttackMonitor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = page_of(mallory)
    page.goto("/create")
    for text in TEXTS[:2]:
        monkeypatch.setitem(ANSWERS, "refuse", Said(422, {"message": text}))
        monkeypatch.setattr(generator, "script_mode", "refuse")
        page.get_by_label("What is the video about?").fill(text)
        page.get_by_label("Company name").fill(text)
        page.get_by_role("button", name="Write the script").click()
        expect(page.get_by_role("alert").filter(has_text=visible(text)).first).to_be_visible()
        monitor.assert_nothing_ran([page])


def test_video_notices_are_escaped(
    page_of: Callable[..., Page], mallory: httpx.Client, monitor: AttackMonitor
) -> None:
    page = page_of(mallory)
    received: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda text: received.append(str(text))))
    page.goto("/account")
    wait_in(page, lambda: any("progress" in text for text in received))  # notices arrive only from then on
    make_video(mallory, TEXTS[0], "ready")
    expect(page.locator(".notice").filter(has_text="is ready")).to_contain_text("<script>")
    monitor.assert_nothing_ran([page])


def test_hostile_text_is_escaped_for_visitors_and_admins(
    page_of: Callable[..., Page], mallory: httpx.Client, admin: httpx.Client, monitor: AttackMonitor
) -> None:
    guest, admin_page = page_of(), page_of(admin)
    for video in videos(mallory, "ready")[: len(TEXTS)]:
        link = mallory.get(f"/api/auth/video/{video['videoId']}/secret-key").json()["data"]["url"]
        guest.goto(link)
        expect(guest.get_by_role("heading", level=1)).to_have_text(video["title"], use_inner_text=False)
        monitor.assert_nothing_ran([guest])
    admin_page.goto("/admin")
    for text in TEXTS:
        expect(admin_page.get_by_role("row").filter(has_text=visible(text)[:60]).first).to_be_visible()
    monitor.assert_nothing_ran([admin_page])


def test_queries_are_escaped_on_public_pages(page_of: Callable[..., Page], monitor: AttackMonitor) -> None:
    page = page_of()
    queries = (
        (LINKS[0], QUERIES),
        (TEXTS[0] + TEXTS[1], QUERIES),
        (LONG[:900], QUERIES[:6]),  # an event includes its address and may have 16 KiB
        (LONG[:900], QUERIES[6:]),
    )
    for path, (text, names) in product(PUBLIC, queries):
        page.goto(f"{path}?{urlencode(dict.fromkeys(names, text))}#{quote(text)}")
        expect(page.get_by_role("heading").first).to_be_visible()
        monitor.assert_nothing_ran([page])


def test_queries_are_escaped_on_own_pages(
    page_of: Callable[..., Page], admin: httpx.Client, monitor: AttackMonitor
) -> None:
    page = page_of(admin)
    for path, text in product(OWN, (LINKS[0], TEXTS[0] + TEXTS[1])):
        page.goto(f"{path}?{urlencode(dict.fromkeys(QUERIES, text))}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        monitor.assert_nothing_ran([page])


def test_paths_are_escaped(page_of: Callable[..., Page], monitor: AttackMonitor) -> None:
    page = page_of()
    for text in TEXTS:
        page.goto(f"/{quote(text, safe='')}")
        page.goto(f"/share/{quote(text, safe='')}?key={quote(text)}")
    monitor.assert_nothing_ran([page])


def test_sign_in_never_redirects_to_another_site(
    page_of: Callable[..., Page], admin: httpx.Client, app: RunningApp, monitor: AttackMonitor
) -> None:
    page, signed_in = page_of(), page_of(admin)
    for link in LINKS:
        page.context.clear_cookies()
        page.goto(f"/login?next={quote(link)}")
        page.get_by_label("E-mail").fill("mallory@example.com")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        signed_in.goto(f"/login?next={quote(link)}")  # signed in already
        for each in (page, signed_in):
            each.wait_for_url(f"{app.url}/create**")
        monitor.assert_nothing_ran([page, signed_in])


def test_no_page_can_be_framed(page_of: Callable[..., Page], admin: httpx.Client, app: RunningApp) -> None:
    routes = (page.route for page in PAGES if page.route.startswith("/") and "[" not in page.route)
    paths = sorted({*PUBLIC, *OWN, *routes, "/api/docs"})
    with framing_site([f"{app.url}{path}" for path in paths]) as evil:
        page = page_of(admin)
        page.goto(evil)
        wait_in(page, lambda: all(frame.url for frame in page.frames))
        assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"] * len(paths)


def test_monitor_notices_what_runs(
    page_of: Callable[..., Page], monitor: AttackMonitor, violations: Violations
) -> None:
    page = page_of()
    page.goto("/login")
    monitor.assert_nothing_ran([page])
    page.evaluate("canary(0)")
    assert monitor.ran == [0]
    page.evaluate("(text) => document.body.insertAdjacentHTML('beforeend', text)", TEXTS[0])
    assert page.locator(INJECTED).count() == 1
    wait_in(page, lambda: bool(violations))
    assert {violation["rule"] for violation in violations} == {"script-src-attr"}
    violations.clear()


def wait_in(page: Page, met: Callable[[], bool]) -> None:
    """Wait in Playwright, which delivers the browser's events only while it is called."""
    deadline = time.monotonic() + HANG_SECONDS
    while not met():
        assert time.monotonic() < deadline, "timed out"
        page.wait_for_timeout(50)


def signed_up(app: RunningApp, email: str) -> httpx.Client:
    remember(PASSWORD)
    answer = httpx.post(f"{app.url}/api/auth/register", json={"email": email, "password": PASSWORD})
    token = answer.raise_for_status().json()["data"]["token"]
    remember(token)
    return httpx.Client(base_url=app.url, headers={"Authorization": f"Bearer {token}"}, timeout=HANG_SECONDS)


def make_video(client: httpx.Client, text: str, status: str) -> None:
    """Make a video in which all texts are ``text``; it will have this status."""
    user = client.get("/api/auth/me").json()["data"]["user"]
    brief = dict.fromkeys(("topic", "company_name", "social_handles", "license", "avatar"), text)
    order = {**brief, **dict.fromkeys(("hook", "body", "conclusion"), text), "email": user["email"]}
    order |= {"license": UNFINISHED} if status == "failed" else {}
    video_id = _sent(client, "POST", "create-video", order)["videoId"]
    if status == "draft":
        return
    _sent(client, "POST", "create-video/generate-video", {**order, "videoId": video_id})
    if status == "ready":
        client.patch(f"/api/auth/video/{video_id}", json={"title": text}).raise_for_status()
    else:  # as a generator would report it
        report = {"userId": user["userId"], "videoId": video_id, "status": status, "error": text}
        _sent(client, "PUT", "video/status", report)


def videos(client: httpx.Client, status: str) -> list[dict[str, Any]]:
    who = client.get("/api/auth/me").json()["data"]["user"]["userId"]
    query = {"userId": who, "status": status}
    found: list[dict[str, Any]] = client.get("/api/auth/video/gallery", params=query).json()["data"]["videos"]
    return found


def visible(text: str) -> str:
    """The part before invisible characters, which Playwright ignores when it compares texts."""
    return re.split("[\u202e\u200b\u2066]", text)[0].strip()


def _sent(client: httpx.Client, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.request(method, f"/api/auth/{path}", json=body)
    data: dict[str, Any] = answer.raise_for_status().json()["data"]
    return data
