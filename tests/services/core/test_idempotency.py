"""A call is done once under its key, by whoever holds it, on SQLite and PostgreSQL alike."""

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
from videovault.services.accounts import accounts
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
def anna() -> Caller:
    return accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)


@pytest.fixture
def bert(anna: Caller) -> Caller:
    del anna
    return accounts.authenticate(accounts.register("bert@example.com", "correct horse").token)


@pytest.fixture
def call(anna: Caller) -> Call:
    return Call(anna.user_id, "download", "key-1", '{"videoUrl": "a"}')


def claimed(call: Call) -> Claim:
    claim = idempotency.begin(call)
    assert isinstance(claim, Claim)
    return claim


def made(claim: Claim, video_id: str = "video_1_a") -> None:
    with transaction() as session:
        idempotency.remember(session, claim, video_id)


def entries() -> Sequence[IdempotencyKey]:
    with reading() as session:
        return session.exec(select(IdempotencyKey)).all()


def let_time_pass(time: timedelta) -> None:
    (entry,) = entries()
    earlier = {"created_at": entry.created_at - time, "lease_until": entry.lease_until - time}
    with transaction() as session:
        session.exec(update(IdempotencyKey).values(**earlier))


def together(act: Callable[[], T]) -> list[T | Exception]:
    """What several threads get that ``act`` in the same moment."""
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
    claim = claimed(call)
    made(claim)
    idempotency.finish(claim, "video_1_a", ANSWER)
    assert idempotency.begin(call) == idempotency.begin(call) == ANSWER


def test_what_is_kept_of_an_answer_shows_no_secret(call: Call) -> None:
    claim = claimed(call)
    made(claim)
    idempotency.finish(claim, "video_1_a", ANSWER)
    (entry,) = entries()
    assert "quite-secret" not in str(entry)
    assert "videoUrl" not in str(entry)


def test_an_answer_that_no_longer_opens_is_made_again_for_the_same_video(
    call: Call, configure: Configure
) -> None:
    claim = claimed(call)
    made(claim)
    idempotency.finish(claim, "video_1_a", ANSWER)
    configure(SECRET_KEY=OTHER_KEY)
    assert claimed(call).video_id == "video_1_a"


def test_a_call_that_is_still_running_is_a_conflict_that_says_when_to_ask_again(call: Call) -> None:
    claimed(call)
    with pytest.raises(RequestInProgress) as caught:
        idempotency.begin(call)
    assert caught.value.code == "CONFLICT"
    assert caught.value.retry_after > 0


def test_only_one_of_several_calls_at_once_is_carried_out(call: Call) -> None:
    got = together(lambda: idempotency.begin(call))
    assert sorted(type(one).__name__ for one in got) == ["Claim", *["StillRunning"] * (AT_ONCE - 1)]


@pytest.mark.parametrize("answered", [False, True])
def test_the_same_key_for_another_request_is_refused(call: Call, *, answered: bool) -> None:
    claim = claimed(call)
    if answered:
        made(claim)
        idempotency.finish(claim, "video_1_a", ANSWER)
    with pytest.raises(InvalidInput) as caught:
        idempotency.begin(replace(call, request='{"videoUrl": "b"}'))
    assert list(caught.value.fields) == ["Idempotency-Key"]


def test_a_key_is_its_users_and_its_endpoints_own(call: Call, bert: Caller) -> None:
    for other in (call, replace(call, endpoint="generate-video"), replace(call, user_id=bert.user_id)):
        claimed(other)
    assert len(entries()) == 3


def test_a_call_whose_holder_died_is_taken_over_by_one_with_the_video_it_made(call: Call) -> None:
    made(claimed(call))
    let_time_pass(idempotency.LEASE)
    got = together(lambda: idempotency.begin(call))
    (claim,) = [one for one in got if isinstance(one, Claim)]
    assert claim.video_id == "video_1_a"


def test_a_renewed_lease_keeps_others_out(call: Call) -> None:
    claim = claimed(call)
    let_time_pass(idempotency.LEASE)
    idempotency.renew({claim.holder})
    with pytest.raises(RequestInProgress):
        idempotency.begin(call)


