"""The studio as a process, as the supervisor runs it: callbacks, restarts and shutdown."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.embedded.studio.studio_process import (
    SHOWN,
    CallbackReceiver,
    callback_receiver,
    running_studio,
)
from tests.support.waiting import HANG_SECONDS, eventually

pytestmark = pytest.mark.process


@pytest.fixture
def caller() -> Iterator[CallbackReceiver]:
    with callback_receiver() as listening:
        yield listening


def test_callback_mode_calls_back_later_even_after_the_studio_was_killed(
    tmp_path: Path, caller: CallbackReceiver
) -> None:
    """The receiver fails at first, and is called again."""
    caller.statuses = [503]
    with running_studio(tmp_path, "--delay", "3600", "--callback", caller.url) as running:
        headers = {"Idempotency-Key": "v:1"}
        answer = running.post("/video", json=caller.order(), headers=headers).json()
        assert (answer["status"], answer["estimatedTime"]) == ("processing", 1)
        assert httpx.get(answer["statusUrl"], headers=SHOWN).json()["status"] == "processing"
        eventually(lambda: list((tmp_path / "files").iterdir()))  # it renders
        running.process.kill()
        running.process.wait()
    (job,) = (tmp_path / "jobs").glob("*.json")
    job.write_text(json.dumps(json.loads(job.read_bytes()) | {"ready_at": 0}))  # as after that hour
    with running_studio(tmp_path, "--callback", caller.url) as running:
        eventually(lambda: len(caller.bodies) == 2)
        ready = httpx.get(f"{running.url}{urlsplit(answer['statusUrl']).path}", headers=SHOWN).json()
        size = int(httpx.head(ready["videoUrl"]).headers["content-length"])
    assert caller.bodies[0] == caller.bodies[1]
    assert caller.bodies[0] == {
        "userId": "user_1",
        "videoId": "video_1",
        "status": "ready",
        "videoUrl": ready["videoUrl"],
        "metadata": {"duration": 5.0, "size": size, "format": "mp4"},
    }
    assert set(caller.tokens) == {"Bearer token-1"}


def test_a_failed_render_is_reported_once_if_the_receiver_refuses(
    tmp_path: Path, caller: CallbackReceiver
) -> None:
    caller.statuses = [404]
    with running_studio(tmp_path, "--delay", "0", "--callback", caller.url) as running:
        shutil.rmtree(tmp_path / "files")
        answer = running.post("/video", json=caller.order()).json()
        (job,) = (tmp_path / "jobs").glob("*.json")
        eventually(lambda: json.loads(job.read_bytes())["reported"])
        state = httpx.get(answer["statusUrl"], headers=SHOWN).json()
    assert state == {"status": "failed", "message": "The video could not be rendered."}
    assert [(body["status"], body["error"]) for body in caller.bodies] == [("failed", state["message"])]


def test_a_throttled_download_is_slow_and_does_not_delay_shutdown(tmp_path: Path) -> None:
    with running_studio(tmp_path, "--bytes-per-second", "20000") as running:
        (tmp_path / "files" / "clip.mp4").write_bytes(bytes(30_000))
        (tmp_path / "files" / "long.mp4").write_bytes(bytes(10_000_000))
        began = time.monotonic()
        assert len(httpx.get(f"{running.url}/files/clip.mp4").content) == 30_000
        assert time.monotonic() - began > 1.2
        with httpx.stream("GET", f"{running.url}/files/long.mp4"):
            running.process.terminate()
            assert running.process.wait(HANG_SECONDS) == 0  # the rest would take minutes


def test_without_a_key_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="the studio has ended"), running_studio(tmp_path, key=""):
        pass
