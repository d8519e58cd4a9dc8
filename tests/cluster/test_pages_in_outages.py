"""Open pages say that they wait while PostgreSQL or Redis is away, and follow again afterwards without a reload."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.cluster import Cluster, running_cluster
from tests.support.part import Part
from tests.support.product import PASSWORD, Person
from tests.support.waiting import HANG_MS, eventually
from videovault.state import wording

pytestmark = pytest.mark.cluster
TOPIC, LINK = "Half a topic", "https://files.example.com/half-typed"
WAITING = wording.WAITING_FOR_SERVER
SECONDS = (10.0, 60.0)
expect.set_options(timeout=HANG_MS)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("outages")
    with running_cluster(folder, replicas=1, workers=0, SOURCE_ALLOW_HOSTS="127.0.0.1") as running:
        yield running


@dataclass(frozen=True)
class Open:
    """The pages of an admin, with something typed into the brief and into a dialog."""

    owner: Person
    gallery: Page
    create: Page
    admin: Page

    @property
    def all(self) -> tuple[Page, Page, Page]:
        return (self.gallery, self.create, self.admin)


@pytest.fixture(scope="module")
def open_pages(cluster: Cluster, browser: Browser) -> Open:
    admin = cluster.new_person()  # the first one
    context = browser.new_context(base_url=cluster.url)
    account = {"email": admin.email, "password": PASSWORD}
    context.request.post("/api/auth/login", data=account, headers={"Origin": cluster.url})
    pages = [context.new_page() for _ in range(3)]
    for page, path in zip(pages, ("/gallery", "/create", "/admin"), strict=True):
        page.goto(path)
    gallery, create, admin_page = pages
    gallery.get_by_role("button", name="Import from link").first.click()
    gallery.get_by_label("Video URL").fill(LINK)
    create.locator("[name=topic]").fill(TOPIC)
    for page in pages:
        page.evaluate("window.isTheSamePage = true")
    return Open(admin, gallery, create, admin_page)


@contextmanager
def stopped(part: Part) -> Iterator[None]:
    part.stop()
    try:
        yield
    finally:
        part.start()


@contextmanager
def frozen(part: Part) -> Iterator[None]:
    part.freeze()
    try:
        yield
    finally:
        part.thaw()


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.parametrize("away", [stopped, frozen], ids=["stopped", "frozen"])
@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_pages_wait_and_follow_again(
    cluster: Cluster,
    open_pages: Open,
    name: str,
    away: Callable[[Part], AbstractContextManager[None]],
    seconds: float,
) -> None:
    replica = cluster.replicas[0]
    measured: dict[str, float] = {}
    logged = len(replica.text())
    part: Part = getattr(cluster, name)
    with away(part):
        began = time.monotonic()
        for page in open_pages.all:
            expect(page.get_by_text(WAITING).filter(visible=True)).to_have_count(1)
        measured["waiting"] = time.monotonic() - began
        typed = f"{TOPIC}, {name} {seconds:.0f}"
        open_pages.create.locator("[name=topic]").fill(typed)
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    ended = time.monotonic()
    for page in open_pages.all:
        expect(page.get_by_text(WAITING)).to_have_count(0)
    measured["shown as over"] = time.monotonic() - ended
    lines = replica.text()[logged:].splitlines()
    title = f"{name} {away.__name__} {seconds:.0f}"
    _fail(open_pages.owner, title)
    expect(open_pages.gallery.locator(".card").filter(has_text=title).first).to_be_attached()
    for page in open_pages.all:
        expect(page.locator(".notices").get_by_text(title).first).to_be_attached()
    measured["following"] = time.monotonic() - ended
    log_figures(f"{title}: {measured}, {len(lines)} lines")
    assert open_pages.create.locator("[name=topic]").input_value() == typed
    assert open_pages.gallery.get_by_label("Video URL").input_value() == LINK
    assert all(page.evaluate("window.isTheSamePage") for page in open_pages.all)
    assert not [line for line in lines if "Traceback" in line]
    assert len(lines) <= seconds + 10, "\n".join(lines)


def log_figures(text: str) -> None:
    """Shown by pytest -s; not compared, since a busy machine exceeds every limit."""
    print(text)


def _fail(owner: Person, title: str) -> None:
    """A new video that its generator reports as failed."""
    made = owner.generate().json()["data"]["videoId"]
    owner.api.patch(f"/api/auth/video/{made}", json={"title": title}).raise_for_status()
    body = {"userId": owner.user_id, "videoId": made, "status": "failed", "error": "Gone."}
    eventually(lambda: owner.api.put("/api/auth/video/status", json=body).status_code == 200)
