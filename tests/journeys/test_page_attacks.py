"""Cross-site scripting and framing: hostile text in every field and address never runs."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, product
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.journeys.conftest import PASSWORD, Tabs
from tests.support.app import RunningApp, running_app
from tests.support.browser import Violations
from tests.support.generator import Generator, running_generator
from tests.support.generator_modes import ANSWERS, Said
from tests.support.log_grep import remember
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.seeding import seed
from tests.support.waiting import HANG_SECONDS
from videovault.models import Status
from videovault.pages import PAGES

pytestmark = pytest.mark.journey
# Each fits the shortest field.
TEXTS = (
    "<script>canary(1)</script><img src=x onerror=canary(2)>",
    '"><svg onload=canary(3)> {{canary(4)}} ${canary(5)} #{canary(6)}',
    "javascript:canary(7)//'-canary(8)-' \u202e\u200b\u2066 </script><script>canary(9)</script>",
    "</textarea><iframe srcdoc='<script>parent.canary(10)</script>'></iframe>",
)
LINK = "javascript:canary(11)"
OTHER_SITES = ("//evil.example/x", "/\\evil.example")
# Elements that would exist if the texts had become markup.
INJECTED = (
    "img[src=x], svg[onload], iframe, [onerror], a[href^='javascript:'], a[href^='data:'], script[src*=evil]"
)
# The browser's message about a response that is an error, which is not the page's fault.
FAILED_REQUEST = "Failed to load resource"
LONG = "W" * 900
FIELDS = (
    "title",
    "topic",
    "company_name",
    "social_handles",
    "license",
    "avatar",
    "hook",
    "body",
    "conclusion",
)
PUBLIC = ("/", "/login", "/register", "/forgot", "/reset", "/share/video_1_a", "/there-is-no-such-page")
OWN = ("/create", "/gallery", "/account", "/admin")
QUERIES = ("next", "key", "token", "q", "video", "error", "done", "email", "invitation", "wait", "status")
# An event includes the address of its page and may have 16 KiB.
QUERY_VALUES = (LINK, TEXTS[0] + TEXTS[1] + LONG[:400])


class AttackMonitor:
    """Records injected scripts that ran, and errors of the pages' own scripts."""

    def __init__(self) -> None:
        self.ran: list[Any] = []
        self.errors: list[str] = []
        self._watched: list[Page] = []

    def watch(self, page: Page) -> None:
        """Monitor this page, once, and all that it opens."""
        if page in self._watched:
            return
        self._watched.append(page)
        page.expose_binding("canary", lambda _source, number: self.ran.append(number))
        page.on("popup", self._listen)
        self._listen(page)

    def assert_nothing_ran(self, pages: Sequence[Page]) -> None:
        for page in pages:
            assert page.locator(INJECTED).count() == 0, page.url
        assert (self.ran, self.errors) == ([], [])

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", self._dismiss)
        page.on("console", self._note)

    def _dismiss(self, dialog: Dialog) -> None:
        self.ran.append(dialog.message)
        dialog.dismiss()

    def _note(self, message: Any) -> None:
        if message.type == "error" and FAILED_REQUEST not in message.text:
            self.errors.append(f"{message.text} ({message.page.url if message.page else ''})")


@pytest.fixture(scope="module")
def generator(mp4: bytes) -> Iterator[Generator]:
    with running_generator(mp4) as running:
        running.script = dict.fromkeys(running.script, TEXTS[0] + LONG)
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
def mallory(app: RunningApp, admin: httpx.Client, mp4: bytes) -> Iterator[httpx.Client]:
    """An attacker with hostile text in every field, and videos with such texts."""
    del admin
    fields = ("title", *FIELDS)
    mixed = dict(zip(fields, cycle(TEXTS), strict=False))
    with signed_up(app, "mallory@example.com") as client:
        client.patch("/api/auth/me", json={"name": TEXTS[0]})
        for text in TEXTS:
            client.post("/api/auth/tokens", json={"name": text}).raise_for_status()
        failed = {**mixed, "status": Status.FAILED, "error_message": "".join(TEXTS)}
        draft = {**mixed, "status": Status.DRAFT}
        seed(
            app, "mallory@example.com", [*(dict.fromkeys(fields, text) for text in TEXTS), failed, draft], mp4
        )
        yield client


