"""A clock that is set an hour ahead or back, which is as if all that was written down were as much older or newer."""

from tests.fixtures.house import House
from tests.fixtures.naughty_server import Manners, payload
from tests.reliability.evidence import AHEAD, BACK, Witness
from tests.reliability.orders import being_rendered, report_ready
from tests.reliability.stages import STALLS_AT, THREE_PARTS

TAKEN_BACK = (
    "SELECT id FROM events WHERE kind = 'status' AND video_id = ? AND json_extract(detail, '$.by') = 'repair'"
)


def test_heartbeats_from_the_future_keep_nobody_from_a_dead_worker_s_video(
    house: House, witness: Witness
) -> None:
    """That worker is not dead either: it wakes up in the middle of another's work, and leaves that alone."""
    source, manners = house.world.source, Manners(size=THREE_PARTS)
    person = house.new_person()
    with house.worker() as sleeper, house.worker() as other:
        other.pause()
        video_id = person.store(source.serve("/clock.mp4", Manners(size=THREE_PARTS, stall_after=STALLS_AT)))
        house.films[video_id] = payload(THREE_PARTS)
        house.until(lambda: len(house.rows("SELECT 1 FROM upload_parts WHERE video_id = ?", video_id)) == 2)
        sleeper.pause()
        source.serve("/clock.mp4", manners)
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
