"""The gallery: what it shows, and what a card can do."""

from collections.abc import Callable

import pytest
from sqlmodel import col, select

from tests.state.conftest import Person, Server, Tab
from videovault.db import reading, transaction
from videovault.gateways import storage
from videovault.models import Status, User, Video
from videovault.services import lifecycle
from videovault.state.gallery import PAGE, GalleryState
from videovault.state.session import SessionState

Make = Callable[..., str]


@pytest.fixture
def ada(server: Server, person: Callable[[str], Person]) -> Tab:
    return server.tab(person("ada").token, address="/gallery")


@pytest.fixture
def make(ada: Tab) -> Make:
    """Puts a video of any status into Ada's gallery; its id."""
    del ada

    def put(status: Status, title: str = "Bread", **values: object) -> str:
        with transaction() as session:
            owner = session.exec(select(User).order_by(col(User.created_at))).first()
            assert owner
            video = lifecycle.new_video(owner.id, status, title, **values)
            session.add(video)
            return video.id

    return put


def test_counts_are_over_everything_but_drafts(ada: Tab, make: Make) -> None:
    for status in (Status.READY, Status.READY, Status.QUEUED, Status.FAILED, Status.DRAFT):
        make(status)
    ada.send(GalleryState, "load")
    gallery = ada.sees(GalleryState)
    assert gallery.counts.model_dump() == {"everything": 4, "ready": 2, "processing": 1, "failed": 1}
    assert len(gallery.cards) == 4


@pytest.mark.parametrize(
    ("status", "shown"), [("failed", 1), ("ready", 2), ("draft", 1), ("", 4), ("nonsense", 4)]
)
def test_counts_are_filters(ada: Tab, make: Make, status: str, shown: int) -> None:
    for one in (Status.READY, Status.READY, Status.QUEUED, Status.FAILED, Status.DRAFT):
        make(one)
    ada.send(GalleryState, "show", status=status)
    assert len(ada.sees(GalleryState).cards) == shown


def test_gallery_shows_a_page_and_more_when_asked(ada: Tab, make: Make) -> None:
    for _ in range(PAGE + 1):
        make(Status.READY)
    ada.send(GalleryState, "load")
    assert (len(ada.sees(GalleryState).cards), ada.sees(GalleryState).has_more) == (PAGE, True)
    ada.send(GalleryState, "more")
    assert (len(ada.sees(GalleryState).cards), ada.sees(GalleryState).has_more) == (PAGE + 1, False)


def test_page_that_never_showed_the_gallery_does_not_read_it(ada: Tab, make: Make) -> None:
    make(Status.READY)
    ada.send(GalleryState, "refresh")
    assert ada.sees(GalleryState).cards == []


def test_nothing_secret_reaches_the_browser(ada: Tab, make: Make) -> None:
    make(Status.READY, s3_key="videos/secret.mp4", source_url="https://cdn.example.com/secret.mp4")
    ada.send(GalleryState, "load")
    assert "Bread" in ada.received
    for secret in ("secret.mp4", "sealed", "example.com/secret", "X-Amz"):
        assert secret not in ada.received


def test_player_opens_and_closes(ada: Tab, make: Make) -> None:
    video_id = make(Status.READY)
    ada.send(GalleryState, "play", video_id=video_id)
    assert ada.sees(GalleryState).playing.video_id == video_id
    ada.send(GalleryState, "stop")
    assert ada.sees(GalleryState).playing.video_id == ""


def test_deleting_asks_first_and_names_what_goes(ada: Tab, make: Make) -> None:
    video_id = make(Status.READY, size=3_700_000, duration=20.0)
    ada.send(GalleryState, "ask", video_id=video_id)
    doomed = ada.sees(GalleryState).doomed
    assert (doomed.title, doomed.details) == ("Bread", "0:20, 3.7 MB")
    ada.send(GalleryState, "spare")
    ada.send(GalleryState, "delete")
    assert _exists(video_id)


def test_deleted_video_is_gone(ada: Tab, make: Make, moto_s3: storage.Storage) -> None:
    video_id = make(Status.READY)
    moto_s3.put(f"videos/{_owner(video_id)}/{video_id}/1_bread.mp4", b"bread", content_type="video/mp4")
    ada.send(GalleryState, "load")
    ada.send(GalleryState, "ask", video_id=video_id)
    ada.send(GalleryState, "delete")
    assert not _exists(video_id)
    assert list(moto_s3.keys("videos/")) == []
    assert ada.sees(GalleryState).cards == []
    assert ada.sees(SessionState).notice == "“Bread” is deleted."


def test_somebody_elses_video_can_be_neither_asked_about_nor_played(
    server: Server, person: Callable[[str], Person], ada: Tab, make: Make
) -> None:
    video_id = make(Status.READY)
    bob = server.tab(person("bob").token, address="/gallery")
    for handler in ("ask", "play", "retry"):
        bob.send(GalleryState, handler, video_id=video_id)
        assert bob.sees(SessionState).notice == "There is no such video."
    bob.send(GalleryState, "delete")
    assert _exists(video_id)
    assert ada.sees(GalleryState).doomed.video_id == ""


def test_failed_video_is_tried_again_from_its_card(ada: Tab, make: Make) -> None:
    video_id = make(Status.FAILED, source_url="https://cdn.example.com/a.mp4", error_message="Gone.")
    ada.send(GalleryState, "load")
    assert ada.sees(GalleryState).cards[0].reason == "Gone."
    ada.send(GalleryState, "retry", video_id=video_id)
    assert ada.sees(GalleryState).cards[0].status == "processing"


def _owner(video_id: str) -> str:
    with reading() as session:
        video = session.get(Video, video_id)
        assert video
        return video.owner_id


def _exists(video_id: str) -> bool:
    with reading() as session:
        return session.get(Video, video_id) is not None
