"""The share page, as visitors without an account see it."""

from collections.abc import Callable

import pytest

from tests.state.conftest import Person, Server, Tab
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.videos import store_video
from videovault.config import settings
from videovault.gateways.storage import Storage
from videovault.services import sharing
from videovault.state.share_page import SharePageState


@pytest.fixture
def ada(person: Callable[[str], Person], moto_s3: Storage) -> Person:
    del moto_s3
    return person("ada")


@pytest.fixture
def video_id(ada: Person, generator: Generator) -> str:
    return store_video(ada.caller, generator, "Bread")


@pytest.fixture
def open_tab(server: Server) -> Callable[[str, str], Tab]:
    def visit(video_id: str, key: str) -> Tab:
        tab = server.tab(address=f"/share/{video_id}/?key={key}")
        tab.send(SharePageState, "open")
        return tab

    return visit


def key_of(ada: Person, video_id: str) -> str:
    return sharing.get_secret_key(ada.caller, video_id).secret_key


OpenTab = Callable[[str, str], Tab]


def test_the_right_key_shows_the_video(ada: Person, video_id: str, open_tab: OpenTab) -> None:
    key = key_of(ada, video_id)
    page = open_tab(video_id, key).sees(SharePageState)
    assert (page.access, page.video.title) == ("yes", "Bread")
    assert page.link_seconds == settings().download_url_seconds
    for address in (page.video.video_url, page.video.download_url, page.video.poster_url):
        assert address.startswith(f"/api/share/{video_id}/")
        assert f"key={key}" in address


def test_wrong_key_old_key_and_missing_video_look_the_same(
    ada: Person, video_id: str, open_tab: OpenTab
) -> None:
    old = key_of(ada, video_id)
    sharing.rotate_key(ada.caller, video_id)
    looks = [
        open_tab(*asked).sees(SharePageState)
        for asked in ((video_id, old), (video_id, ""), ("video_1_absent", "x"), ("", ""))
    ]
    assert {(page.access, page.video) for page in looks} == {("no", looks[0].video)}
    assert looks[0].video.title == ""


def test_a_tab_counts_once_and_loses_the_video_with_the_key(
    ada: Person, video_id: str, open_tab: OpenTab
) -> None:
    sharing.open_link(ada.caller, video_id, most_views=1)
    key = key_of(ada, video_id)
    tab = open_tab(video_id, key)
    tab.send(SharePageState, "open")
    assert tab.sees(SharePageState).access == "yes"
    assert open_tab(video_id, key).sees(SharePageState).access == "no"
    sharing.rotate_key(ada.caller, video_id)
    tab.send(SharePageState, "open")
    assert (tab.sees(SharePageState).access, tab.sees(SharePageState).video.video_url) == ("no", "")


def test_guessing_keys_is_rate_limited(ada: Person, video_id: str, open_tab: OpenTab) -> None:
    for number in range(20):
        assert open_tab(video_id, f"wrong{number}").sees(SharePageState).access == "no"
    assert open_tab(video_id, key_of(ada, video_id)).sees(SharePageState).access == "limited"


def test_s3_errors_are_not_blamed_on_the_link(
    ada: Person, video_id: str, open_tab: OpenTab, configure: Configure
) -> None:
    key = key_of(ada, video_id)
    configure(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")  # nothing listens there
    assert open_tab(video_id, key).sees(SharePageState).access == "later"


def test_key_and_owner_are_not_disclosed(ada: Person, video_id: str, open_tab: OpenTab) -> None:
    key = key_of(ada, video_id)
    tab, other = open_tab(video_id, key), open_tab(video_id, "wrong")
    assert key in tab.received
    assert key not in other.received
    for secret in (ada.caller.email, ada.caller.user_id, "sealed", "X-Amz"):
        assert secret not in tab.received
