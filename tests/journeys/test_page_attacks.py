"""Hostile text in every field, hostile addresses of every page, and hostile pages round ours: nothing runs, ever."""

import re
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.journeys.attacks import LINKS, STRANGE, TEXTS, Witness, framing_site
from tests.journeys.conftest import PASSWORD, Violations, Visitor
from tests.support.app import RunningApp, running_app
from tests.support.generator import Generator, running_generator
from tests.support.generator_modes import ANSWERS, Said
from tests.support.log_grep import remember
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.pages import PAGES

pytestmark = pytest.mark.journey
LONG = "W" * 4000
NEVER_DONE = "A license by which the generator knows what it must not finish"
PUBLIC = ("/", "/login", "/register", "/forgot", "/reset", "/share/video_1_a", "/there-is-no-such-page")
OWN = ("/create", "/gallery", "/account", "/admin")
QUERIES = ("next", "key", "token", "q", "video", "error", "done", "email", "invitation", "wait", "status")


@pytest.fixture(scope="module")
def generator(mp4: bytes) -> Iterator[Generator]:
    with running_generator(mp4) as running:
        running.script = dict.fromkeys(running.script, TEXTS[0] + LONG[:900])
        running.choose = lambda order: "processing" if order["license"] == NEVER_DONE else "direct"
        yield running


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, generator: Generator) -> Iterator[RunningApp]:
    settings = {
        "SCRIPT_WEBHOOK_URL": f"{generator.url}/script",
        "VIDEO_WEBHOOK_URL": f"{generator.url}/video",
        "SOURCE_ALLOW_HOSTS": generator.url.removeprefix("http://"),
        "SMTP_URL": "smtp://127.0.0.1:9",  # so that the page for a lost password has its form
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
    """Somebody who has written something hostile wherever there is room, and has films of it."""
    del admin
    with signed_up(app, "mallory@example.com") as client:
        client.patch("/api/auth/me", json={"name": TEXTS[0]})
        for text in TEXTS:
            client.post("/api/auth/tokens", json={"name": text}).raise_for_status()
            for status in ("ready", "failed", "draft"):
                made(client, text, status)
        eventually(lambda: len(videos(client, "ready")) == len(TEXTS), lambda: videos(client, ""))
        yield client


@pytest.fixture
def witness() -> Witness:
    return Witness()


@pytest.fixture
def page_of(visitor: Visitor, witness: Witness, app: RunningApp) -> Callable[..., Page]:
    """A browser of its own with somebody's session in it, and a witness of what goes on there."""

    def opened(client: httpx.Client | None = None) -> Page:
        page = visitor()
        witness.watch(page)
        if client:
            token = client.headers["authorization"].removeprefix("Bearer ")
            page.context.add_cookies([{"name": "videovault_session", "value": token, "url": app.url}])
        return page

    return opened


def test_what_mallory_wrote_is_text_on_all_pages_of_hers(
    page_of: Callable[..., Page], mallory: httpx.Client, witness: Witness
) -> None:
    page = page_of(mallory)
    for status in ("", "draft", "failed"):
        for video in videos(mallory, status):
            page.goto(f"/gallery?video={video['videoId']}")
            expect(page.get_by_role("dialog")).to_be_visible()
            witness.nothing_happened([page])
    page.goto("/account")
    for text in TEXTS:
        expect(page.get_by_text(visible(text)).first).to_be_visible()
    witness.nothing_happened([page])


def test_what_mallory_wrote_is_text_in_dialogs(
    page_of: Callable[..., Page], mallory: httpx.Client, witness: Witness
) -> None:
    page = page_of(mallory)
    for opener in ("Share", "Delete", "Play"):
        page.goto("/gallery")
        page.get_by_role("button", name=re.compile(f"^{opener} .*canary")).first.click()
        dialog = page.locator("dialog[open]")
        expect(dialog).to_contain_text("canary")
        witness.nothing_happened([page])
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def test_errors_of_the_webhook_are_text(
    page_of: Callable[..., Page],
    mallory: httpx.Client,
    generator: Generator,
    witness: Witness,
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
        witness.nothing_happened([page])


def test_news_of_a_film_are_text(
    page_of: Callable[..., Page], mallory: httpx.Client, witness: Witness
) -> None:
    page = page_of(mallory)
    heard: list[str] = []
    page.on("websocket", lambda line: line.on("framereceived", lambda text: heard.append(str(text))))
    page.goto("/account")
    wait_in(page, lambda: any("works" in text for text in heard))  # only from then on are there news
    made(mallory, TEXTS[0], "ready")
    expect(page.locator(".notice").filter(has_text="is ready")).to_contain_text("<script>")
    witness.nothing_happened([page])


def test_a_visitor_and_an_admin_see_text(
    page_of: Callable[..., Page], mallory: httpx.Client, admin: httpx.Client, witness: Witness
) -> None:
    visitor, chief = page_of(), page_of(admin)
    for video in videos(mallory, "ready")[: len(TEXTS)]:
        link = mallory.get(f"/api/auth/video/{video['videoId']}/secret-key").json()["data"]["url"]
        visitor.goto(link)
        expect(visitor.get_by_role("heading", level=1)).to_have_text(video["title"], use_inner_text=False)
        witness.nothing_happened([visitor])
    chief.goto("/admin")
    for text in TEXTS:
        expect(chief.get_by_role("row").filter(has_text=visible(text)[:60]).first).to_be_visible()
    witness.nothing_happened([chief])


def test_what_an_address_says_is_text(page_of: Callable[..., Page], witness: Witness) -> None:
    page = page_of()
    sayings = (
        (LINKS[0], QUERIES),
        (TEXTS[0] + TEXTS[1], QUERIES),
        (LONG[:900], QUERIES[:6]),  # an event brings its address along, and has 16 KiB for it
        (LONG[:900], QUERIES[6:]),
    )
    for path, (text, names) in product(PUBLIC, sayings):
        page.goto(f"{path}?{urlencode(dict.fromkeys(names, text))}#{quote(text)}")
        expect(page.get_by_role("heading").first).to_be_visible()
        witness.nothing_happened([page])


def test_what_the_address_of_an_own_page_says_is_text(
    page_of: Callable[..., Page], admin: httpx.Client, witness: Witness
) -> None:
    page = page_of(admin)
    for path, text in product(OWN, (LINKS[0], TEXTS[0] + TEXTS[1])):
        page.goto(f"{path}?{urlencode(dict.fromkeys(QUERIES, text))}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        witness.nothing_happened([page])


def test_a_path_is_text(page_of: Callable[..., Page], witness: Witness) -> None:
    page = page_of()
    for text in TEXTS:
        page.goto(f"/{quote(text, safe='')}")
        page.goto(f"/share/{quote(text, safe='')}?key={quote(text)}")
    witness.nothing_happened([page])


def test_nobody_is_sent_elsewhere_after_signing_in(
    page_of: Callable[..., Page], admin: httpx.Client, app: RunningApp, witness: Witness
) -> None:
    page, here = page_of(), page_of(admin)
    for link in LINKS:
        page.context.clear_cookies()
        page.goto(f"/login?next={quote(link)}")
        page.get_by_label("E-mail").fill("mallory@example.com")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        here.goto(f"/login?next={quote(link)}")  # who is signed in already
        for each in (page, here):
            each.wait_for_url(f"{app.url}/create**")
        witness.nothing_happened([page, here])


def test_no_page_can_be_framed_by_another_site(
    page_of: Callable[..., Page], admin: httpx.Client, app: RunningApp
) -> None:
    routes = (page.route for page in PAGES if page.route.startswith("/") and "[" not in page.route)
    paths = sorted({*PUBLIC, *OWN, *routes, "/api/docs"})
    with framing_site([f"{app.url}{path}" for path in paths]) as evil:
        page = page_of(admin)
        page.goto(evil)
        wait_in(page, lambda: all(frame.url for frame in page.frames))
        assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"] * len(paths)


def test_what_does_run_is_noticed(
    page_of: Callable[..., Page], witness: Witness, violations: Violations
) -> None:
    page = page_of()
    page.goto("/login")
    witness.nothing_happened([page])
    page.evaluate("canary(0)")
    assert witness.ran == [0]
    page.evaluate("(text) => document.body.insertAdjacentHTML('beforeend', text)", TEXTS[0])
    assert page.locator(STRANGE).count() == 1
    wait_in(page, lambda: bool(violations))
    assert {seen["rule"] for seen in violations} == {"script-src-attr"}
    violations.clear()


def wait_in(page: Page, met: Callable[[], bool]) -> None:
    """Until ``met()``, for what comes from the browser only while Playwright is at work."""
    until = time.monotonic() + HANG_SECONDS
    while not met():
        assert time.monotonic() < until, "it did not happen"
        page.wait_for_timeout(50)


def signed_up(app: RunningApp, email: str) -> httpx.Client:
    remember(PASSWORD)
    answer = httpx.post(f"{app.url}/api/auth/register", json={"email": email, "password": PASSWORD})
    token = answer.raise_for_status().json()["data"]["token"]
    remember(token)
    return httpx.Client(base_url=app.url, headers={"Authorization": f"Bearer {token}"}, timeout=HANG_SECONDS)


def made(client: httpx.Client, text: str, status: str) -> None:
    """A video of which every text is this one, on its way to the status that is named."""
    user = client.get("/api/auth/me").json()["data"]["user"]
    brief = dict.fromkeys(("topic", "company_name", "social_handles", "license", "avatar"), text)
    order = {**brief, **dict.fromkeys(("hook", "body", "conclusion"), text), "email": user["email"]}
    order |= {"license": NEVER_DONE} if status == "failed" else {}
    video_id = _sent(client, "POST", "create-video", order)["videoId"]
    if status == "draft":
        return
    _sent(client, "POST", "create-video/generate-video", {**order, "videoId": video_id})
    if status == "ready":
        client.patch(f"/api/auth/video/{video_id}", json={"title": text}).raise_for_status()
    else:  # as a generator reports it
        report = {"userId": user["userId"], "videoId": video_id, "status": status, "error": text}
        _sent(client, "PUT", "video/status", report)


def videos(client: httpx.Client, status: str) -> list[dict[str, Any]]:
    who = client.get("/api/auth/me").json()["data"]["user"]["userId"]
    query = {"userId": who, "status": status}
    found: list[dict[str, Any]] = client.get("/api/auth/video/gallery", params=query).json()["data"]["videos"]
    return found


def visible(text: str) -> str:
    """As Playwright compares texts: what cannot be seen and several spaces are left out."""
    return re.split("[\u202e\u200b\u2066]", text)[0].strip()


def _sent(client: httpx.Client, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.request(method, f"/api/auth/{path}", json=body)
    data: dict[str, Any] = answer.raise_for_status().json()["data"]
    return data
