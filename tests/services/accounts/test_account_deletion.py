"""A deleted account is anonymous at once, and nothing of it stays, whatever fails in between."""

import pytest
from sqlmodel import select

from tests.support.installation import Configure
from tests.support.videos import insert_video, is_storage_empty
from videovault.db import reading, transaction
from videovault.errors import Conflict, Forbidden, InvalidInput, NotSignedIn
from videovault.gateways.storage import Description, Storage
from videovault.models import ApiToken, Session, Status, TestOrder, User, Video
from videovault.services.accounts import accounts, tokens
from videovault.services.core.access import Caller
from videovault.services.maintenance import repair

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
    assert rows(User, Video) == (5 if s3_is_down else 0)
    with reading() as session:
        assert not [user for user in session.exec(select(User)) if "anna" in user.email or user.is_active]
    configure(AWS_ENDPOINT_URL_S3=moto_server)
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
