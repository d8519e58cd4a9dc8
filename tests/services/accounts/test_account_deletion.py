"""A deleted account is anonymous at once, and nothing of it stays, whatever fails in between."""

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from tests.support.installation import Configure
from tests.support.videos import insert_video, is_storage_empty
from videovault import db, security
from videovault.db import reading, transaction
from videovault.errors import Conflict, Forbidden, InvalidInput, NotSignedIn, WrongSecretKey
from videovault.gateways.storage import Description, Storage
from videovault.models import ApiToken, Session, Status, TestOrder, User, Video
from videovault.services.accounts import accounts, tokens
from videovault.services.admin import videos
from videovault.services.admin.videos import VideosQuery
from videovault.services.core.access import Caller, Visitor, open_video
from videovault.services.maintenance import repair
from videovault.services.videos import deletion

PASSWORD = "correct horse"


def rows(*tables: type) -> int:
    with reading() as session:
        return sum(len(session.exec(select(table)).all()) for table in tables)


def with_object(owner: Caller, status: Status, bucket: Storage) -> None:
    """A video of the owner with an object in S3."""
    video_id = insert_video(owner, status)
    bucket.put(f"videos/{owner.user_id}/{video_id}/1_a.mp4", b"film", Description("video/mp4"))


@pytest.mark.parametrize("s3_is_down", [False, True], ids=["", "S3 down"])
def test_closing_an_account_leaves_nothing(
    anna: Caller, moto_s3: Storage, configure: Configure, moto_server: str, *, s3_is_down: bool
) -> None:
    tokens.create(anna, "nightly")
    with transaction() as session:
        session.add(TestOrder(id="test", user_id=anna.user_id, steps=[{"sent": anna.email}]))
    for status in (Status.READY, Status.DRAFT, Status.FAILED, Status.GENERATING):
        with_object(anna, status, moto_s3)
    if s3_is_down:
        configure(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    accounts.close_account(anna, PASSWORD)
    assert rows(Session, ApiToken, TestOrder) == 0
    assert rows(User, Video) == 5
    with reading() as session:
        assert not [user for user in session.exec(select(User)) if "anna" in user.email or user.is_active]
    repair.repair(enqueue=lambda _video_id: None)
    assert rows(User, Video) == (5 if s3_is_down else 1)
    configure(AWS_ENDPOINT_URL_S3=moto_server)
    repair.repair(enqueue=lambda _video_id: None)
    repair.repair(enqueue=lambda _video_id: None)
    assert rows(User, Video) == 0
    assert is_storage_empty()


def test_a_video_requested_at_that_moment_is_deleted_too(
    anna: Caller, moto_s3: Storage, configure: Configure
) -> None:
    del moto_s3
    insert_video(anna, Status.READY)
    configure(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    accounts.close_account(anna, PASSWORD)
    late = insert_video(anna, Status.QUEUED)
    accounts.finish_closing()
    with reading() as session:
        assert session.get_one(Video, late).status == Status.DELETING


@contextmanager
def before_changes_of_videos(act: Callable[[], object]) -> Iterator[None]:
    """Calls ``act`` before each statement that changes a video."""

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if statement.startswith("UPDATE videos"):
            act()

    event.listen(db.engine(), "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(db.engine(), "before_cursor_execute", note)


def test_others_can_write_between_batches_of_its_videos(
    anna: Caller, moto_s3: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    del moto_s3
    monkeypatch.setattr(deletion, "BATCH_SIZE", 2)
    for status in (*[Status.DRAFT] * 5, Status.READY):
        insert_video(anna, status)
    changes: list[str] = []
    event.listen(db.engine(), "commit", lambda _: changes.append("commit"))
    accounts.close_account(anna, PASSWORD)
    with before_changes_of_videos(lambda: changes.append("video")):
        accounts.finish_closing()
    batches = [batch.count("video") for batch in " ".join(changes).split("commit")]
    assert [number for number in batches if number] == [1, 2, 2, 1]


def test_closing_waits_for_no_store(anna: Caller, configure: Configure) -> None:
    """Thousands of objects would keep the caller waiting for minutes."""
    insert_video(anna, Status.READY)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        configure(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{silent.getsockname()[1]}")
        accounts.close_account(anna, PASSWORD)
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert rows(User, Video) == 2


def test_a_round_of_deletions_ends_and_the_next_one_continues(
    anna: Caller, moto_s3: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "ROUND_SECONDS", -1.0)
    with_object(anna, Status.DELETING, moto_s3)
    deletion.finish_pending()
    assert rows(Video) == 1
    monkeypatch.setattr(deletion, "ROUND_SECONDS", 20.0)
    deletion.finish_pending()
    assert (rows(Video), is_storage_empty()) == (0, True)


def test_it_is_closed_to_all_even_if_the_database_fails_before_its_videos_are_deleted(
    anna: Caller, bert: Caller, moto_s3: Storage
) -> None:
    del moto_s3
    video_id = insert_video(bert, Status.READY)
    visitor = Visitor(secret_key(video_id))
    with reading() as session:
        assert open_video(session, visitor, video_id, "watch")

    def fail() -> None:
        locked = sqlite3.OperationalError("database is locked")
        locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise OperationalError("UPDATE", {}, locked)

    with before_changes_of_videos(fail):
        accounts.close_account(bert, PASSWORD)
    with pytest.raises(NotSignedIn):
        accounts.login(bert.email, PASSWORD)
    with reading() as session, pytest.raises(WrongSecretKey):
        open_video(session, visitor, video_id, "watch")
    assert not videos.find_videos(anna, VideosQuery()).videos
    assert not videos.find_videos(anna, VideosQuery(sort="owner")).videos
    assert not videos.list_owners(anna)
    repair.repair(enqueue=lambda _video_id: None)
    repair.repair(enqueue=lambda _video_id: None)
    assert rows(Video) == 0
    assert rows(User) == 1


def secret_key(video_id: str) -> str:
    with reading() as session:
        video = session.get_one(Video, video_id)
    return security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id) or ""


def test_its_address_can_be_reused_and_its_password_no_longer_works(anna: Caller, bert: Caller) -> None:
    del anna
    accounts.close_account(bert, PASSWORD)
    with pytest.raises(NotSignedIn):
        accounts.login(bert.email, PASSWORD)
    assert accounts.register(bert.email, PASSWORD).user.user_id != bert.user_id


def test_closing_needs_the_password_a_session_and_another_admin(anna: Caller, bert: Caller) -> None:
    with pytest.raises(InvalidInput):
        accounts.close_account(bert, "wrong horse")
    with pytest.raises(Forbidden):
        accounts.close_account(tokens.authenticate(tokens.create(bert, "nightly").token), PASSWORD)
    with pytest.raises(Conflict):
        accounts.close_account(anna, PASSWORD)
    assert rows(User) == 2
    assert accounts.me(anna).email == "anna@example.com"
