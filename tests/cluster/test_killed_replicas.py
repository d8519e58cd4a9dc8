"""A page whose replica is killed goes on at another one, with what it had and without what was lost."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.cluster import Cluster, running_cluster
from tests.support.product import PASSWORD
from tests.support.waiting import HANG_MS
from videovault.state import wording

pytestmark = pytest.mark.cluster
TOPIC, LINK = "Half a topic", "https://files.example.com/half-typed"
TAB_ID = "() => sessionStorage.getItem('token')"
expect.set_options(timeout=HANG_MS)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("kills"), replicas=2, workers=0) as running:
        yield running


@pytest.fixture
def page(cluster: Cluster, browser: Browser) -> Iterator[Page]:
    """A page of the first replica, while both are running."""
    cluster.replicas[0].start()
    person = cluster.new_person()
    if cluster.replicas[1].is_running:
        cluster.replicas[1].stop()
    context = browser.new_context(base_url=cluster.url)
    account = {"email": person.email, "password": PASSWORD}
    context.request.post("/api/auth/login", data=account, headers={"Origin": cluster.url})
    page = context.new_page()
    page.goto("/create")
    expect(page.locator("[name=avatar]").first).to_be_attached()
    page.evaluate("window.isTheSamePage = true")
    cluster.replicas[1].start()
    yield page
    context.close()


def test_a_page_keeps_its_state_and_follows_at_another_replica(cluster: Cluster, page: Page) -> None:
    page.get_by_role("link", name="Gallery").first.click()
    page.get_by_role("button", name="Import from link").first.click()
    page.get_by_label("Video URL").fill(LINK)
    tab = page.evaluate(TAB_ID)
    cluster.replicas[0].kill()
    expect(page.get_by_text("Connection lost.")).to_have_count(0)
    page.get_by_label("Video URL").press("Enter")  # a host that the replica cannot reach
    expect(page.get_by_role("alert").first).to_be_visible()
    assert page.get_by_label("Video URL").input_value() == LINK
    assert page.evaluate(TAB_ID) == tab
    assert page.evaluate("window.isTheSamePage")


def test_a_script_that_a_killed_replica_waited_for_can_be_asked_for_again(
    cluster: Cluster, page: Page
) -> None:
    generator = cluster.world.generator
    generator.script_mode = "held"
    page.locator("[name=topic]").fill(TOPIC)
    page.locator("[name=company_name]").fill("Brot")
    page.get_by_role("button", name="Write the script").click()
    expect(page.get_by_text("We wait up to")).to_be_visible()
    cluster.replicas[0].kill()
    expect(page.get_by_text(wording.SCRIPT_LOST["script"])).to_be_visible()
    assert page.locator("[name=topic]").input_value() == TOPIC
    generator.script_mode = "direct"
    page.get_by_role("button", name="Write the script").click()
    expect(page.get_by_role("heading", name="Your script")).to_be_visible()
    generator.release.set()
