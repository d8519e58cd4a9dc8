"""The start is refused if database or store was lost, but not if the store is unavailable."""

import pytest

from tests.support.app import free_port
from tests.support.installation import Configure
from tests.support.videos import insert_video
from videovault.errors import ConfigurationError
from videovault.gateways.s3_calls import Description
from videovault.gateways.storage import Storage
from videovault.models import Status
from videovault.services.core.access import Caller
from videovault.services.maintenance import startup_check

KEY = "videos/u/v/film.mp4"


@pytest.fixture
def film(moto_s3: Storage) -> str:
    moto_s3.put(KEY, b"film", Description("video/mp4"))
    return KEY


@pytest.mark.usefixtures("moto_s3")
def test_new_installation_with_an_empty_bucket_starts() -> None:
    startup_check.check_data_is_complete()


def test_other_objects_do_not_count(moto_s3: Storage) -> None:
    moto_s3.put("backups/film.mp4", b"film", Description("video/mp4"))
    startup_check.check_data_is_complete()


@pytest.mark.usefixtures("film")
def test_empty_database_beside_a_populated_bucket_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="The database has no accounts, but the bucket") as caught:
        startup_check.check_data_is_complete()
    assert "--rebuild" in caught.value.public_message


def test_rows_beside_an_empty_bucket_are_refused(moto_s3: Storage, anna: Caller) -> None:
    insert_video(anna, Status.READY, s3_key=KEY)
    with pytest.raises(ConfigurationError, match="lists 1 stored videos, but the bucket"):
        startup_check.check_data_is_complete()
    moto_s3.put("videos/u/another/film.mp4", b"film", Description("video/mp4"))
    startup_check.check_data_is_complete()  # one that is missing is for ``reconcile``


def test_worker_that_starts_first_needs_the_newest_video_in_its_bucket(
    moto_s3: Storage, anna: Caller, configure: Configure
) -> None:
    startup_check.check_newest_video_is_stored()
    insert_video(anna, Status.READY, s3_key=KEY)
    moto_s3.put("videos/u/another/film.mp4", b"film", Description("video/mp4"))
    with pytest.raises(ConfigurationError, match="does not show its newest video"):
        startup_check.check_newest_video_is_stored()
    moto_s3.put(KEY, b"film", Description("video/mp4"))
    startup_check.check_newest_video_is_stored()
    configure(AWS_S3_BUCKET_NAME="")
    with pytest.raises(ConfigurationError, match="does not show its newest video"):
        startup_check.check_newest_video_is_stored()


def test_drafts_need_no_object(moto_s3: Storage, anna: Caller) -> None:
    del moto_s3
    insert_video(anna, Status.DRAFT)
    startup_check.check_data_is_complete()


@pytest.mark.usefixtures("moto_s3")
def test_unavailable_bucket_does_not_block_the_start(
    configure: Configure, anna: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    insert_video(anna, Status.READY, s3_key=KEY)
    configure(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{free_port()}")
    startup_check.check_data_is_complete()
    assert any("could not be compared with the database" in line for line in caplog.messages)
