"""Importing from a link: the card appears at once, and errors are shown beside their field."""

import pytest
from sqlmodel import select

from tests.state.conftest import Make, Tab
from tests.support.installation import Configure
from videovault.clock import utcnow
from videovault.db import reading
from videovault.models import Status, Video
from videovault.state.gallery import GalleryState
from videovault.state.import_dialog import ImportDialogState
from videovault.state.session import SessionState

LINK = "http://127.0.0.1:9/film.mp4"


@pytest.fixture
def page(ada: Tab, configure: Configure) -> Tab:
    """Ada's gallery, with the dialog open."""
    configure(SOURCE_ALLOW_HOSTS="127.0.0.1:9")
    ada.send(GalleryState, "load")
    ada.send(ImportDialogState, "open")
    return ada


def test_card_is_there_at_once(page: Tab) -> None:
    page.send(ImportDialogState, "add", form={"videoUrl": LINK, "title": "Our film"})
    [card] = page.sees(GalleryState).cards
    assert (card.title, card.status) == ("Our film", "processing")
    assert not page.sees(ImportDialogState).is_open
    assert page.sees(SessionState).notice == "“Our film” is being stored. You can leave this page."


def test_filtered_gallery_is_left_for_the_new_card(page: Tab) -> None:
    page.address = "/gallery?status=failed"
    page.send(GalleryState, "load")
    page.send(ImportDialogState, "add", form={"videoUrl": LINK, "title": ""})
    assert page.sent_to == "/gallery"


def test_link_that_is_being_stored_is_not_stored_twice(page: Tab) -> None:
    for title in ("Our film", "The same again"):
        page.send(ImportDialogState, "add", form={"videoUrl": LINK, "title": title})
    assert len(page.sees(GalleryState).cards) == 1
    assert page.sees(SessionState).notice == "This link is being stored already, as “Our film”."


def test_link_of_a_video_that_was_generated_is_known(page: Tab, make: Make) -> None:
    make(Status.READY, "Our film", source_url=LINK, requested_at=utcnow())
    page.send(ImportDialogState, "add", form={"videoUrl": LINK, "title": ""})
    assert page.sees(SessionState).notice == "This link was stored before, as “Our film”."


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("", "Video address is missing."),
        ("film.mp4", "The address must start with http:// or https://."),
        ("http://192.168.1.1/film.mp4", "The address leads into a private network"),
    ],
)
def test_wrong_url_is_explained_beside_its_field(page: Tab, link: str, message: str) -> None:
    page.send(ImportDialogState, "add", form={"videoUrl": link, "title": ""})
    assert page.sees(SessionState).errors["videoUrl"].startswith(message)
    assert page.sees(ImportDialogState).is_open
    assert not page.sees(ImportDialogState).is_busy
    assert page.sees(GalleryState).cards == []


def test_wrong_title_is_explained_beside_its_field(page: Tab) -> None:
    page.send(ImportDialogState, "add", form={"videoUrl": LINK, "title": "x" * 121})
    assert "title" in page.sees(SessionState).errors


def test_each_video_keeps_the_id_of_its_click(page: Tab) -> None:
    for name in ("one", "two"):
        page.send(ImportDialogState, "add", form={"videoUrl": f"{LINK}?{name}", "title": name})
    with reading() as session:
        ids = session.exec(select(Video.request_id)).all()
    assert len({request_id for request_id in ids if request_id and len(request_id) == 32}) == 2
