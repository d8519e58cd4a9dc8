"""Replicas from folders of their own serve one installation."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response, WebSocket, expect

from tests.support.cluster import Cluster, build_pages, checkout, running_cluster
from tests.support.part import Part
from tests.support.product import PASSWORD, Person
from tests.support.waiting import HANG_MS

pytestmark = pytest.mark.cluster
LOADS, MIXED_LOADS = 50, 5
PATHS = ("/create", "/gallery", "/account", "/")


@dataclass
class Traffic:
    """What the pages of a context requested and were answered."""

    failed: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    sockets: list[WebSocket] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("response", self._answered)
        page.on("requestfailed", lambda request: self.failed.append(f"{request.url} {request.failure}"))
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        self.sockets.append(socket)

    def _answered(self, response: Response) -> None:
        if response.request.resource_type == "document" and response.ok:
            self.documents.append(response.url)
        if response.status >= 400:
            self.failed.append(f"{response.url} {response.status}")


def test_every_page_load_works_over_two_replicas(tmp_path: Path, browser: Browser) -> None:
    """Without a cache, so that each load gets its files from both."""
    with running_cluster(tmp_path, workers=0) as cluster:
        person, traffic = cluster.new_person(), Traffic()
        for number in range(LOADS):
            load(browser, cluster, person, PATHS[number % len(PATHS)], traffic)
        assert traffic.failed == []
        assert len(traffic.sockets) == LOADS


def test_an_open_page_survives_one_upgrade_and_is_loaded_again_after_the_next(
    tmp_path: Path, browser: Browser
) -> None:
    with running_cluster(tmp_path, workers=0) as cluster:
        person, open_page, others = cluster.new_person(), Traffic(), Traffic()
        context = signed_in(browser, cluster, person)
        page = context.new_page()
        page.goto("/create")
        topic = page.get_by_label("What is the video about?")
        topic.fill("Bees in winter")
        open_page.listen(page)

        second = changed_checkout(tmp_path / "second", "second")
        upgrade(cluster.replicas[0], second)
        for _ in range(MIXED_LOADS):  # while the other replica has the version before
            load(browser, cluster, person, "/create", others)
        upgrade(cluster.replicas[1], second)
        page.get_by_role("link", name="Gallery").click()
        expect(page.get_by_role("heading", name="Gallery", exact=True)).to_be_visible()
        assert open_page.documents == []
        page.get_by_role("link", name="Create").click()
        expect(topic).to_have_value("Bees in winter")

        third = changed_checkout(tmp_path / "third", "third")
        for replica in cluster.replicas:
            upgrade(replica, third)
        page.get_by_role("button", name="Menu").click()
        page.get_by_role("link", name="Account").click()
        expect(page.get_by_role("heading", name="Account third")).to_be_visible()
        assert len(open_page.documents) == 1
        page.get_by_role("link", name="Create").click()
        expect(topic).to_have_value("Bees in winter")
        context.close()
        assert others.failed == []


def load(browser: Browser, cluster: Cluster, person: Person, path: str, traffic: Traffic) -> None:
    """Open a page and go on to another one from there."""
    context = signed_in(browser, cluster, person)
    page = context.new_page()
    traffic.listen(page)
    page.goto(path)
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    context.close()


def changed_checkout(folder: Path, name: str) -> Path:
    """A version with other pages."""
    root = checkout(folder, pages=False)
    for module, heading in (("account", "wording.ACCOUNT"), ("gallery", "wording.GALLERY")):
        file = root / "videovault" / "pages" / f"{module}.py"
        old, new = f"page_head({heading}", f'page_head({heading} + " {name}"'
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    build_pages(root)
    return root


def upgrade(part: Part, root: Path) -> None:
    part.stop()
    part.root = root
    part.start()


def signed_in(browser: Browser, cluster: Cluster, person: Person) -> BrowserContext:
    context = browser.new_context(base_url=cluster.url)
    context.set_default_timeout(HANG_MS)
    answer = context.request.post("/api/auth/login", data={"email": person.email, "password": PASSWORD})
    assert answer.ok, answer.text()
    return context
