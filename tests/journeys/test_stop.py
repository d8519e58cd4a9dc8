"""The server ends at once though many wait for it, and leaves none of them without an answer."""

import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.fixtures.app import RunningApp, running_app
from tests.fixtures.waiting import HANG_SECONDS, eventually
from tests.journeys.test_restart import EMAIL, signed_in

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
WAITING = 50


def test_whoever_waits_is_answered_when_the_server_is_told_to_stop(tmp_path: Path) -> None:
    settings = {"SOURCE_ALLOW_HOSTS": "127.0.0.1:9", "WORKERS": "0", "VIDEO_WEBHOOK_URL": ""}
    settings["STORE_WAIT_SECONDS"] = "3600"  # so that nothing but the stop ends the waiting
    with running_app(tmp_path, **settings) as app, ThreadPoolExecutor(WAITING) as threads:
        headers = signed_in(app)
        waiting = [threads.submit(store, app, headers, number) for number in range(WAITING)]
        query = {"userId": user_id(app, headers)}
        eventually(lambda: gallery(app, headers, query)["processingCount"] == WAITING)
        assert not any(one.done() for one in waiting)
        app.process.send_signal(signal.SIGTERM)
        app.process.wait(HANG_SECONDS)
        assert {one.result() for one in waiting} == {202}


def store(app: RunningApp, headers: dict[str, str], number: int) -> int:
    body = {"videoUrl": f"http://127.0.0.1:9/{number}.mp4", "userEmail": EMAIL}
    url = f"{app.url}/api/auth/video/download"
    return httpx.post(url, json=body, headers=headers, timeout=HANG_SECONDS).status_code


def user_id(app: RunningApp, headers: dict[str, str]) -> str:
    return str(httpx.get(f"{app.url}/api/auth/me", headers=headers).json()["data"]["user"]["userId"])


def gallery(app: RunningApp, headers: dict[str, str], query: dict[str, str]) -> dict[str, int]:
    answer = httpx.get(f"{app.url}/api/auth/video/gallery", params=query, headers=headers)
    data: dict[str, int] = answer.json()["data"]
    return data
