"""A call under an idempotency key runs once, on SQLite and PostgreSQL."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import TypeVar

import pytest
from sqlmodel import select, update

from tests.services.conftest import SCRIPT
from tests.support.installation import Configure
from tests.support.keys import OTHER_KEY
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import Conflict, InvalidInput, RequestInProgress
from videovault.models import IdempotencyKey, Status, Video
from videovault.services.core import idempotency
from videovault.services.core.access import Caller
from videovault.services.core.idempotency import Answer, Call, Claim
from videovault.services.generation import orders, scripts
from videovault.services.maintenance import repair
from videovault.services.videos import gallery

pytestmark = pytest.mark.usefixtures("database")
T = TypeVar("T")
AT_ONCE = 4
ANSWER = Answer(200, '{"data": {"secretKey": "quite-secret"}}')
URL = "http://127.0.0.1:9/film.mp4"


@pytest.fixture(autouse=True)
def _configured(configure: Configure) -> None:
    configure(
        SCRIPT_WEBHOOK_URL="", VIDEO_WEBHOOK_URL="http://127.0.0.1:9/", SOURCE_ALLOW_HOSTS="127.0.0.1:9"
    )


@pytest.fixture
def call(anna: Caller) -> Call:
    return Call(anna.user_id, "download", "key-1", '{"videoUrl": "a"}')


def claim_of(call: Call) -> Claim:
    claim = idempotency.begin(call)
    assert isinstance(claim, Claim)
    return claim


def set_video(claim: Claim, video_id: str = "video_1_a") -> None:
    with transaction() as session:
        idempotency.remember(session, claim, video_id)


def entries() -> Sequence[IdempotencyKey]:
    with reading() as session:
        return session.exec(select(IdempotencyKey)).all()


def age_entries(time: timedelta) -> None:
    (entry,) = entries()
    earlier = {"created_at": entry.created_at - time, "lease_until": entry.lease_until - time}
    with transaction() as session:
        session.exec(update(IdempotencyKey).values(**earlier))


def in_parallel(act: Callable[[], T]) -> list[T | Exception]:
    """The results of several threads that call ``act`` at the same time."""
    start = Barrier(AT_ONCE)

    def one(_number: int) -> T | Exception:
        start.wait()
        try:
            return act()
        except Conflict as error:
            return error

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(one, range(AT_ONCE)))


def test_the_same_call_is_answered_as_before(call: Call) -> None:
    claim = claim_of(call)
    set_video(claim)
    idempotency.finish(claim, "video_1_a", ANSWER)
    assert idempotency.begin(call) == idempotency.begin(call) == ANSWER


def test_stored_answers_reveal_no_secret(call: Call) -> None:
    claim = claim_of(call)
    set_video(claim)
    idempotency.finish(claim, "video_1_a", ANSWER)
    (entry,) = entries()
    assert "quite-secret" not in str(entry)
    assert "videoUrl" not in str(entry)


def test_an_answer_that_cannot_be_unsealed_is_made_again_for_the_same_video(
    call: Call, configure: Configure
) -> None:
    claim = claim_of(call)
    set_video(claim)
    idempotency.finish(claim, "video_1_a", ANSWER)
    configure(SECRET_KEY=OTHER_KEY)
    assert claim_of(call).video_id == "video_1_a"


def test_a_call_in_progress_is_a_conflict_with_a_retry_time(call: Call) -> None:
    claim_of(call)
    with pytest.raises(RequestInProgress) as caught:
        idempotency.begin(call)
    assert caught.value.code == "CONFLICT"
    assert caught.value.retry_after > 0


def test_only_one_of_several_concurrent_calls_runs(call: Call) -> None:
    got = in_parallel(lambda: idempotency.begin(call))
    assert sorted(type(one).__name__ for one in got) == ["Claim", *["RequestInProgress"] * (AT_ONCE - 1)]


@pytest.mark.parametrize("answered", [False, True])
def test_the_same_key_for_another_request_is_refused(call: Call, *, answered: bool) -> None:
    claim = claim_of(call)
    if answered:
        set_video(claim)
        idempotency.finish(claim, "video_1_a", ANSWER)
    with pytest.raises(InvalidInput) as caught:
        idempotency.begin(replace(call, request='{"videoUrl": "b"}'))
    assert list(caught.value.fields) == ["Idempotency-Key"]


def test_a_key_belongs_to_one_user_and_one_endpoint(call: Call, bert: Caller) -> None:
    for other in (call, replace(call, endpoint="generate-video"), replace(call, user_id=bert.user_id)):
        claim_of(other)
    assert len(entries()) == 3


def test_a_call_whose_holder_died_is_taken_over_with_its_video(call: Call) -> None:
    set_video(claim_of(call))
    age_entries(idempotency.LEASE)
    got = in_parallel(lambda: idempotency.begin(call))
    (claim,) = [one for one in got if isinstance(one, Claim)]
    assert claim.video_id == "video_1_a"


def test_a_renewed_lease_keeps_others_out(call: Call) -> None:
    claim = claim_of(call)
    age_entries(idempotency.LEASE)
    idempotency.renew({claim.holder})
    with pytest.raises(RequestInProgress):
        idempotency.begin(call)


def test_a_holder_whose_lease_expired_creates_no_second_video(call: Call, anna: Caller) -> None:
    late = claim_of(call)
    age_entries(idempotency.LEASE)
    second = claim_of(call)
    enqueued: list[str] = []
    kept = gallery.store_link(anna, URL, anna.email, enqueue=enqueued.append, claim=second)
    with pytest.raises(Conflict):
        gallery.store_link(anna, f"{URL}?late", anna.email, enqueue=enqueued.append, claim=late)
    idempotency.finish(late, kept.video_id, Answer(422, "{}"))
    idempotency.release(late)
    assert enqueued == [kept.video_id]
    with reading() as session:
        assert session.exec(select(Video.id)).all() == [kept.video_id]
    (entry,) = entries()
    assert (entry.holder, entry.video_id, entry.status_code) == (second.holder, kept.video_id, None)


def test_a_call_that_did_nothing_does_not_use_up_its_key(call: Call) -> None:
    idempotency.release(claim_of(call))
    assert entries() == []
    claim_of(replace(call, request="something else"))


def test_a_call_that_failed_after_creating_its_video_is_continued(call: Call) -> None:
    claim = claim_of(call)
    set_video(claim)
    idempotency.release(claim)
    assert claim_of(call).video_id == "video_1_a"


def test_a_key_can_be_reused_after_a_day_whether_purged_or_not(call: Call) -> None:
    claim = claim_of(call)
    set_video(claim)
    idempotency.finish(claim, "video_1_a", ANSWER)
    age_entries(idempotency.KEY_LIFETIME - timedelta(minutes=1))
    idempotency.purge()
    assert idempotency.begin(call) == ANSWER
    age_entries(timedelta(minutes=2))
    assert claim_of(replace(call, request="something else")).video_id == ""


@pytest.mark.usefixtures("moto_s3")
def test_clean_up_deletes_keys_after_a_day_except_those_in_progress(call: Call) -> None:
    claim = claim_of(call)
    age_entries(idempotency.KEY_LIFETIME + timedelta(minutes=1))
    idempotency.renew({claim.holder})
    repair.clean_up()
    assert len(entries()) == 1
    age_entries(idempotency.LEASE)
    repair.clean_up()
    assert entries() == []


def test_two_clicks_at_once_start_one_attempt(anna: Caller) -> None:
    draft = scripts.write_draft(anna, {"topic": "Bread", "avatar": "Anna"})
    enqueued: list[str] = []
    got = in_parallel(lambda: orders.request(anna, SCRIPT, draft.video_id, enqueue=enqueued.append))
    assert [getattr(view, "status", view) for view in got] == ["processing"] * AT_ONCE
    assert enqueued == [draft.video_id]
    with reading() as session:
        video = session.get_one(Video, draft.video_id)
    assert (video.status, video.attempt) == (Status.GENERATING, 1)


def test_concurrent_imports_of_one_url_make_one_video(anna: Caller) -> None:
    enqueued: list[str] = []
    got = in_parallel(lambda: gallery.store_link(anna, URL, anna.email, enqueue=enqueued.append))
    assert [getattr(view, "video_id", view) for view in got] == enqueued * AT_ONCE


def test_the_same_url_of_two_users_makes_two_videos(anna: Caller, bert: Caller) -> None:
    enqueued: list[str] = []
    for caller in (anna, bert):
        gallery.store_link(caller, URL, caller.email, enqueue=enqueued.append)
    assert len(set(enqueued)) == 2


def test_statuses_are_those_of_the_videos_that_are_there(anna: Caller) -> None:
    draft = scripts.write_draft(anna, {"topic": "Bread", "avatar": "Anna"})
    assert gallery.statuses([draft.video_id, "video_1_gone"]) == {draft.video_id: Status.DRAFT}


def test_a_lease_ends_in_the_future(call: Call) -> None:
    claim_of(call)
    (entry,) = entries()
    assert utcnow() < entry.lease_until <= utcnow() + idempotency.LEASE
