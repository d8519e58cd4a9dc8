"""A deleted video leaves every list at once, and S3 eventually."""

from threading import Event

import pytest

from tests.services.conftest import Queued, Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.misbehaving_server import MIB, ServerBehaviour
from tests.support.s3_proxy import S3Proxy
from tests.support.videos import TransferThread, insert_video, is_storage_empty, never, wait_for_parts
from videovault.db import reading, transaction
from videovault.errors import Forbidden, StorageError, VideoNotFound
from videovault.gateways import storage
from videovault.gateways.storage import Description, Storage
from videovault.models import Status, Video
from videovault.services.admin import videos
from videovault.services.core.access import Caller
from videovault.services.transfer import cleanup, pipeline
from videovault.services.videos import deletion, gallery

pytestmark = pytest.mark.usefixtures("fixed_probe")


@pytest.fixture
def video_id(generator: Generator, anna: Caller, moto_s3: Storage) -> str:
    """A stored video of Anna, who is an admin."""
    del moto_s3
    stored = gallery.store_link(anna, generator.video_url, anna.email, enqueue=lambda _: None)
    pipeline.produce(stored.video_id, stopping=lambda: False)
    return stored.video_id


def row_exists(video_id: str) -> bool:
    with reading() as session:
        return session.get(Video, video_id) is not None


def test_deletion_removes_objects_and_row(video_id: str, anna: Caller, moto_s3: Storage) -> None:
    assert len(list(moto_s3.keys())) == 3
    deletion.delete(anna, video_id, owner_id=anna.user_id)
    assert list(moto_s3.keys()) == []
    assert not row_exists(video_id)


def test_without_s3_the_video_leaves_lists_now_and_the_bucket_later(
    video_id: str, anna: Caller, configure: Configure, moto_server: str, moto_s3: Storage
) -> None:
    configure(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9", S3_RETRY_SECONDS=0)  # nothing listens there
    with pytest.raises(StorageError):
        deletion.delete(anna, video_id)
    with pytest.raises(VideoNotFound):
        gallery.get(anna, video_id)
    assert gallery.list_videos(anna, anna.user_id).total_count == 0
    deletion.finish_pending()
    assert row_exists(video_id)
    configure(AWS_ENDPOINT_URL_S3=moto_server)
    deletion.finish_pending()
    assert not row_exists(video_id)
    assert list(moto_s3.keys()) == []


def test_videos_of_other_users_cannot_be_deleted(video_id: str, anna: Caller, bert: Caller) -> None:
    with pytest.raises(VideoNotFound):
        deletion.delete(bert, video_id)
    with pytest.raises(VideoNotFound):
        deletion.delete(bert, video_id, owner_id=bert.user_id)
    with pytest.raises(Forbidden):
        deletion.delete(bert, video_id, owner_id=anna.user_id)
    assert row_exists(video_id)


def test_an_admin_deletes_several_and_gets_a_result_for_each(video_id: str, anna: Caller) -> None:
    results = videos.delete_videos(anna, [video_id, "video_1_absent", video_id])
    assert [(one.video_id, one.deleted) for one in results] == [(video_id, True), ("video_1_absent", False)]
    assert results[1].error
    assert results[1].error.code == "VIDEO_NOT_FOUND"


def test_only_admins_list_and_delete_all_videos(video_id: str, bert: Caller) -> None:
    with pytest.raises(Forbidden):
        videos.find_videos(bert, videos.VideosQuery())
    with pytest.raises(Forbidden):
        videos.delete_videos(bert, [video_id])
    assert row_exists(video_id)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("s3_is_down", [False, True], ids=["", "S3 down"])
def test_deletion_leaves_nothing_in_any_state(
    anna: Caller,
    moto_s3: Storage,
    configure: Configure,
    moto_server: str,
    status: Status,
    *,
    s3_is_down: bool,
) -> None:
    video_id = _with_remains(anna, status, moto_s3)
    if s3_is_down:
        configure(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9", S3_RETRY_SECONDS=0)
    if status == Status.DELETING:
        with pytest.raises(VideoNotFound):
            deletion.delete(anna, video_id)
    elif s3_is_down:
        with pytest.raises(StorageError):
            deletion.delete(anna, video_id)
        assert row_exists(video_id)
    else:
        deletion.delete(anna, video_id)
    assert gallery.list_videos(anna, anna.user_id).videos == []
    configure(AWS_ENDPOINT_URL_S3=moto_server)
    deletion.finish_pending()
    assert not row_exists(video_id)
    assert is_storage_empty()


def test_during_a_transfer_the_row_stays_until_the_worker_stops_and_its_object_is_deleted(
    anna: Caller, queued: Queued, proxy: S3Proxy
) -> None:
    video_id = queued(ServerBehaviour(size=2 * MIB))
    sending, send = Event(), Event()

    def hold(operation: str) -> None:
        if operation == "PutObject":
            sending.set()
            send.wait()

    proxy.before = hold
    worker = TransferThread(video_id)
    assert sending.wait(20)
    deletion.delete(anna, video_id)
    deletion.finish_pending()
    assert row_exists(video_id)  # otherwise the object that is still being uploaded would stay
    assert gallery.list_videos(anna, anna.user_id).total_count == 0
    send.set()
    worker.ended()
    assert not row_exists(video_id)
    assert is_storage_empty()


def test_a_transfer_deleted_while_s3_is_down_is_cleaned_up_later(
    anna: Caller, queued: Queued, row: Row, proxy: S3Proxy
) -> None:
    video_id = queued(ServerBehaviour(size=40 * MIB, stall_after=15 * MIB, ranges=False))
    worker = TransferThread(video_id)
    wait_for_parts(video_id)
    proxy.down = True
    with pytest.raises(StorageError):
        deletion.delete(anna, video_id)
    worker.ended()
    proxy.down = False
    assert row(video_id).status == Status.DELETING
    assert not is_storage_empty()
    with transaction() as session:
        session.get_one(Video, video_id).heartbeat_at = None  # the lease has expired
    deletion.finish_pending()
    assert not row_exists(video_id)
    assert is_storage_empty()


def test_the_object_of_a_cancelled_video_whose_worker_died_is_removed(
    anna: Caller, moto_s3: Storage, row: Row
) -> None:
    video_id = _with_remains(anna, Status.FAILED, moto_s3)
    cleanup.clean_up_failed()
    assert is_storage_empty()
    assert row(video_id).upload_id is None
    pipeline.produce(video_id, stopping=never)
    assert row(video_id).status == Status.FAILED


def _with_remains(owner: Caller, status: Status, bucket: Storage) -> str:
    """A video of any status with an object and an unfinished upload in S3."""
    video_id = insert_video(owner, status)
    key = f"videos/{owner.user_id}/{video_id}/1_a.mp4"
    described = Description("video/mp4")
    bucket.put(key, b"late", described)
    with transaction() as session:
        video = session.get_one(Video, video_id)
        video.s3_key, video.upload_id = key, storage.connected().start_upload(key, described)
    return video_id
