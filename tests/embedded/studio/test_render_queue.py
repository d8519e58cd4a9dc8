"""Jobs on disk: saved, continued and deleted."""

import os
import time
from pathlib import Path

import pytest

from videovault.embedded.studio.render_queue import RETENTION_SECONDS, JobStore, new_job
from videovault.embedded.studio.requests import VideoRequest
from videovault.gateways.studio import file_code

CODE = file_code("key", "video_1")
ORDER = VideoRequest.model_validate(
    {"hook": "Hello, World!", "body": "b", "conclusion": "c", "callbackToken": "secret-1", "userId": "u"}
)


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / "studio")


def test_a_saved_job_can_be_read(store: JobStore) -> None:
    job = new_job(ORDER, "video_1:1", 3, CODE)
    store.save(job)
    assert store.get(job.id) == job


def test_the_job_id_depends_on_the_key_or_is_random() -> None:
    assert new_job(ORDER, "k", 0, CODE).id == new_job(ORDER, "k", 0, CODE).id
    assert new_job(ORDER, "", 0, CODE).id != new_job(ORDER, "", 0, CODE).id


@pytest.mark.parametrize("hook", ["Hello, World!", "../../etc/passwd", "مرحبا", "x" * 500, "-.-"])
def test_file_names_are_plain_for_any_hook(hook: str) -> None:
    name = new_job(ORDER.model_copy(update={"hook": hook}), "k", 0, CODE).file_name
    assert name == Path(name).name
    assert name.isascii()
    assert len(name) < 100
    assert name.removesuffix(".mp4").replace("-", "").isalnum()


def test_jobs_are_readable_by_their_user_only(store: JobStore, tmp_path: Path) -> None:
    store.save(new_job(ORDER, "k", 0, CODE))
    (path,) = (tmp_path / "studio" / "jobs").iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_unfinished_jobs_come_oldest_first_without_the_reported_ones(store: JobStore) -> None:
    jobs = [new_job(ORDER, str(number), 0, CODE) for number in range(3)]
    old, new, done = (
        job.model_copy(update={"created_at": age, "reported": age == 2.0})
        for job, age in zip(jobs, (1.0, 3.0, 2.0), strict=True)
    )
    for job in (new, done, old):
        store.save(job)
    assert list(store.unfinished()) == [old, new]


def test_a_damaged_job_is_ignored(store: JobStore, tmp_path: Path) -> None:
    (tmp_path / "studio" / "jobs" / f"{'a' * 24}.json").write_text("{")
    assert store.get("a" * 24) is None
    assert list(store.unfinished()) == []


@pytest.mark.parametrize("identity", ["", "nothing", "../jobs", "A" * 24])
def test_an_invalid_job_id_finds_nothing(store: JobStore, identity: str) -> None:
    assert store.get(identity) is None


def test_videos_and_jobs_are_deleted_after_a_day(store: JobStore) -> None:
    old, new = store.files / "old.mp4", store.files / "new.mp4"
    for path in (old, new):
        path.write_bytes(b"x")
    long_ago = time.time() - RETENTION_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    store.delete_old()
    assert [path.name for path in store.files.iterdir()] == ["new.mp4"]
