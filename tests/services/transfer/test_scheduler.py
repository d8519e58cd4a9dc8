"""The scheduler on one machine and on many, on SQLite and PostgreSQL."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from tests.services.conftest import Row
from tests.support.installation import Configure
from tests.support.videos import finish_video, insert_video
from videovault import clock
from videovault.clock import db_now, read_db_now
from videovault.db import transaction
from videovault.models import Status, Video
from videovault.services.core.access import Caller
from videovault.services.core.lifecycle import LEASE_SECONDS
from videovault.services.maintenance import repair
from videovault.services.transfer import scheduler

pytestmark = pytest.mark.usefixtures("database")


def claimed() -> str | None:
    video = scheduler.claim()
    return video.id if video else None


def beat(video_id: str, seconds: float) -> None:
    """Set its last heartbeat to this many seconds ago, by the database's clock."""
    with transaction() as session:
        video = session.get_one(Video, video_id)
        video.heartbeat_at = read_db_now(session) - timedelta(seconds=seconds)


def test_one_users_many_videos_do_not_delay_another_users_video(
    anna: Caller, bert: Caller, configure: Configure
) -> None:
    configure(RUNNING_PER_USER=0)
    many = [insert_video(anna, Status.QUEUED, ago=100 - number) for number in range(20)]
    one = insert_video(bert, Status.QUEUED)
    assert [claimed(), claimed(), claimed(), claimed()] == [many[0], one, many[1], many[2]]


def test_the_longest_waiting_video_is_first_regardless_of_earlier_service(anna: Caller, bert: Caller) -> None:
    finish_video(insert_video(anna, Status.QUEUED), Status.FAILED)
    earlier = insert_video(anna, Status.QUEUED)
    finish_video(_stored(earlier), Status.READY)
    mine, berts = insert_video(anna, Status.QUEUED), insert_video(bert, Status.QUEUED)
    assert [claimed(), claimed()] == [mine, berts]


def test_a_user_has_a_limited_number_of_transfers(anna: Caller, configure: Configure) -> None:
    configure(RUNNING_PER_USER=2)
    first, second, third = (insert_video(anna, Status.QUEUED, ago=9 - number) for number in range(3))
    assert [claimed(), claimed(), claimed()] == [first, second, None]
    assert scheduler.next_queued() is None
    finish_video(first, Status.READY)
    assert scheduler.next_queued() == third
    assert claimed() == third


def test_a_video_returned_to_the_queue_keeps_its_place(anna: Caller, bert: Caller) -> None:
    first = insert_video(anna, Status.QUEUED, ago=50)
    insert_video(anna, Status.QUEUED, ago=40)
    assert claimed() == first
    finish_video(first, Status.QUEUED)
    insert_video(bert, Status.QUEUED)
    assert claimed() == first


def test_concurrent_workers_do_not_exceed_the_limit(
    anna: Caller, bert: Caller, configure: Configure, row: Row
) -> None:
    configure(RUNNING_PER_USER=2)
    for _ in range(6):
        insert_video(anna, Status.QUEUED)
    insert_video(bert, Status.QUEUED)
    together = Barrier(8)

    def work(_number: int) -> str | None:
        together.wait()
        return claimed()

    with ThreadPoolExecutor(8) as machines:
        taken = [video_id for video_id in machines.map(work, range(8)) if video_id]
    assert len(set(taken)) == len(taken)
    assert Counter(row(video_id).owner_id for video_id in taken) == {anna.user_id: 2, bert.user_id: 1}


def test_a_users_last_slot_is_claimed_once(anna: Caller, configure: Configure) -> None:
    configure(RUNNING_PER_USER=1)
    insert_video(anna, Status.QUEUED, ago=60)
    taken = insert_video(anna, Status.QUEUED, ago=50)
    with ThreadPoolExecutor(1) as machine:
        with transaction() as session:
            assert scheduler._claim(session, session.get_one(Video, taken))
            other = machine.submit(claimed)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.5)  # it waits for the lock of the first claim
        assert other.result() is None


def test_a_video_with_a_live_heartbeat_waits(anna: Caller) -> None:
    video_id = insert_video(anna, Status.QUEUED)
    beat(video_id, 1)
    assert claimed() is None
    beat(video_id, LEASE_SECONDS + 1)
    assert claimed() == video_id


def test_the_next_order_is_that_of_the_user_with_the_fewest_in_work(anna: Caller, bert: Caller) -> None:
    insert_video(anna, Status.GENERATING, ago=60, requested_at=clock.utcnow())
    mine = insert_video(anna, Status.GENERATING, ago=50)
    berts = insert_video(bert, Status.GENERATING, ago=10)
    assert scheduler.next_unrequested() == berts
    finish_video(berts, Status.FAILED)
    assert scheduler.next_unrequested() == mine


def test_only_stranded_videos_are_enqueued_again(anna: Caller, configure: Configure) -> None:
    configure(RUNNING_PER_USER=1)
    running = insert_video(anna, Status.QUEUED, ago=60)
    waiting = insert_video(anna, Status.QUEUED, ago=50)
    unasked = insert_video(anna, Status.GENERATING, ago=40)
    insert_video(anna, Status.GENERATING)  # too recent: it may just be enqueued
    assert claimed() == running
    assert scheduler.stranded() == [unasked]
    finish_video(running, Status.READY)
    assert scheduler.stranded() == [unasked, waiting]


@pytest.mark.parametrize("seconds", [LEASE_SECONDS + 5, -LEASE_SECONDS - 5])
def test_a_dead_workers_video_is_requeued_even_if_the_clock_was_set_back(
    anna: Caller, row: Row, seconds: float
) -> None:
    insert_video(anna, Status.QUEUED)
    video_id = str(claimed())
    beat(video_id, seconds)
    enqueued: list[str] = []
    scheduler.requeue_expired(enqueue=enqueued.append)
    assert (row(video_id).status, enqueued) == (Status.QUEUED, [video_id])
    assert str(claimed()) == video_id


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_with_a_wrong_clock_takes_no_living_workers_video(
    anna: Caller, row: Row, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    video_id = insert_video(anna, Status.QUEUED)
    overdue = insert_video(anna, Status.GENERATING, requested_at=clock.utcnow(), deadline_at=_in(minutes=30))
    assert claimed() == video_id

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Jumped":
            del tz
            return cls.fromtimestamp((datetime.now(UTC) + timedelta(hours=hours)).timestamp(), UTC)

    monkeypatch.setattr(clock, "datetime", Jumped)
    assert abs(clock.utcnow() - datetime.now(UTC)) > timedelta(minutes=59)
    repair.repair(enqueue=lambda _video_id: None)
    assert row(video_id).status == Status.STORING
    assert row(overdue).status == Status.GENERATING
    before = datetime.now(UTC) - timedelta(milliseconds=1)  # the database's clock has no microseconds
    with transaction() as session:
        session.get_one(Video, video_id).heartbeat_at = db_now()  # type: ignore[assignment] # evaluated by the database
    assert before <= row(video_id).heartbeat_at <= datetime.now(UTC)  # type: ignore[operator] # it is there


def _stored(video_id: str) -> str:
    assert claimed()
    return video_id


def _in(**span: float) -> datetime:
    return clock.utcnow() + timedelta(**span)