@pytest.fixture(scope="module")
def monitor() -> AttackMonitor:
    return AttackMonitor()


@pytest.fixture
def page_of(tabs: Tabs, monitor: AttackMonitor, app: RunningApp) -> Callable[..., Page]:
    """The next monitored tab, with the session of this client if there is one."""

    monitor.ran.clear()
    monitor.errors.clear()

    def open_page(client: httpx.Client | None = None) -> Page:
        page = tabs.next()
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
    page.goto("/gallery")
    for opener in ("Share", "Delete", "Play"):
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
    make_video(mallory, TEXTS[0])
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
    for path, text in product(PUBLIC, QUERY_VALUES):
        page.goto(f"{path}?{urlencode(dict.fromkeys(QUERIES, text))}#{quote(text)}")
        expect(page.get_by_role("heading").first).to_be_visible()
        monitor.assert_nothing_ran([page])


def test_queries_are_escaped_on_own_pages(
    page_of: Callable[..., Page], admin: httpx.Client, monitor: AttackMonitor
) -> None:
    page = page_of(admin)
    for path, text in product(OWN, QUERY_VALUES):
        page.goto(f"{path}?{urlencode(dict.fromkeys(QUERIES, text))}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        monitor.assert_nothing_ran([page])


def test_paths_are_escaped(page_of: Callable[..., Page], monitor: AttackMonitor) -> None:
    page = page_of()
    text = "".join(TEXTS)
    for path in (f"/{quote(text, safe='')}", f"/share/{quote(text, safe='')}?key={quote(text)}"):
        page.goto(path)
        expect(page.get_by_role("heading").first).to_be_visible()
        monitor.assert_nothing_ran([page])


def test_sign_in_never_redirects_to_another_site(
    page_of: Callable[..., Page], admin: httpx.Client, app: RunningApp, monitor: AttackMonitor
) -> None:
    """All links: tests/test_security.py."""
    page, signed_in = page_of(), page_of(admin)
    page.goto(f"/login?next={quote(OTHER_SITES[0])}")
    page.get_by_label("E-mail").fill("admin@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    signed_in.goto(f"/login?next={quote(OTHER_SITES[1])}")
    for each in (page, signed_in):
        each.wait_for_url(f"{app.url}/create**")
    monitor.assert_nothing_ran([page, signed_in])


def test_no_page_can_be_framed(
    page_of: Callable[..., Page], admin: httpx.Client, app: RunningApp, source: MisbehavingServer
) -> None:
    routes = (page.route for page in PAGES if page.route.startswith("/") and "[" not in page.route)
    paths = sorted({*PUBLIC, *OWN, *routes, "/api/docs"})
    other = source.serve("/other", ServerBehaviour(body=b"Can be framed", content_type="text/html"))
    frames = "".join(f'<iframe src="{url}"></iframe>' for url in (other, *(app.url + path for path in paths)))
    outer = source.serve("/outer", ServerBehaviour(body=frames.encode(), content_type="text/html"))
    page = page_of(admin)
    page.goto(outer)
    wait_in(page, lambda: all(frame.url for frame in page.frames))
    assert [frame.url for frame in page.frames[1:]] == [
        other,
        *["chrome-error://chromewebdata/"] * len(paths),
    ]


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


def make_video(client: httpx.Client, text: str) -> None:
    """Have a video made whose fields have this text."""
    user = client.get("/api/auth/me").json()["data"]["user"]
    order = {**dict.fromkeys(FIELDS, text), "email": user["email"]}
    video_id = _sent(client, "create-video", order)["videoId"]
    _sent(client, "create-video/generate-video", {**order, "videoId": video_id})


def videos(client: httpx.Client, status: str) -> list[dict[str, Any]]:
    who = client.get("/api/auth/me").json()["data"]["user"]["userId"]
    query = {"userId": who, "status": status}
    found: list[dict[str, Any]] = client.get("/api/auth/video/gallery", params=query).json()["data"]["videos"]
    return found


def visible(text: str) -> str:
    """The part before invisible characters, which Playwright ignores when it compares texts."""
    return re.split("[\u202e\u200b\u2066]", text)[0].strip()


def _sent(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/api/auth/{path}", json=body)
    data: dict[str, Any] = answer.raise_for_status().json()["data"]
    return data
