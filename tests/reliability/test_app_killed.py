"""The app killed by SIGKILL during calls: what was committed continues, and callers may retry."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from tests.reliability.conftest import Workers
from tests.reliability.outcomes import APP, Outcomes
from tests.reliability.stages import being_rendered, order_of, report_ready
from tests.support.misbehaving_server import MIB, ServerBehaviour, payload
from tests.support.product import House, Person, video_id_of
from tests.support.waiting import HANG_SECONDS

pytestmark = [pytest.mark.process]  # under heavy load

ASKED = "SELECT id FROM videos WHERE owner_id = ?"
FILM = ServerBehaviour(size=MIB)
TOPIC = "A lamp that was thought of when the power went"
TAKEN_SECONDS = 0.5


@dataclass(frozen=True)
class Interrupted:
    """A user, the video of their call when the app died, if it had a row, and the call."""

    person: Person
    video_id: str
    response: "Future[httpx.Response]"


Calls = dict[str, Interrupted]


@pytest.fixture(scope="module")
def interrupted(house: House, workers: Workers) -> Iterator[Calls]:
    """Five calls were in progress; the app is dead, a new one and a worker are running."""
    [worker] = workers.running(1)
    with ThreadPoolExecutor() as callers:
        calls = {"waiting": _waiting(house, callers), "deleting": _deleting(house, callers)}
        order, writer = being_rendered(house), house.new_person()
        worker.kill()  # so that no other process uses the queue
        with house.locked("queue.db"):
            calls["committed"] = _committed(house, callers)
            with house.locked():
                calls["reported"] = Interrupted(
                    writer, order["videoId"], callers.submit(report_ready, house, order)
                )
                calls["scripted"] = _scripted(house, writer, callers)
                time.sleep(TAKEN_SECONDS)  # whether it waits for the database is not visible from outside
                house.kill_app()
        assert all(isinstance(each.response.exception(), httpx.TransportError) for each in calls.values())
        house.world.generator.choose = None
        house.world.proxy.drop_held()
        house.world.source.serve("/waiting.mp4", FILM)
        house.leases_run_out()
        house.age("idempotency_keys", "lease_until")
        house.start_app()
        workers.running(1)
        yield calls


def test_a_video_committed_but_not_enqueued_is_processed(
    house: House, interrupted: Calls, outcomes: Outcomes
) -> None:
    lost = interrupted["committed"]
    house.wait_for(lost.video_id, "ready")
    outcomes.record("generating: committed, not enqueued yet", APP, lost.video_id)


def test_a_callback_that_was_not_committed_is_accepted_when_repeated(
    house: House, interrupted: Calls, outcomes: Outcomes
) -> None:
    lost = interrupted["reported"]
    assert house.row(lost.video_id)["status"] == "generating"
    assert report_ready(house, order_of(house, lost.video_id)).status_code == 202
    house.wait_for(lost.video_id, "ready")
    outcomes.record(
        "generating: its callback is accepted, not recorded yet",
        APP,
        lost.video_id,
        "the callback came again",
    )


def test_a_script_that_was_not_committed_is_written_on_the_next_request(
    house: House, interrupted: Calls, outcomes: Outcomes
) -> None:
    lost = interrupted["scripted"]
    assert not house.rows(ASKED, lost.person.user_id)
    video_id = video_id_of(lost.person.write_script(TOPIC))
    assert house.rows(ASKED, lost.person.user_id) == [{"id": video_id}]
    outcomes.record("script: answered, not recorded yet", APP, video_id, "its owner asked for it again")


def test_a_repeated_request_with_the_same_key_returns_the_same_video(
    house: House, interrupted: Calls, outcomes: Outcomes
) -> None:
    lost = interrupted["waiting"]
    answer = _call(lost.person, house.world.source.origin + "/waiting.mp4")
    assert (answer.status_code, answer.json()["data"]["videoId"]) == (200, lost.video_id)
    assert len(house.rows(ASKED, lost.person.user_id)) == 1
    outcomes.record(
        "storing: a caller waits for it",
        APP,
        lost.video_id,
        "the same Idempotency-Key answers with this video",
    )


def test_a_deletion_is_finished_by_the_worker(house: House, interrupted: Calls, outcomes: Outcomes) -> None:
    lost = interrupted["deleting"]
    house.until(lambda: not house.row(lost.video_id))
    outcomes.record("deleting: S3 is being asked to delete", APP, lost.video_id)


def _committed(house: House, callers: ThreadPoolExecutor) -> Interrupted:
    """The row is committed, and the task waits for the locked queue."""
    person = house.new_person()
    return _interrupted(house, person, callers.submit(person.generate))


def _scripted(house: House, person: Person, callers: ThreadPoolExecutor) -> Interrupted:
    """The generator has written the script, which waits for the locked database."""
    call = callers.submit(person.write_script, TOPIC)
    house.until(lambda: any(asked.get("topic") == TOPIC for asked in house.world.generator.requests))
    return Interrupted(person, "", call)


def _waiting(house: House, callers: ThreadPoolExecutor) -> Interrupted:
    person = house.new_person()
    url = house.world.source.serve("/waiting.mp4", ServerBehaviour(size=MIB, stall_after=MIB // 2))
    interrupted = _interrupted(house, person, callers.submit(_call, person, url))
    house.films[interrupted.video_id] = payload(MIB)
    house.wait_for(interrupted.video_id, "storing")
    return interrupted


def _deleting(house: House, callers: ThreadPoolExecutor) -> Interrupted:
    person = house.new_person()
    video_id = person.store(house.world.source.serve("/deleting.mp4", FILM))
    house.wait_for(video_id, "ready")
    held = house.world.proxy.hold("DeleteObject", video_id)
    call = callers.submit(person.delete, video_id)
    assert held.arrived.wait(HANG_SECONDS)
    return Interrupted(person, video_id, call)


def _interrupted(house: House, person: Person, call: "Future[httpx.Response]") -> Interrupted:
    house.until(lambda: house.rows(ASKED, person.user_id))
    video_id = str(house.rows(ASKED, person.user_id)[0]["id"])
    house.films[video_id] = house.world.film
    return Interrupted(person, video_id, call)


def _call(person: Person, url: str) -> httpx.Response:
    """A client that waits until the video is stored."""
    body, key = {"videoUrl": url, "userEmail": person.email}, {"Idempotency-Key": "the one"}
    return person.api.post("/api/auth/video/download", json=body, headers=key)
