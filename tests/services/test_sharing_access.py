"""What a visitor with a share link sees, how views are counted, and that keys cannot be guessed."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlmodel import col, select
from structlog.testing import capture_logs

from tests.services.conftest import Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.videos import store_video
from videovault.db import reading, transaction
from videovault.errors import RateLimited, WrongSecretKey
from videovault.gateways.storage import Storage
from videovault.models import Event, Video
from videovault.services import sharing
from videovault.services.core.access import Caller
from videovault.services.sharing import ShareCredentials

ADDRESS = "203.0.113.77"

pytestmark = pytest.mark.usefixtures("fixed_probe")


@pytest.fixture
def video_id(generator: Generator, anna: Caller, moto_s3: Storage) -> str:
    del moto_s3
    return store_video(anna, generator, "Grün & gut")


@pytest.fixture
def key(video_id: str, anna: Caller) -> str:
    return sharing.get_secret_key(anna, video_id).secret_key


def events(kind: str) -> list[dict[str, object]]:
    with reading() as session:
        found = select(Event).where(Event.kind == kind).order_by(col(Event.id))
        return [event.detail for event in session.exec(found)]


def test_a_visitor_sees_the_title_and_plays_and_saves_the_film(video_id: str, key: str, row: Row) -> None:
    with transaction() as session:
        session.get_one(Video, video_id).company_name = "Brot & Söhne"
    seen = sharing.open_page(video_id, ShareCredentials(key))
    assert (seen.title, seen.company_name, seen.metadata.size) == (
        "Grün & gut",
        "Brot & Söhne",
        row(video_id).size,
    )
    saved = httpx.get(sharing.download_url(video_id, ShareCredentials(key)))
    assert len(saved.content) == seen.metadata.size
    assert saved.headers["content-disposition"].startswith("attachment")
    assert "Gr%C3%BCn" in saved.headers["content-disposition"]
    played = httpx.get(sharing.download_url(video_id, ShareCredentials(key), inline=True))
    assert played.headers["content-disposition"].startswith("inline")
    assert (
        httpx.get(sharing.poster_url(video_id, ShareCredentials(key))).headers["content-type"] == "image/webp"
    )


def test_each_view_is_counted_and_recorded(video_id: str, key: str) -> None:
    sharing.open_page(video_id, ShareCredentials(key, ADDRESS))
    sharing.open_page(video_id, ShareCredentials(key, "2001:db8:1234:5678::9"))
    assert events("share_opened") == [
        {"network": "203.0.113.0/24", "views": 1, "by": "page"},
        {"network": "2001:db8:1234::/48", "views": 2, "by": "page"},
    ]


def test_an_open_page_plays_and_downloads_without_being_counted_again(
    video_id: str, key: str, anna: Caller
) -> None:
    sharing.open_link(anna, video_id, most_views=1)
    ticket = sharing.open_page(video_id, ShareCredentials(key, ADDRESS)).ticket
    inside = ShareCredentials(key, ADDRESS, ticket)
    assert sharing.open_page(video_id, inside).title  # the same tab, loaded again
    for inline in (True, True, False):
        assert sharing.download_url(video_id, inside, inline=inline)
    assert sharing.get_link(anna, video_id).views == 1
    assert events("share_download") == [{"network": "203.0.113.0/24"}]
    for outside in (
        ShareCredentials(key, ADDRESS),
        ShareCredentials(key, ADDRESS, ticket + "x"),
        ShareCredentials("", ADDRESS, ticket),
    ):
        with pytest.raises(WrongSecretKey):
            sharing.download_url(video_id, outside)


def test_a_view_pass_opens_neither_a_closed_link_nor_another_video(
    video_id: str, key: str, anna: Caller, generator: Generator
) -> None:
    inside = ShareCredentials(key, ADDRESS, sharing.open_page(video_id, ShareCredentials(key)).ticket)
    other = store_video(anna, generator)
    sharing.open_link(anna, other, most_views=1)
    other_key = sharing.get_secret_key(anna, other).secret_key
    sharing.open_page(other, ShareCredentials(other_key))
    with pytest.raises(WrongSecretKey):
        sharing.download_url(other, ShareCredentials(other_key, ADDRESS, inside.ticket))
    sharing.close_link(anna, video_id)
    with pytest.raises(WrongSecretKey):
        sharing.download_url(video_id, inside)


def test_a_view_pass_is_valid_until_the_link_changes(video_id: str, key: str, anna: Caller) -> None:
    for change in ("other limits", "closed and opened", "another key"):
        sharing.open_link(anna, video_id)
        ticket = sharing.open_page(video_id, ShareCredentials(key, ADDRESS)).ticket
        assert sharing.download_url(video_id, ShareCredentials(key, ADDRESS, ticket), inline=True), change
        if change == "another key":
            key = sharing.rotate_key(anna, video_id).secret_key
        if change == "closed and opened":
            sharing.close_link(anna, video_id)
        sharing.open_link(anna, video_id, most_views=1)
        sharing.open_page(video_id, ShareCredentials(key, ADDRESS))  # the one view
        with pytest.raises(WrongSecretKey):
            sharing.download_url(video_id, ShareCredentials(key, ADDRESS, ticket), inline=True)


def test_the_poster_is_refused_after_the_last_view_except_for_open_pages(
    video_id: str, key: str, anna: Caller
) -> None:
    sharing.open_link(anna, video_id, most_views=1)
    assert sharing.poster_url(video_id, ShareCredentials(key, ADDRESS))
    ticket = sharing.open_page(video_id, ShareCredentials(key, ADDRESS)).ticket
    assert sharing.poster_url(video_id, ShareCredentials(key, ADDRESS, ticket))
    with pytest.raises(WrongSecretKey):
        sharing.poster_url(video_id, ShareCredentials(key, ADDRESS))


def test_concurrent_views_never_pass_the_limit(video_id: str, key: str, anna: Caller) -> None:
    sharing.open_link(anna, video_id, most_views=3)

    def opens(_: int) -> bool:
        try:
            sharing.open_page(video_id, ShareCredentials(key))
        except WrongSecretKey:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(opens, range(8))) == 3
    with reading() as session:
        [counted] = session.exec(select(Event).where(Event.kind == "share_opened"))
    assert (counted.times, counted.detail["views"]) == (3, 3)


def test_a_wrong_key_and_an_absent_video_get_the_same_message(video_id: str, key: str) -> None:
    messages = set()
    for asked, shown in ((video_id, "wrong"), (video_id, ""), ("video_1_absent", key)):
        with pytest.raises(WrongSecretKey) as refusal:
            sharing.open_page(asked, ShareCredentials(shown))
        messages.add(refusal.value.public_message)
    assert messages == {"This link no longer works."}


def test_after_twenty_wrong_keys_an_address_waits_even_with_the_right_one(video_id: str, key: str) -> None:
    for _ in range(20):
        with pytest.raises(WrongSecretKey):
            sharing.download_url(video_id, ShareCredentials("wrong", ADDRESS))
    for shown in ("wrong", key):
        with pytest.raises(RateLimited) as refusal:
            sharing.open_page(video_id, ShareCredentials(shown, ADDRESS))
        assert 3000 < refusal.value.retry_after <= 3600
    with pytest.raises(RateLimited):
        sharing.poster_url(video_id, ShareCredentials(key, f"::ffff:{ADDRESS}"))
    assert sharing.open_page(video_id, ShareCredentials(key, "203.0.113.78")).title


def test_a_household_is_one_address(video_id: str, key: str) -> None:
    for number in range(20):
        with pytest.raises(WrongSecretKey):
            sharing.open_page(video_id, ShareCredentials("wrong", f"2001:db8:0:1::{number:x}"))
    with pytest.raises(RateLimited):
        sharing.open_page(video_id, ShareCredentials(key, "2001:db8:0:1:ffff::1"))
    assert sharing.open_page(video_id, ShareCredentials(key, "2001:db8:0:2::1")).title


def test_rate_limits_can_be_disabled_for_load_tests(video_id: str, configure: Configure) -> None:
    configure(RATE_LIMITS="off")
    for _ in range(25):
        with pytest.raises(WrongSecretKey):
            sharing.open_page(video_id, ShareCredentials("wrong", ADDRESS))


def test_no_key_is_logged(video_id: str, key: str) -> None:
    with capture_logs() as lines:
        sharing.open_page(video_id, ShareCredentials(key, ADDRESS))
        with pytest.raises(WrongSecretKey):
            sharing.open_page(video_id, ShareCredentials(key[:-1], ADDRESS))
    assert [line["event"] for line in lines] == ["share link refused from unknown"]
    for secret in (key, key[:-1]):
        assert secret not in str(lines)
