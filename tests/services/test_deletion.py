"""A deleted video leaves every list at once, and S3 in the end."""

import pytest

from tests.fixtures.generator import Generator
from tests.fixtures.installation import Configure
from videovault.db import reading
from videovault.errors import Forbidden, StorageError, VideoNotFound
from videovault.gateways.storage import Storage
from videovault.models import Video
from videovault.services import administration, deletion, pipeline, videos
from videovault.services.access import Caller


@pytest.fixture
def video_id(generator: Generator, anna: Caller, moto_s3: Storage) -> str:
    """A stored video of Anna's, who is the admin here."""
    del moto_s3
    stored = videos.store_link(anna, generator.video_url, anna.email, enqueue=lambda _: None)
    pipeline.produce(stored.video_id, stopping=lambda: False)
    return stored.video_id


def row_exists(video_id: str) -> bool:
    with reading() as session:
        return session.get(Video, video_id) is not None


def test_objects_and_row_go(video_id: str, anna: Caller, moto_s3: Storage) -> None:
    assert len(list(moto_s3.keys())) == 3
    deletion.delete(anna, video_id, owner_id=anna.user_id)
    assert list(moto_s3.keys()) == []
    assert not row_exists(video_id)


def test_without_s3_it_leaves_the_lists_now_and_the_bucket_later(
    video_id: str, anna: Caller, configure: Configure, moto_server: str, moto_s3: Storage
) -> None:
    configure(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(StorageError):
        deletion.delete(anna, video_id)
    with pytest.raises(VideoNotFound):
        videos.get(anna, video_id)
    assert videos.gallery(anna, anna.user_id).total_count == 0
    deletion.finish_all()
    assert row_exists(video_id)
    configure(AWS_ENDPOINT_URL_S3=moto_server)
    deletion.finish_all()
    assert not row_exists(video_id)
    assert list(moto_s3.keys()) == []


def test_nobody_deletes_what_is_not_theirs(video_id: str, anna: Caller, bert: Caller) -> None:
    with pytest.raises(VideoNotFound):
        deletion.delete(bert, video_id)
    with pytest.raises(VideoNotFound):
        deletion.delete(bert, video_id, owner_id=bert.user_id)
    with pytest.raises(Forbidden):
        deletion.delete(bert, video_id, owner_id=anna.user_id)
    assert row_exists(video_id)


def test_an_admin_deletes_several_and_hears_what_became_of_each(video_id: str, anna: Caller) -> None:
    results = administration.delete_videos(anna, [video_id, "video_1_absent", video_id])
    assert [(one.video_id, one.deleted) for one in results] == [(video_id, True), ("video_1_absent", False)]
    assert results[1].error
    assert results[1].error.code == "VIDEO_NOT_FOUND"


def test_others_than_admins_neither_see_nor_delete_everybodys_videos(video_id: str, bert: Caller) -> None:
    with pytest.raises(Forbidden):
        administration.list_videos(bert)
    with pytest.raises(Forbidden):
        administration.delete_videos(bert, [video_id])
    assert row_exists(video_id)
