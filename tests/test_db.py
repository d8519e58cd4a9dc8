"""Transactions and a whole run of the services, on SQLite and PostgreSQL."""

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Barrier
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from tests.api.requests import delete, gallery, generate, report, store
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeUser
from tests.support.waiting import eventually
from videovault import db
from videovault.db import reading, transaction
from videovault.errors import Conflict
from videovault.models import Event, Status, User, Video
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller
from videovault.services.generation import scripts
from videovault.services.videos.gallery import GalleryQuery, list_videos

pytestmark = pytest.mark.usefixtures("database")
BRIEF = {"topic": "Our new kettle 🫖", "avatar": "Anna"}


@pytest.fixture(autouse=True)
def _configured(configure: Configure) -> None:
    configure(SCRIPT_WEBHOOK_URL="")


@pytest.fixture
def anna() -> Caller:
    return accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)


def emails() -> list[str]:
    with reading() as session:
        return list(session.exec(select(User.email).order_by(User.email)))


def waits(future: Future[Any]) -> bool:
    """Whether it blocks while the test's transaction is open."""
    try:
        future.result(timeout=0.5)
    except TimeoutError:
        return True
    return False


def test_a_transaction_that_fails_leaves_nothing() -> None:
    def fail_in_the_middle() -> None:
        with transaction() as session:
            session.add(User(email="a@example.com", password_hash="-"))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_in_the_middle()
    assert emails() == []


def test_concurrent_writers_wait() -> None:
    together = Barrier(8)

    def write(number: int) -> None:
        together.wait()
        for step in range(5):
            with transaction() as session:
                session.exec(select(User.id)).all()  # SQLite refuses to upgrade a reading transaction
                session.add(User(email=f"{number}-{step}@example.com", password_hash="-"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    assert len(emails()) == 40


def test_an_address_is_taken_once_however_many_ask_at_once() -> None:
    together = Barrier(4)

    def register(_number: int) -> bool:
        together.wait()
        try:
            accounts.register("anna@example.com", "correct horse")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(register, range(4))) == [False, False, False, True]
    assert emails() == ["anna@example.com"]


def test_a_user_who_registers_beside_the_first_is_no_admin() -> None:
    with ThreadPoolExecutor(1) as other:
        with transaction() as session:
            db.advisory_lock(session, "register")
            session.add(User(email="first@example.com", password_hash="-", is_admin=True))
            second = other.submit(accounts.register, "second@example.com", "correct horse")
            assert waits(second)
        assert not second.result().user.is_admin


def test_a_script_that_is_being_ordered_cannot_be_changed(anna: Caller) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    with ThreadPoolExecutor(1) as other:
        with transaction() as session:
            video = session.get_one(Video, draft.video_id)
            assert lifecycle.transition(session, video, Status.GENERATING)
            saving = other.submit(scripts.update_draft, anna, draft.video_id, {"hook": "Too late"})
            assert waits(saving)
        with pytest.raises(Conflict):
            saving.result()
    assert scripts.read(anna, draft.video_id).hook == ""


def test_a_video_without_an_owner_is_refused() -> None:
    def orphan() -> None:
        with transaction() as session:
            session.add(lifecycle.new_video("nobody", Status.DRAFT, "A title"))

    with pytest.raises(IntegrityError):
        orphan()


def test_only_one_of_several_workers_claims_a_video(anna: Caller) -> None:
    scripts_view = scripts.write_draft(anna, BRIEF)
    together = Barrier(4)

    def claim(_number: int) -> bool:
        with reading() as session:
            video = session.get_one(Video, scripts_view.video_id)
        together.wait()
        with transaction() as session:
            return lifecycle.transition(session, video, Status.GENERATING, attempt=video.attempt + 1)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(claim, range(4))) == [False, False, False, True]


def test_times_come_back_as_they_went_in_utc(anna: Caller) -> None:
    moment = datetime(2026, 1, 26, 12, 15, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    with transaction() as session:
        session.get_one(User, anna.user_id).last_seen_at = moment
    with reading() as session:
        back = session.get_one(User, anna.user_id).last_seen_at
    assert back == moment
    assert back.utcoffset() == timedelta(0) == datetime.now(UTC).utcoffset()


def test_sizes_may_be_larger_than_two_gibibytes(anna: Caller) -> None:
    video_id = scripts.write_draft(anna, BRIEF).video_id
    with transaction() as session:
        session.get_one(Video, video_id).size = 5 * 1024**4
    with reading() as session:
        assert session.get_one(Video, video_id).size == 5 * 1024**4


def test_a_draft_is_written_changed_listed_and_moved(anna: Caller) -> None:
    draft = scripts.write_draft(anna, BRIEF)
    scripts.update_draft(anna, draft.video_id, {"hook": "Look at this 🫖"})
    assert scripts.read(anna, draft.video_id).hook == "Look at this 🫖"
    with transaction() as session:
        video = session.get_one(Video, draft.video_id)
        assert lifecycle.transition(session, video, Status.GENERATING, actor_id=anna.user_id, why="asked for")
    found = list_videos(anna, anna.user_id, GalleryQuery(q="KETTLE"))
    assert [video.video_id for video in found.videos] == [draft.video_id]
    assert (found.processing_count, found.total_count) == (1, 1)
    with reading() as session:
        event = session.exec(select(Event).where(Event.kind == "status")).one()
    assert event.detail == {"from": "draft", "to": "generating", "why": "asked for", "by": "person"}


@pytest.mark.usefixtures("jobs")
def test_the_api_makes_stores_lists_and_deletes_a_video(
    moto_s3: object, database: str, make_user: MakeUser, generator: Generator, mp4: bytes
) -> None:
    del moto_s3, database
    ada = make_user("ada@example.com")
    video_id = generate(ada).json()["data"]["videoId"]
    stored = store(ada, generator.file("other.mp4")).json()["data"]
    assert stored["size"] == len(mp4)
    eventually(lambda: gallery(ada)["readyCount"] == 2)
    titles = [video["title"] for video in gallery(ada, sort="title")["videos"]]
    assert titles == ["other", "Video prompt"]
    assert httpx.get(gallery(ada)["videos"][0]["downloadUrl"]).content == mp4
    assert report(ada.api, ada, video_id, "ready").status_code == 200
    assert delete(ada, video_id).status_code == 200
    assert gallery(ada)["totalCount"] == 1
