"""Two workers that wake at the same moment share six videos with two tasks each."""

import pytest

from tests.reliability.conftest import Workers
from tests.reliability.outcomes import RACE, Outcomes
from tests.support.misbehaving_server import MIB, ServerBehaviour, payload
from tests.support.product import House, video_id_of

pytestmark = [pytest.mark.process]  # under heavy load

VIDEOS = 3  # to generate, and as many to store
CLAIMS = "SELECT id FROM events WHERE kind = 'status' AND video_id = ? AND json_extract(detail, '$.why') = 'claimed'"
DOUBLE = "INSERT INTO task (queue, data, priority) SELECT queue, data, priority FROM task"


def test_each_video_is_ordered_once_and_stored_once(
    house: House, workers: Workers, outcomes: Outcomes
) -> None:
    person = house.new_person()
    one, two = workers.running(2)
    first = person.store(house.world.source.serve("/first.mp4", ServerBehaviour(size=MIB)))
    house.wait_for(first, "ready")  # at least one of them has started
    house.pause(one, two)
    generated, stored = _generated(house), _stored(house)
    house.rows(DOUBLE, database="queue.db")
    one.go_on()
    two.go_on()
    for video_id in generated + stored:
        house.wait_for(video_id, "ready")
        assert len(house.rows(CLAIMS, video_id)) == 1
        kind = "queued" if video_id in stored else "generating"
        outcomes.record(f"{kind}: two tasks for one video", RACE, video_id, "stored once")


def _generated(house: House) -> list[str]:
    videos = [video_id_of(house.new_person().generate()) for _ in range(VIDEOS)]
    house.films.update(dict.fromkeys(videos, house.world.film))
    return videos


def _stored(house: House) -> list[str]:
    person = house.new_person()
    urls = [
        house.world.source.serve(f"/race-{n}.mp4", ServerBehaviour(size=MIB, seed=n)) for n in range(VIDEOS)
    ]
    videos = [person.store(url) for url in urls]
    house.films.update({video_id: payload(MIB, seed) for seed, video_id in enumerate(videos)})
    return videos
