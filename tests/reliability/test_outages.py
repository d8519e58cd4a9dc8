"""A locked database and an unavailable S3 only cost time."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.reliability.conftest import Workers
from tests.reliability.outcomes import DATABASE, S3, Outcomes
from tests.reliability.stages import being_rendered, report_ready
from tests.support.misbehaving_server import MIB, ServerBehaviour, payload
from tests.support.product import House, Person
from videovault.services.transfer.engine.types import PART_BYTES

pytestmark = [pytest.mark.process]  # under heavy load

LOCKED_SECONDS = 10.0
AWAY_SECONDS = 3.0
SIZE = PART_BYTES + MIB


@pytest.fixture(scope="module", autouse=True)
def _worker(workers: Workers) -> None:
    workers.running(2)


def test_a_locked_database_delays_a_transfer_and_a_callback_without_failing_them(
    house: House, outcomes: Outcomes
) -> None:
    order = being_rendered(house)
    stored = _being_stored(house, house.new_person(), "/locked.mp4")
    with ThreadPoolExecutor() as callers, house.locked():
        house.world.proxy.drop_held()
        callback = callers.submit(report_ready, house, order)
        time.sleep(LOCKED_SECONDS)
        assert not callback.done()
    assert callback.result().status_code == 202
    for video_id in (stored, order["videoId"]):
        house.wait_for(video_id, "ready")
    outcomes.record("storing: in the middle", DATABASE, stored, "no other worker took it over")
    outcomes.record(
        "generating: the callback comes", DATABASE, order["videoId"], "the callback was answered 202"
    )


def test_a_transfer_waits_for_s3(house: House, outcomes: Outcomes) -> None:
    video_id = _being_stored(house, house.new_person(), "/away.mp4")
    house.world.proxy.down = True
    house.world.proxy.drop_held()
    time.sleep(AWAY_SECONDS)
    assert house.row(video_id)["status"] == "storing"
    house.world.proxy.down = False
    house.wait_for(video_id, "ready")
    outcomes.record("storing: in the middle", S3, video_id)


def test_a_deletion_without_s3_hides_the_video_at_once_and_is_finished_later(
    house: House, outcomes: Outcomes
) -> None:
    person = house.new_person()
    video_id = person.store(house.world.source.serve("/deleted.mp4", ServerBehaviour(size=MIB)))
    house.wait_for(video_id, "ready")
    house.world.proxy.down = True
    answer = person.delete(video_id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "STORAGE_FAILED")
    assert person.api.get(f"/api/auth/video/{video_id}").status_code == 404
    assert house.row(video_id)["status"] == "deleting"
    house.world.proxy.down = False
    house.until(lambda: not house.row(video_id))
    outcomes.record("ready: its owner deletes it", S3, video_id, "out of every list at once")


def _being_stored(house: House, person: Person, path: str) -> str:
    """A video whose first part is in S3; it continues once the held request is released."""
    house.world.proxy.hold("UploadPart", f"{person.user_id}.*partNumber=[^1]")
    video_id = person.store(house.world.source.serve(path, ServerBehaviour(size=SIZE)))
    house.films[video_id] = payload(SIZE)
    house.until(lambda: house.rows("SELECT number FROM upload_parts WHERE video_id = ?", video_id))
    return video_id
