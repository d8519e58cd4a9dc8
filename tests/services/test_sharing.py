"""The owner's side of share links."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from tests.services.conftest import Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.videos import insert_video, store_video
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, WrongSecretKey
from videovault.gateways.storage import Storage
from videovault.models import Event, Status, Video
from videovault.services import sharing
from videovault.services.core.access import Caller
from videovault.services.sharing import ShareCredentials

pytestmark = pytest.mark.usefixtures("fixed_probe")


@pytest.fixture
def video_id(generator: Generator, anna: Caller, moto_s3: Storage) -> str:
    del moto_s3
    return store_video(anna, generator)


def events(kind: str) -> list[Event]:
    with reading() as session:
        return list(session.exec(select(Event).where(Event.kind == kind).order_by(col(Event.id))))


def works(video_id: str, key: str) -> bool:
    try:
        sharing.open_page(video_id, ShareCredentials(key))
    except WrongSecretKey:
        return False
    return True


def test_the_link_carries_the_key_and_the_public_address(
    video_id: str, anna: Caller, configure: Configure
) -> None:
    configure(PUBLIC_URL="https://videos.example.com/")
    view = sharing.get_secret_key(anna, video_id)
    assert view.url == f"https://videos.example.com/share/{video_id}?key={view.secret_key}"
    assert sharing.get_link(anna, video_id).url == view.url
    assert works(video_id, view.secret_key)


def test_a_new_key_revokes_the_old_link(video_id: str, anna: Caller) -> None:
    old = sharing.get_secret_key(anna, video_id)
    assert works(video_id, old.secret_key)
    fresh = sharing.rotate_key(anna, video_id)
    assert not works(video_id, old.secret_key)
    assert works(video_id, fresh.secret_key)
    assert sharing.get_secret_key(anna, video_id) == fresh
    [event] = events("key_replaced")
    assert (event.actor_id, event.video_id) == (anna.user_id, video_id)
    assert fresh.secret_key not in str(event.detail)


def test_a_link_stops_working_when_it_expires(video_id: str, anna: Caller) -> None:
    key = sharing.get_secret_key(anna, video_id).secret_key
    view = sharing.open_link(anna, video_id, expires_in_days=7)
    assert view.expires_at
    assert abs(view.expires_at - utcnow() - timedelta(days=7)) < timedelta(minutes=1)
    assert works(video_id, key)
    with transaction() as session:
        session.get_one(Video, video_id).share_expires_at = utcnow() - timedelta(seconds=1)
    assert not works(video_id, key)
    sharing.open_link(anna, video_id)
    assert works(video_id, key)


def test_a_link_stops_working_at_its_view_limit(video_id: str, anna: Caller) -> None:
    key = sharing.get_secret_key(anna, video_id).secret_key
    sharing.open_link(anna, video_id, most_views=2)
    assert [works(video_id, key) for _ in range(3)] == [True, True, False]
    view = sharing.get_link(anna, video_id)
    assert (view.views, view.most_views) == (2, 2)
    assert sharing.open_link(anna, video_id, most_views=3).views == 0
    assert works(video_id, key)


def test_a_closed_link_does_not_work_until_it_is_opened_again(video_id: str, anna: Caller) -> None:
    key = sharing.get_secret_key(anna, video_id).secret_key
    assert not sharing.close_link(anna, video_id).is_open
    assert not works(video_id, key)
    fresh = sharing.rotate_key(anna, video_id).secret_key
    assert not works(video_id, fresh)
    assert sharing.open_link(anna, video_id).is_open
    assert [works(video_id, one) for one in (key, fresh)] == [False, True]
    assert len(events("unshared")) == len(events("shared")) == 1


def test_invalid_limits_are_refused(video_id: str, anna: Caller) -> None:
    for field, limits in (
        ("expiresInDays", {"expires_in_days": 0}),
        ("expiresInDays", {"expires_in_days": 3651}),
        ("mostViews", {"most_views": -1}),
        ("mostViews", {"most_views": 1_000_001}),
    ):
        with pytest.raises(InvalidInput) as refusal:
            sharing.open_link(anna, video_id, **limits)
        assert set(refusal.value.fields) == {field}, limits


def test_only_ready_videos_can_be_shared(anna: Caller) -> None:
    with pytest.raises(Conflict):
        sharing.open_link(anna, insert_video(anna, Status.FAILED))


def test_a_video_in_progress_gets_a_new_key_too(anna: Caller, row: Row) -> None:
    video_id = insert_video(anna, Status.STORING)
    old = sharing.get_secret_key(anna, video_id)
    assert sharing.rotate_key(anna, video_id) != old
    assert row(video_id).status == Status.STORING
