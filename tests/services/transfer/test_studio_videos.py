"""The real studio: its files are stored for their own videos only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.studio.studio_process import VIDEO, Studio, running_studio
from tests.services.conftest import Row
from tests.support.installation import Configure
from tests.support.videos import insert_video
from videovault.config import settings
from videovault.embedded.studio.render_queue import JobStore, new_job
from videovault.embedded.studio.requests import VideoRequest
from videovault.errors import UnsafeUrl
from videovault.gateways.storage import Storage
from videovault.gateways.studio import file_code
from videovault.models import Status
from videovault.services.admin import rescue
from videovault.services.core.access import Caller
from videovault.services.generation import orders
from videovault.services.transfer import pipeline
from videovault.services.videos import deletion, gallery

pytestmark = pytest.mark.thorough

SCRIPT = {
    name: VIDEO[name]
    for name in ("hook", "body", "conclusion", "company_name", "social_handles", "license", "avatar")
}


@pytest.fixture
def running(moto_s3: Storage, configure: Configure, tmp_path: Path) -> Iterator[Studio]:
    """The embedded studio of this installation; its response is the finished video."""
    del moto_s3
    configure()
    own = settings().installation
    with running_studio(
        tmp_path / "studio", "--mode", "direct", key=own.studio_key, port=own.studio_port
    ) as started:
        yield started


def made(owner: Caller, row: Row, studio_dir: Path, mp4: bytes) -> str:
    """The id of a video whose job the studio has already rendered, so that the order is answered at once."""
    video_id = orders.request(owner, SCRIPT, enqueue=lambda _: None).video_id
    store, code = JobStore(studio_dir), file_code(settings().installation.studio_key, video_id)
    job = new_job(VideoRequest.model_validate(VIDEO), f"{video_id}:{row(video_id).attempt}", 0, code)
    (store.files / job.file_name).write_bytes(mp4)
    store.save(job.model_copy(update={"size": len(mp4), "duration": 2.0}))
    pipeline.produce(video_id, stopping=lambda: False)
    return video_id


def test_a_file_of_the_studio_is_stored_for_its_video_only(
    running: Studio, anna: Caller, row: Row, tmp_path: Path, mp4: bytes
) -> None:
    video_id = made(anna, row, tmp_path / "studio", mp4)
    assert row(video_id).status == Status.READY
    url = str(row(video_id).source_url)
    assert url.startswith(f"{running.url}/files/")
    # As the guide's client does next: the same URL returns the same video.
    assert gallery.store_link(anna, url, anna.email, enqueue=lambda _: None).video_id == video_id

    deletion.delete(anna, video_id)
    for address in (url, f"{running.url}/healthz", url.replace("/files/", "/files//")):
        with pytest.raises(UnsafeUrl):
            gallery.store_link(anna, address, anna.email, enqueue=lambda _: None)


@pytest.fixture
def anothers_file(moto_s3: Storage) -> str:
    """The URL of a file rendered for another video."""
    del moto_s3
    return (
        f"{settings().studio_url}/files/{file_code(settings().installation.studio_key, 'video_2')}/film.mp4"
    )


def test_a_report_with_another_videos_file_stores_nothing(anothers_file: str, anna: Caller, row: Row) -> None:
    """The owner of a video may report a URL, but only that of its own file is fetched from the studio."""
    video_id = insert_video(
        anna, Status.QUEUED, source_url=anothers_file, s3_key=f"videos/{anna.user_id}/x/film.mp4"
    )
    pipeline.produce(video_id, stopping=lambda: False)
    assert (row(video_id).status, row(video_id).error_code) == (Status.FAILED, "UNSAFE_URL")


def test_an_admin_may_give_a_stuck_video_its_own_file_only(
    anothers_file: str, anna: Caller, row: Row
) -> None:
    stuck = insert_video(anna, Status.FAILED)
    with pytest.raises(UnsafeUrl):
        rescue.set_video_url(anna, stuck, anothers_file, enqueue=lambda _: None)
    assert row(stuck).source_url is None
