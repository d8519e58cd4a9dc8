"""Transfers survive the end of the server, whether it is stopped or killed."""

import signal
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.support.app import RunningApp, free_port, running_app
from tests.support.log_grep import remember
from tests.support.misbehaving_server import MIB, Manners, NaughtyServer
from tests.support.waiting import HANG_SECONDS, eventually

pytestmark = pytest.mark.journey
SIZE = 24 * MIB
# Without an ETag only one connection reads it.
WHOLE = Manners(size=SIZE, etag=None, headers={"Last-Modified": "Mon, 26 Jan 2026 10:15:00 GMT"})
EMAIL = "anna@example.com"


def test_transfer_continues_after_a_restart(tmp_path: Path, source: NaughtyServer) -> None:
    """Each app first finishes what the previous one left, and is then ended during another transfer."""
    settings = {"SOURCE_ALLOW_HOSTS": f"127.0.0.1:{source.port}", "PORT": str(free_port())}
    settings["SOURCE_IDLE_SECONDS"] = "3600"  # a stalled source does not end the transfer
    with running_app(tmp_path, **settings) as app:
        headers = signed_in(app)
        left = leave_unfinished(app, headers, source, signal.SIGTERM)
    assert status_of(tmp_path, left) == "queued"
    with running_app(tmp_path, **settings) as app:
        assert_finished(app, headers, left)
        left = leave_unfinished(app, headers, source, signal.SIGKILL)
    with running_app(tmp_path, **settings) as app:
        assert_finished(app, headers, left)
        left = leave_unfinished(app, headers, source, signal.SIGINT)
    assert status_of(tmp_path, left) == "queued"  # as after SIGTERM


def leave_unfinished(
    app: RunningApp, headers: dict[str, str], source: NaughtyServer, end: signal.Signals
) -> str:
    """End the app by this signal while it stores a video. Returns the video's ID."""
    path = f"/{end.name}.mp4"
    url = source.serve(path, replace(WHOLE, stall_after=SIZE // 2))
    with httpx.Client(base_url=app.url, headers=headers, timeout=HANG_SECONDS) as api:
        video_id = request_video(api, url)
        wait_for(api, video_id, lambda video: video.get("progress", {}).get("bytesDone", 0) > MIB)
        app.stop(end)
        wait_until_nothing_runs(app.data_dir)
    source.serve(path, WHOLE)
    return video_id


def status_of(data_dir: Path, video_id: str) -> str:
    with closing(sqlite3.connect(data_dir / "videovault.db")) as database:
        [found] = database.execute("SELECT status FROM videos WHERE id = ?", (video_id,)).fetchone()
        return str(found)


def assert_finished(app: RunningApp, headers: dict[str, str], video_id: str) -> None:
    with httpx.Client(base_url=app.url, headers=headers, timeout=HANG_SECONDS) as api:
        wait_for(api, video_id, lambda video: video["status"] == "ready")
        stored = api.get(f"/api/auth/video/{video_id}/download", follow_redirects=True)
        assert len(stored.content) == SIZE


def signed_in(app: RunningApp) -> dict[str, str]:
    account = {"email": EMAIL, "password": "correct horse battery"}
    token = httpx.post(f"{app.url}/api/auth/register", json=account).json()["data"]["token"]
    remember(account["password"], token)
    return {"Authorization": f"Bearer {token}"}


def request_video(api: httpx.Client, url: str) -> str:
    answer = api.post(
        "/api/auth/video/download",
        json={"videoUrl": url, "userEmail": EMAIL},
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["videoId"])


def wait_for(api: httpx.Client, video_id: str, is_met: object) -> None:
    assert callable(is_met)

    def found() -> bool:
        video = api.get(f"/api/auth/video/{video_id}").json()["data"]
        assert video["status"] != "failed", video
        return bool(is_met(video))

    eventually(found)


def wait_until_nothing_runs(data_dir: Path) -> None:
    """Wait until no process of this folder's app is left."""

    def left() -> str:
        return subprocess.run(["pgrep", "-f", str(data_dir)], capture_output=True, text=True).stdout  # noqa: PLW1510, S607 - pgrep finds nothing with status 1

    eventually(lambda: not left(), lambda: f"still running: {left()}")
