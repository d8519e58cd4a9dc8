"""Damaged caches, queues and pages are rebuilt, and one line in the log reports it."""

import asyncio
import random
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.embedded.processes import wait_until
from tests.support.embedded_s3 import running_s3
from tests.support.installation import forget
from videovault import worker
from videovault.config import settings
from videovault.embedded import frontend, s3, supervisor
from videovault.embedded.supervisor import embedded_processes
from videovault.errors import StorageError
from videovault.gateways import storage
from videovault.gateways.s3_calls import Description

pytestmark = pytest.mark.usefixtures("installation")
KEY = "videos/u/v/film.mp4"


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311 - any bytes, but the same each time


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "other bytes": lambda file: noise(len(file)),
    "cut short": lambda file: file[:5000],
    "other pages": lambda file: file[:8192] + noise(len(file) - 8192),
}


def knows_the_object() -> bool:
    try:
        info = storage.connected().info(KEY)
    except StorageError:
        return False
    return info is not None and info.crc32 == zlib.crc32(b"film")


@pytest.fixture(params=DAMAGES)
def cache(request: pytest.FixtureRequest, installation: Path) -> Path:
    """rclone's cache of checksums, damaged after an object was stored."""
    with running_s3(installation / "var") as server:
        server.client().put_object(**server.at(KEY), Body=b"film")
    (file,) = (path for path in s3.cache_folder(installation / "var").rglob("*") if path.is_file())
    file.write_bytes(DAMAGES[request.param](file.read_bytes()))
    return file


def test_the_app_starts_with_a_damaged_checksum_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"SCRIPT_WEBHOOK_URL": "", "VIDEO_WEBHOOK_URL": "", "WORKERS": "0"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()

    async def main() -> None:
        async with embedded_processes():
            await wait_until(knows_the_object)  # damage in later pages shows at the first request

    asyncio.run(main())
    assert sum("cache of checksums is damaged" in line for line in caplog.messages) == 1
    assert not any("goroutine" in line for line in caplog.messages)
    assert cache.exists()


def test_a_command_works_with_a_cache_that_cannot_be_opened(installation: Path) -> None:
    folder = s3.cache_folder(installation / "var") / "kv"
    folder.mkdir(parents=True)
    (folder / "local~hasher.bolt").write_bytes(noise(32768))
    with supervisor.s3_available():
        storage.connected().put(KEY, b"film", Description("video/mp4"))
        assert list(storage.connected().keys()) == [KEY]


@pytest.mark.parametrize("part", ["head", "middle"])
def test_a_damaged_queue_is_rebuilt_and_accepts_tasks(
    installation: Path, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    worker.enqueue("video_1")
    forget()
    file = installation / "var" / "queue.db"
    content = file.read_bytes()
    file.write_bytes(noise(len(content)) if part == "head" else content[:4096] + noise(len(content) - 4096))
    worker.enqueue("video_2")
    assert [task.args[0] for task in worker.queue().huey.pending()] == ["video_2"]
    assert sum("queue is damaged" in line for line in caplog.messages) == 1


def test_an_intact_queue_is_kept() -> None:
    worker.enqueue("video_1")
    forget()
    worker.enqueue("video_2")
    assert [task.args[0] for task in worker.queue().huey.pending()] == ["video_1", "video_2"]


def test_pages_damaged_after_the_build_are_built_again(
    installation: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By a full disk, or by a deleted file."""
    monkeypatch.setenv("REFLEX_WEB_WORKDIR", str(installation / "web"))
    pages = installation / "web" / frontend.PAGES
    pages.mkdir(parents=True)
    (pages / "index.html").write_text("<p>A page</p>")
    (pages / "other.html").write_text("<p>Another</p>")
    stamp = installation / "web" / frontend.STAMP
    stamp.write_text(frontend.stamp())
    assert frontend.is_built()
    (pages / "index.html").write_text("<p>A pa")
    assert not frontend.is_built()
    (pages / "index.html").write_text("<p>A page</p>")
    assert frontend.is_built()
    (pages / "other.html").unlink()
    assert not frontend.is_built()
    assert sum("built pages are damaged" in line for line in caplog.messages) == 2
    stamp.write_text(stamp.read_text().splitlines()[0])  # from an earlier version
    assert not frontend.is_built()
