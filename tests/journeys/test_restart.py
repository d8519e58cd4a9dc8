"""Waiting requests are answered at shutdown, and after the restart their transfers continue."""

import signal
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.journeys.conftest import PASSWORD
from tests.support.app import running_app
from tests.support.log_grep import remember
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.waiting import HANG_SECONDS, eventually

pytestmark = pytest.mark.process
SIZE = 24 * MIB
# Without an ETag only one connection reads it.
WHOLE = ServerBehaviour(size=SIZE, etag=None, headers={"Last-Modified": "Mon, 26 Jan 2026 10:15:00 GMT"})
EMAIL = "anna@example.com"
WAITING = [f"/{number}.mp4" for number in range(50)]


def test_waiting_requests_are_answered_and_transfers_continue_after_a_restart(
    tmp_path: Path, source: MisbehavingServer
) -> None:
    settings = {"SOURCE_ALLOW_HOSTS": f"127.0.0.1:{source.port}"}
    settings |= dict.fromkeys(
        ("STORE_WAIT_SECONDS", "SOURCE_IDLE_SECONDS"), "3600"
    )  # only the shutdown ends waiting
    stalled = source.serve("/film.mp4", replace(WHOLE, stall_after=SIZE // 2))
    unanswered = [source.serve(path, ServerBehaviour(no_answer=True)) for path in WAITING]
    with (
        running_app(tmp_path, **settings) as app,
        httpx.Client(base_url=app.url, timeout=HANG_SECONDS) as api,
    ):
        user = sign_up(api)
        video_id = store(api, stalled, Prefer="respond-async").json()["data"]["videoId"]
        path = f"/api/auth/video/{video_id}"
        eventually(lambda: data(api, path).get("progress", {}).get("bytesDone", 0) > MIB, pause=0.2)
        with ThreadPoolExecutor(len(WAITING)) as threads:
            waiting = [threads.submit(store, api, url) for url in unanswered]
            gallery = f"/api/auth/video/gallery?userId={user['userId']}"
            eventually(lambda: data(api, gallery)["processingCount"] == 1 + len(WAITING), pause=0.2)
            assert not any(each.done() for each in waiting)
            app.stop(signal.SIGTERM)
            assert {each.result().status_code for each in waiting} == {202}
    wait_until_nothing_runs(tmp_path)
    assert status_of(tmp_path, video_id) == "queued"
    source.serve("/film.mp4", WHOLE)
    for path_of_waiting in WAITING:
        source.serve(path_of_waiting, ServerBehaviour(status=404))
    with (
        running_app(tmp_path, **settings) as app,
        httpx.Client(base_url=app.url, headers=api.headers) as again,
    ):
        eventually(lambda: data(again, path)["status"] == "ready", pause=0.2)
        assert len(again.get(f"{path}/download", follow_redirects=True).content) == SIZE
        other = source.serve("/other.mp4", replace(WHOLE, stall_after=SIZE // 2))
        other_id = store(again, other, Prefer="respond-async").json()["data"]["videoId"]
        other_path = f"/api/auth/video/{other_id}"
        eventually(lambda: data(again, other_path).get("progress", {}).get("bytesDone", 0) > MIB, pause=0.2)
        app.stop(signal.SIGINT)
    wait_until_nothing_runs(tmp_path)
    assert status_of(tmp_path, other_id) == "queued"


def sign_up(api: httpx.Client) -> dict[str, str]:
    """The new user, whose token the client sends from now on."""
    account = {"email": EMAIL, "password": PASSWORD}
    answer = api.post("/api/auth/register", json=account).json()["data"]
    remember(PASSWORD, answer["token"])
    api.headers["Authorization"] = f"Bearer {answer['token']}"
    user: dict[str, str] = answer["user"]
    return user


def store(api: httpx.Client, url: str, **headers: str) -> httpx.Response:
    body = {"videoUrl": url, "userEmail": EMAIL}
    return api.post("/api/auth/video/download", json=body, headers=headers)


def data(api: httpx.Client, path: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(path).json()["data"]
    return found


def status_of(data_dir: Path, video_id: str) -> str:
    with closing(sqlite3.connect(data_dir / "videovault.db")) as database:
        [found] = database.execute("SELECT status FROM videos WHERE id = ?", (video_id,)).fetchone()
        return str(found)


def wait_until_nothing_runs(data_dir: Path) -> None:
    """Wait until no process of this folder's app is left."""

    def left() -> str:
        return subprocess.run(["pgrep", "-f", str(data_dir)], capture_output=True, text=True).stdout  # noqa: PLW1510, S607 - pgrep finds nothing with status 1

    eventually(lambda: not left(), lambda: f"still running: {left()}", pause=0.2)
