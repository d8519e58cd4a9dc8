"""A clock that is set an hour ahead or back, which is as if all that was written down were as much older or newer."""

import pytest

from tests.reliability.evidence import AHEAD, BACK, Witness
from tests.reliability.stages import Stages, being_rendered, report_ready
from tests.support.product import House

pytestmark = [pytest.mark.process]  # beside a heavy load

TAKEN_BACK = (
    "SELECT id FROM events WHERE kind = 'status' AND video_id = ? AND json_extract(detail, '$.by') = 'repair'"
)


def test_heartbeats_from_the_future_keep_nobody_from_a_dead_worker_s_video(
    house: House, witness: Witness
) -> None:
    """That worker is not dead either: it wakes up in the middle of another's work, and leaves that alone."""
    with house.worker() as sleeper, house.worker() as other:
        house.pause(other)
        video_id = Stages(house).after_two_parts()
        house.pause(sleeper)
        house.world.proxy.drop_held()
        house.clock_jumps(hours=-1)
        other.go_on()
        house.until(lambda: house.rows(TAKEN_BACK, video_id))
        sleeper.go_on()
        house.wait_for(video_id, "ready")
        witness.saw("storing: its worker is paused, and goes on later", BACK, video_id, "stored once")


def test_a_deadline_that_the_clock_jumps_over_costs_no_render(house: House, witness: Witness) -> None:
    with house.worker():
        order = being_rendered(house)
        house.clock_jumps(hours=1)
        house.wait_for(order["videoId"], "failed")
        assert report_ready(house, order).status_code == 202
        house.wait_for(order["videoId"], "ready")
        more = "failed at its deadline, then its callback brought the video"
        witness.saw("generating: asked, not answered yet", AHEAD, order["videoId"], more)
