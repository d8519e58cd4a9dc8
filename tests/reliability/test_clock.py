"""A clock set an hour ahead or back: all recorded times become that much older or newer."""

import pytest

from tests.reliability.conftest import Workers
from tests.reliability.outcomes import AHEAD, BACK, Outcomes
from tests.reliability.stages import Stages, being_rendered, report_ready
from tests.support.product import House

pytestmark = [pytest.mark.process]  # under heavy load

TAKEN_BACK = (
    "SELECT id FROM events WHERE kind = 'status' AND video_id = ? AND json_extract(detail, '$.by') = 'repair'"
)


def test_heartbeats_from_the_future_do_not_block_a_dead_workers_video(
    house: House, workers: Workers, outcomes: Outcomes
) -> None:
    """That worker is not dead: it wakes up during another worker's transfer, and does not disturb it."""
    sleeper, other = workers.running(2)
    house.pause(other)
    video_id = Stages(house).after_two_parts()
    house.pause(sleeper)
    house.world.proxy.drop_held()
    house.clock_jumps(hours=-1)
    other.go_on()
    house.until(lambda: house.rows(TAKEN_BACK, video_id))
    sleeper.go_on()
    house.wait_for(video_id, "ready")
    outcomes.record("storing: its worker is paused and continues later", BACK, video_id, "stored once")


def test_a_deadline_skipped_by_the_clock_loses_no_render(
    house: House, workers: Workers, outcomes: Outcomes
) -> None:
    workers.running(2)
    order = being_rendered(house)
    house.clock_jumps(hours=1)
    house.wait_for(order["videoId"], "failed")
    assert report_ready(house, order).status_code == 202
    house.wait_for(order["videoId"], "ready")
    more = "failed at its deadline, then its callback brought the video"
    outcomes.record("generating: asked, not answered yet", AHEAD, order["videoId"], more)