def test_a_holder_that_was_thought_dead_makes_no_second_video(call: Call, anna: Caller) -> None:
    late = claimed(call)
    let_time_pass(idempotency.LEASE)
    second = claimed(call)
    told: list[str] = []
    kept = gallery.store_link(anna, URL, anna.email, enqueue=told.append, claim=second)
    with pytest.raises(Conflict):
        gallery.store_link(anna, f"{URL}?late", anna.email, enqueue=told.append, claim=late)
    idempotency.finish(late, kept.video_id, Answer(422, "{}"))
    idempotency.release(late)
    assert told == [kept.video_id]
    with reading() as session:
        assert session.exec(select(Video.id)).all() == [kept.video_id]
    (entry,) = entries()
    assert (entry.holder, entry.video_id, entry.status_code) == (second.holder, kept.video_id, None)


def test_a_call_that_did_nothing_does_not_use_up_its_key(call: Call) -> None:
    idempotency.release(claimed(call))
    assert entries() == []
    claimed(replace(call, request="something else"))


def test_a_call_that_broke_off_after_its_video_was_made_is_gone_on_with(call: Call) -> None:
    claim = claimed(call)
    made(claim)
    idempotency.release(claim)
    assert claimed(call).video_id == "video_1_a"


def test_a_key_is_free_again_after_a_day_whether_purged_or_not(call: Call) -> None:
    claim = claimed(call)
    made(claim)
    idempotency.finish(claim, "video_1_a", ANSWER)
    let_time_pass(idempotency.KEY_LIFETIME - timedelta(minutes=1))
    idempotency.purge()
    assert idempotency.begin(call) == ANSWER
    let_time_pass(timedelta(minutes=2))
    assert claimed(replace(call, request="something else")).video_id == ""


@pytest.mark.usefixtures("moto_s3")
def test_tidying_forgets_keys_after_a_day_but_none_that_is_running(call: Call) -> None:
    claim = claimed(call)
    let_time_pass(idempotency.KEY_LIFETIME + timedelta(minutes=1))
    idempotency.renew({claim.holder})
    repair.clean_up()
    assert len(entries()) == 1
    let_time_pass(idempotency.LEASE)
    repair.clean_up()
    assert entries() == []


def test_two_clicks_at_once_start_one_attempt(anna: Caller) -> None:
    draft = scripts.write_draft(anna, {"topic": "Bread", "avatar": "Anna"})
    told: list[str] = []
    got = together(lambda: orders.request(anna, SCRIPT, draft.video_id, enqueue=told.append))
    assert [getattr(view, "status", view) for view in got] == ["processing"] * AT_ONCE
    assert told == [draft.video_id]
    with reading() as session:
        video = session.get_one(Video, draft.video_id)
    assert (video.status, video.attempt) == (Status.GENERATING, 1)


def test_one_address_asked_for_several_times_at_once_is_one_video(anna: Caller) -> None:
    told: list[str] = []
    got = together(lambda: gallery.store_link(anna, URL, anna.email, enqueue=told.append))
    assert [getattr(view, "video_id", view) for view in got] == told * AT_ONCE


def test_the_same_address_of_two_people_is_two_videos(anna: Caller, bert: Caller) -> None:
    told: list[str] = []
    for caller in (anna, bert):
        gallery.store_link(caller, URL, caller.email, enqueue=told.append)
    assert len(set(told)) == 2


def test_statuses_are_those_of_the_videos_that_are_there(anna: Caller) -> None:
    draft = scripts.write_draft(anna, {"topic": "Bread", "avatar": "Anna"})
    assert gallery.statuses([draft.video_id, "video_1_gone"]) == {draft.video_id: Status.DRAFT}


def test_times_of_a_lease_are_in_the_future(call: Call) -> None:
    claimed(call)
    (entry,) = entries()
    assert utcnow() < entry.lease_until <= utcnow() + idempotency.LEASE
