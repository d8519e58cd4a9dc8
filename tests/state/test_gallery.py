"""The gallery: what it shows, and what a card can do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tests.state.conftest import Make, Person, Server, Tab
from videovault.db import reading, transaction
from videovault.gateways.storage import Storage
from videovault.models import Status, Video
from videovault.state.gallery import PAGE, PARTS, GalleryState, Parts, split_into_parts
from videovault.state.session import SessionState
from videovault.state.view_models import Card


def test_counts_are_over_everything_and_drafts_count_apart(ada: Tab, make: Make) -> None:
    for status in (Status.READY, Status.READY, Status.QUEUED, Status.FAILED, Status.DRAFT):
        make(status)
    ada.send(GalleryState, "load")
    gallery = ada.sees(GalleryState)
    counts = {"everything": 4, "ready": 2, "processing": 1, "failed": 1, "drafts": 1}
    assert gallery.counts.model_dump() == counts
    assert len(gallery.cards) == 4


@pytest.mark.parametrize(
    ("status", "shown"), [("failed", 1), ("ready", 2), ("draft", 1), ("", 4), ("nonsense", 4)]
)
def test_counts_are_filters(ada: Tab, make: Make, status: str, shown: int) -> None:
    for one in (Status.READY, Status.READY, Status.QUEUED, Status.FAILED, Status.DRAFT):
        make(one)
    look(ada, status=status)
    assert len(ada.sees(GalleryState).cards) == shown


def test_address_says_what_is_searched_and_in_which_order(ada: Tab, make: Make) -> None:
    for title in ("Rolls at night", "Bread at night", "Cake"):
        make(Status.READY, title)
    make(Status.FAILED, "Night shift")
    look(ada, q="NIGHT", sort="title", status="ready")
    gallery = ada.sees(GalleryState)
    assert [card.title for card in gallery.cards] == ["Bread at night", "Rolls at night"]
    assert (gallery.view, gallery.found) == ("ready\ntitle\nNIGHT", "2 videos found")
    look(ada, q="%", sort="nonsense")
    assert (ada.sees(GalleryState).cards, ada.sees(GalleryState).found) == ([], "No videos found")


def test_loading_the_same_again_shows_as_much_as_before(ada: Tab, make: Make) -> None:
    for _ in range(2 * PAGE + 1):
        make(Status.READY)
    look(ada)
    ada.send(GalleryState, "more")
    look(ada)
    assert len(ada.sees(GalleryState).cards) == 2 * PAGE
    look(ada, sort="oldest")
    assert len(ada.sees(GalleryState).cards) == PAGE


def test_gallery_that_cannot_be_read_says_so_until_it_can(ada: Tab, make: Make) -> None:
    make(Status.READY)
    with renamed_table("videos"), pytest.raises(OperationalError):
        look(ada)
    assert ada.sees(GalleryState).is_broken
    look(ada)
    assert "'is_broken_rx_state_': True" in ada.received
    assert not ada.sees(GalleryState).is_broken
    assert len(ada.sees(GalleryState).cards) == 1


def test_what_has_not_changed_is_not_sent_again(ada: Tab, make: Make) -> None:
    make(Status.READY)
    look(ada)
    before = ada.received.count("Bread")
    ada.send(GalleryState, "refresh")
    assert ada.received.count("Bread") == before


def test_gallery_shows_a_page_and_more_when_asked(ada: Tab, make: Make) -> None:
    for _ in range(PAGE + 1):
        make(Status.READY)
    ada.send(GalleryState, "load")
    assert (len(ada.sees(GalleryState).cards), ada.sees(GalleryState).has_more) == (PAGE, True)
    ada.send(GalleryState, "more")
    assert (len(ada.sees(GalleryState).cards), ada.sees(GalleryState).has_more) == (PAGE + 1, False)


def test_one_more_page_or_a_change_sends_its_own_page_only(ada: Tab, make: Make) -> None:
    for number in range(2 * PAGE):
        make(Status.READY, f"Bread {number:02}")
    look(ada, sort="title")
    ada.send(GalleryState, "more")
    assert [ada.received.count(f"'Bread {number}'") for number in (10, 23, 24, 40)] == [1, 1, 1, 1]
    with transaction() as session:
        video = session.exec(select(Video).where(Video.title == "Bread 30")).one()
        video.title = "Bread 30b"
    ada.send(GalleryState, "refresh")
    assert [ada.received.count(f"'Bread {number}'") for number in (10, 23, 24, 40)] == [1, 1, 2, 2]
    assert ada.received.count("'Bread 30b'") == 1


def test_cards_are_wiped_when_the_tab_changes_its_user(
    ada: Tab, make: Make, person: Callable[[str], Person]
) -> None:
    make(Status.READY)
    look(ada)
    assert ada.sees(GalleryState).get_value(PARTS[0]) != []
    ada.cookie = person("bob").token
    ada.send(SessionState, "clear_messages")
    assert ada.sees(GalleryState).cards == []
    assert ada.sees(GalleryState).get_value(PARTS[0]) == []


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


def test_another_users_video_can_be_neither_played_nor_changed(
    server: Server, person: Callable[[str], Person], make: Make
) -> None:
    video_id = make(Status.READY)
    bob = server.tab(person("bob").token, address="/gallery")
    bob.send(GalleryState, "play", video_id=video_id)
    assert bob.sees(SessionState).notice == "There is no such video."
    bob.send(GalleryState, "rename", video_id=video_id, title="Mine")
    bob.send(GalleryState, "retry", video_id=video_id)
    with reading() as session:
        video = session.get(Video, video_id)
        assert video
        assert (video.title, video.status) == ("Bread", Status.READY)


def test_new_title_is_shown_and_counted_as_a_result(ada: Tab, make: Make, moto_s3: Storage) -> None:
    del moto_s3
    video_id = make(Status.READY)
    look(ada)
    ada.send(GalleryState, "rename", video_id=video_id, title=" Rolls ")
    [card] = ada.sees(GalleryState).cards
    assert (card.title, card.result_number, card.result) == ("Rolls", 1, "")


def test_invalid_title_is_reported_on_the_card(ada: Tab, make: Make) -> None:
    video_id = make(Status.READY)
    look(ada)
    for times, (title, error) in enumerate([("x" * 121, "Title is too long"), ("", "Title is missing")], 1):
        ada.send(GalleryState, "rename", video_id=video_id, title=title)
        [card] = ada.sees(GalleryState).cards
        assert (card.title, card.result_number) == ("Bread", times)
        assert card.result.startswith(error)
    assert ada.sees(SessionState).notice == ""


def test_failed_video_is_retried_from_its_card(ada: Tab, make: Make) -> None:
    video_id = make(Status.FAILED, source_url="https://cdn.example.com/a.mp4", error_message="Gone.")
    ada.send(GalleryState, "load")
    assert ada.sees(GalleryState).cards[0].reason == "Gone."
    ada.send(GalleryState, "retry", video_id=video_id)
    assert ada.sees(GalleryState).cards[0].status == "processing"


def test_impossible_retry_is_reported_on_the_card(ada: Tab, make: Make) -> None:
    video_id = make(Status.READY)
    look(ada)
    ada.send(GalleryState, "retry", video_id=video_id)
    assert ada.sees(GalleryState).cards[0].result == "Only a video that failed can be tried again."


def look(tab: Tab, **view: str) -> None:
    """Open the gallery at an address that asks for this."""
    tab.address = f"/gallery?{urlencode(view)}"
    tab.send(GalleryState, "load")


@contextmanager
def renamed_table(name: str) -> Iterator[None]:
    """As if the database had lost it."""
    _execute(f"ALTER TABLE {name} RENAME TO {name}_elsewhere")
    try:
        yield
    finally:
        _execute(f"ALTER TABLE {name}_elsewhere RENAME TO {name}")


def _execute(statement: str) -> None:
    with transaction() as session:
        session.connection().execute(text(statement))


def test_results_of_videos_that_are_not_shown_are_not_kept(ada: Tab, make: Make) -> None:
    shown = make(Status.READY)
    look(ada)
    for number in range(50):
        ada.send(GalleryState, "rename", video_id=f"made-up-{number}", title="x")
    ada.send(
        GalleryState,
        "show_errors",
        errors={f"made-up-{number}": "x" for number in range(50)} | {shown: "no"},
    )
    assert list(ada.sees(GalleryState)._results) == [shown]


# The parts of a long gallery: whatever happens to a card, few of them change, and together they are the gallery.

LONG = [Card(video_id=f"video_{number}", title=f"Film {number}") for number in range(4 * PAGE)]
NEW = Card(video_id="video_new")


def test_pages_are_cut_evenly_and_what_comes_beyond_them_is_a_page_of_its_own() -> None:
    first = split_into_parts(LONG[:PAGE], [])
    second = split_into_parts(LONG[: 2 * PAGE], first)
    assert split_into_parts([], []) == [[]]
    assert first == [LONG[:PAGE]]
    assert second == [LONG[:PAGE], LONG[PAGE : 2 * PAGE]]


def test_last_page_is_filled_before_another_begins() -> None:
    before = split_into_parts(LONG[: PAGE + 1], [])
    assert [len(part) for part in split_into_parts(LONG[: 2 * PAGE + 1], before)] == [PAGE, PAGE, 1]


def test_last_part_takes_the_rest() -> None:
    cards = [Card(video_id=str(number)) for number in range((len(PARTS) + 2) * PAGE)]
    parts = split_into_parts(cards, split_into_parts(cards[:PAGE], []))
    assert (len(parts), len(parts[-1])) == (len(PARTS), 3 * PAGE)
    assert together(parts) == cards


@pytest.mark.parametrize(
    ("happens", "changed"),
    [
        (lambda cards: [NEW, *cards], {0}),
        (lambda cards: cards[:30] + cards[31:], {1}),
        (lambda cards: cards[1:], {0}),
        (lambda cards: cards[:24] + cards[48:], {1}),
        (lambda cards: [*cards[:50], NEW, *cards[51:]], {2}),
        (lambda cards: [*cards[:3], *cards[4:], cards[3]], {0, 3}),
        (lambda cards: [cards[-1], *cards[:-1]], {0, 3}),
        (lambda cards: [NEW, *cards[:-1]], {0, 3}),
    ],
    ids=[
        "one comes",
        "one goes",
        "the first of all goes",
        "a whole page goes",
        "one becomes another",
        "one moves down",
        "one moves up",
        "one comes and pushes one out",
    ],
)
def test_what_happens_to_a_card_changes_its_part_only(
    happens: Callable[[list[Card]], list[Card]], changed: set[int]
) -> None:
    before = split_into_parts(LONG, [])
    after = split_into_parts(happens(LONG), before)
    assert together(after) == happens(LONG)
    assert {number for number, part in enumerate(after) if part != before[number]} == changed


@given(st.lists(st.lists(st.sampled_from(LONG), unique=True), max_size=6))
def test_parts_always_make_up_the_gallery(galleries: list[list[Card]]) -> None:
    parts: Parts = []
    for cards in galleries:
        parts = split_into_parts(cards, parts)
        assert together(parts) == cards
        assert len(parts) <= len(PARTS)


def together(parts: Parts) -> list[Card]:
    return list(chain(*parts))
