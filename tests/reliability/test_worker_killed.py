"""A worker killed by SIGKILL with a dozen videos, each at another stage: none is lost."""

from contextlib import ExitStack

import pytest

from tests.reliability.conftest import Workers
from tests.reliability.outcomes import WORKER, Outcomes
from tests.reliability.stages import Stages, order_of, report_ready
from tests.support.product import House
from videovault.services.transfer.engine.types import PART_BYTES

pytestmark = [pytest.mark.process]  # under heavy load

# Methods of Stages. The poster comes last: a worker gives it up after a minute, and the video is ready.
NAMES = {
    "before_the_generator_answers": "generating: asked, not answered yet",
    "never_answered": "generating: asked, and never answered",
    "unanswered": "generating: asked, its owner does not wait for the deadline",
    "queued": "queued: behind two others of its user",
    "claimed": "storing: claimed, its source has not answered yet",
    "after_an_upload_was_begun": "storing: S3 has started an upload that no row has",
    "after_two_parts": "storing: two parts are stored",
    "after_complete": "storing: S3 has completed the object, its response is pending",
    "before_the_sidecar": "ready: its sidecar is not written yet",
    "deleted_while_it_is_stored": "deleting: its owner deleted it while it was stored",
    "while_its_objects_are_deleted": "deleting: S3 is being asked to delete",
    "before_the_poster": "storing: stored and proven, not ready yet",
}
ANSWERED = "generating: answered, not recorded yet"
READY = ("queued", "claimed", "after_an_upload_was_begun", "after_complete", "before_the_poster")
DELETED = ("deleted_while_it_is_stored", "while_its_objects_are_deleted")

Interrupted = dict[str, str]


@pytest.fixture(scope="module")
def stages(house: House) -> Stages:
    return Stages(house)


@pytest.fixture(scope="module")
def interrupted(house: House, workers: Workers, stages: Stages) -> Interrupted:
    """A video for each stage; their worker is dead, its leases have expired, and another worker runs."""
    [worker] = workers.running(1)
    with ExitStack() as until_killed:
        videos = {NAMES[stage]: getattr(stages, stage)() for stage in NAMES}
        videos[ANSWERED] = stages.after_the_generator_answered(until_killed)
        worker.kill()
    stages.release()
    house.leases_run_out()
    workers.running(1)
    return videos


@pytest.mark.parametrize("stage", [NAMES[stage] for stage in READY])
def test_a_video_is_taken_over_and_becomes_ready(
    house: House, interrupted: Interrupted, outcomes: Outcomes, stage: str
) -> None:
    house.wait_for(interrupted[stage], "ready")
    outcomes.record(stage, WORKER, interrupted[stage])


def test_a_transfer_resumes_after_the_parts_that_s3_has(
    house: House, stages: Stages, interrupted: Interrupted, outcomes: Outcomes
) -> None:
    stage = NAMES["after_two_parts"]
    house.wait_for(interrupted[stage], "ready")
    positions = stages.positions_read_since(interrupted[stage])
    assert positions
    assert min(positions) >= 2 * PART_BYTES
    outcomes.record(stage, WORKER, interrupted[stage], "the two parts are not read again")


def test_a_ready_video_without_its_sidecar_gets_it_later(
    house: House, interrupted: Interrupted, outcomes: Outcomes
) -> None:
    stage = NAMES["before_the_sidecar"]
    house.wait_for(interrupted[stage], "ready")
    sidecar = house.row(interrupted[stage])["s3_key"].rpartition("/")[0] + "/video.json"
    house.age("videos", "sidecar_due_at")
    house.until(lambda: sidecar in house.world.objects())
    outcomes.record(stage, WORKER, interrupted[stage], "the sidecar is written later")


@pytest.mark.parametrize("stage", [NAMES[stage] for stage in DELETED])
def test_a_deletion_is_finished(
    house: House, interrupted: Interrupted, outcomes: Outcomes, stage: str
) -> None:
    house.until(lambda: not house.row(interrupted[stage]))
    outcomes.record(stage, WORKER, interrupted[stage])


def test_a_sent_order_is_not_repeated_and_its_report_is_accepted(
    house: House, interrupted: Interrupted, outcomes: Outcomes
) -> None:
    stage = NAMES["before_the_generator_answers"]
    video_id = interrupted[stage]
    assert house.row(video_id)["status"] == "generating"
    assert report_ready(house, order_of(house, video_id)).status_code == 202
    house.wait_for(video_id, "ready")
    outcomes.record(stage, WORKER, video_id, "its callback brought the video")


def test_an_owner_is_told_of_a_lost_response_and_has_it_rendered_again(
    house: House, stages: Stages, interrupted: Interrupted, outcomes: Outcomes
) -> None:
    stage = NAMES["unanswered"]
    video_id = interrupted[stage]
    owner = stages.owners[video_id]
    house.until(lambda: owner.seen(video_id).get("retries") == ["generation"])
    owner.retry(video_id)
    house.wait_for(video_id, "ready")
    outcomes.record(stage, WORKER, video_id, "its owner was told, and had it rendered again")


def test_a_response_lost_with_its_worker_fails_at_the_deadline_and_can_be_retried(
    house: House, interrupted: Interrupted, outcomes: Outcomes
) -> None:
    """The render is paid for, so it is not ordered again automatically; a late callback is accepted."""
    video_id = interrupted[ANSWERED]
    fails_at_its_deadline(house, video_id)
    assert report_ready(house, order_of(house, video_id)).status_code == 202
    house.wait_for(video_id, "ready")
    outcomes.record(
        ANSWERED, WORKER, video_id, "failed at its deadline, then a late callback brought the video"
    )


def test_a_video_that_never_arrives_fails_at_its_deadline_and_is_rendered_again_only_on_request(
    house: House, stages: Stages, interrupted: Interrupted, outcomes: Outcomes
) -> None:
    stage = NAMES["never_answered"]
    video_id = interrupted[stage]
    fails_at_its_deadline(house, video_id)
    owner = stages.owners[video_id]
    assert owner.seen(video_id)["retry"] == "generation"
    owner.retry(video_id)
    house.wait_for(video_id, "ready")
    outcomes.record(stage, WORKER, video_id, "failed at its deadline, then its owner had it rendered again")


def fails_at_its_deadline(house: House, video_id: str) -> None:
    assert house.row(video_id)["status"] == "generating"
    house.rows(
        "UPDATE videos SET deadline_at = strftime('%Y-%m-%d %H:%M:%f000', 'now') WHERE id = ?", video_id
    )
    row = house.wait_for(video_id, "failed")
    assert row["error_message"] == "The generator did not deliver the video in time."
