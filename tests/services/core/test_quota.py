"""No account exceeds its quota, even with concurrent transfers, and reservations end with their transfer."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.services.conftest import SCRIPT, Queued, Row
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.misbehaving_server import MIB, ServerBehaviour
from tests.support.videos import TransferThread, insert_video, is_storage_empty, never
from tests.support.waiting import eventually
from videovault.db import reading, transaction
from videovault.errors import QuotaExceeded
from videovault.gateways.storage import Storage
from videovault.models import Status, User, Video
from videovault.services.accounts import accounts
from videovault.services.core import quota
from videovault.services.core.access import Caller
from videovault.services.core.quota import STEP_BYTES
from videovault.services.generation import orders
from videovault.services.transfer import pipeline, scheduler
from videovault.services.videos import deletion, gallery

GB = 10**9


def ignore(_video_id: str) -> None:
    """No worker is needed."""


def in_work(owner: Caller) -> Video:
    insert_video(owner, Status.QUEUED)
    video = scheduler.claim()
    assert video
    return video


def faulty(_owner: Caller, video_id: str) -> None:
    """A fault of our own ends it."""
    pipeline._fail_attempt(pipeline._row(video_id))


def used(owner: Caller) -> int:
    with reading() as session:
        return quota.used(session, owner.user_id)


@pytest.mark.usefixtures("database")
class TestReserving:
    """On each database, without a transfer."""

    @pytest.fixture(autouse=True)
    def _configured(self, configure: Configure) -> None:
        configure(DEFAULT_QUOTA_BYTES=10 * GB, RUNNING_PER_USER=0)

    def test_reserved_and_stored_bytes_count_together(self, anna: Caller) -> None:
        insert_video(anna, Status.READY, size=4 * GB)
        insert_video(anna, Status.FAILED, size=9 * GB)  # claimed by its generator, not stored
        assert quota.reserve(in_work(anna), 5 * GB, least=5 * GB) == 5 * GB
        assert used(anna) == 9 * GB == accounts.me(anna).storage_bytes
        with pytest.raises(QuotaExceeded) as refused:
            quota.reserve(in_work(anna), 2 * GB, least=2 * GB)
        assert refused.value.public_message.startswith(
            "This video of 2.0 GB does not fit into the account: 1.0 GB of 10.0 GB are left."
        )

    def test_reserving_again_replaces_what_was_reserved(self, anna: Caller) -> None:
        video = in_work(anna)
        quota.reserve(video, 7 * GB, least=7 * GB)
        assert quota.reserve(video, 9 * GB, least=9 * GB) == 9 * GB
        assert used(anna) == 9 * GB

    def test_for_an_unknown_length_the_remaining_quota_is_reserved(self, anna: Caller) -> None:
        insert_video(anna, Status.READY, size=10 * GB - 5)
        video = in_work(anna)
        assert quota.reserve(video, STEP_BYTES, least=1) == 5
        with pytest.raises(QuotaExceeded, match="This video does not fit"):
            quota.reserve(video, STEP_BYTES + 6, least=6)

    def test_concurrent_reservations_never_exceed_the_quota(self, anna: Caller) -> None:
        working = [in_work(anna) for _ in range(6)]
        together = Barrier(6)

        def reserve(video: Video) -> bool:
            together.wait()
            try:
                return bool(quota.reserve(video, 4 * GB, least=4 * GB))
            except QuotaExceeded:
                return False

        with ThreadPoolExecutor(6) as workers:
            assert sum(workers.map(reserve, working)) == 2
        assert used(anna) == 8 * GB

    @pytest.mark.parametrize("leave", [pipeline.cancel, faulty])
    def test_a_video_that_leaves_its_worker_reserves_nothing(
        self, anna: Caller, leave: Callable[[Caller, str], object]
    ) -> None:
        video = in_work(anna)
        quota.reserve(video, 4 * GB, least=4 * GB)
        leave(anna, video.id)
        assert used(anna) == 0
        quota.reserve(video, 4 * GB, least=4 * GB)  # a worker that has not noticed yet
        assert used(anna) == 0

    def test_without_a_quota_all_fits_and_is_counted(self, anna: Caller, configure: Configure) -> None:
        configure(DEFAULT_QUOTA_BYTES=0)
        quota.reserve(in_work(anna), 99 * GB, least=99 * GB)
        assert accounts.me(anna).storage_bytes == 99 * GB

    def test_an_accounts_own_quota_comes_first(self, anna: Caller) -> None:
        with transaction() as session:
            session.get_one(User, anna.user_id).quota_bytes = GB
        with pytest.raises(QuotaExceeded):
            quota.reserve(in_work(anna), 2 * GB, least=2 * GB)
        assert accounts.me(anna).quota_bytes == GB


@pytest.mark.usefixtures("moto_s3")
def test_a_full_account_accepts_and_orders_no_video(
    anna: Caller, generator: Generator, configure: Configure
) -> None:
    configure(DEFAULT_QUOTA_BYTES=GB)
    failed = insert_video(anna, Status.FAILED, source_url=generator.video_url)
    full = insert_video(anna, Status.READY, size=GB)
    with pytest.raises(QuotaExceeded, match=r"1\.0 GB of 1\.0 GB are used"):
        gallery.store_link(anna, generator.video_url, anna.email, enqueue=ignore)
    with pytest.raises(QuotaExceeded):
        orders.request(anna, SCRIPT, enqueue=ignore)
    with pytest.raises(QuotaExceeded):
        pipeline.retry(anna, failed, enqueue=ignore)
    assert generator.requests == []
    deletion.delete(anna, full)
    assert gallery.store_link(anna, generator.video_url, anna.email, enqueue=ignore)


def test_a_video_that_does_not_fit_fails_before_its_first_byte_is_sent(
    anna: Caller, queued: Queued, row: Row, configure: Configure
) -> None:
    configure(DEFAULT_QUOTA_BYTES=3 * 10**6)
    video_id = queued(ServerBehaviour(size=4 * MIB))
    pipeline.produce(video_id, stopping=never)
    found = row(video_id)
    assert (found.status, found.error_code) == (Status.FAILED, "QUOTA_EXCEEDED")
    assert "4.2 MB does not fit into the account: 3.0 MB of 3.0 MB are left" in str(found.error_message)
    assert (found.reserved_bytes, used(anna), is_storage_empty()) == (0, 0, True)
    configure(DEFAULT_QUOTA_BYTES=5 * 10**6)
    pipeline.retry(anna, video_id, enqueue=lambda one: pipeline.produce(one, stopping=never))
    assert (row(video_id).status, row(video_id).reserved_bytes, used(anna)) == (Status.READY, 0, 4 * MIB)


def test_a_video_of_unknown_length_is_stopped_where_the_account_is_full(
    anna: Caller, queued: Queued, row: Row, configure: Configure
) -> None:
    configure(DEFAULT_QUOTA_BYTES=3 * 10**6)
    video_id = queued(ServerBehaviour(size=9 * MIB, chunked=True))
    pipeline.produce(video_id, stopping=never)
    assert (row(video_id).error_code, used(anna), is_storage_empty()) == ("QUOTA_EXCEEDED", 0, True)


def test_a_video_of_unknown_length_reserves_as_it_comes(
    anna: Caller, queued: Queued, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "STEP_BYTES", 6 * MIB)
    video_id = queued(ServerBehaviour(size=9 * MIB, chunked=True, stall_after=8 * MIB))
    worker = TransferThread(video_id)
    eventually(lambda: row(video_id).bytes_done >= 8 * MIB)
    assert used(anna) > 8 * MIB
    worker.stopping.set()
    worker.ended()
    assert used(anna) == 0


def test_a_nearly_full_disk_accepts_no_video(
    anna: Caller,
    generator: Generator,
    row: Row,
    own_embedded_s3: Storage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    total, used_bytes, _free = shutil.disk_usage("/")
    nearly = type(shutil.disk_usage("/"))(total, used_bytes, 300 * 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: nearly)
    stored = gallery.store_link(anna, generator.video_url, anna.email, enqueue=ignore)
    pipeline.produce(stored.video_id, stopping=never)
    found = row(stored.video_id)
    assert found.error_code == "DISK_FULL"
    assert "300 MB are free" in str(found.error_message)
    assert not own_embedded_s3.info(str(found.s3_key))
