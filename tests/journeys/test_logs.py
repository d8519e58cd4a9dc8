"""The log at level debug contains no secrets, and waiting requests are answered at shutdown."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.journeys.test_restart import EMAIL, signed_in
from tests.support import log_grep
from tests.support.app import RunningApp, running_app
from tests.support.log_grep import leaks, remember
from tests.support.misbehaving_server import Manners, NaughtyServer
from tests.support.waiting import HANG_SECONDS, eventually

pytestmark = pytest.mark.journey
QUERY = "sig=my-source-signature&X-Amz-Signature=my-source-signature"
WRONG = "wrong horse battery"
WAITING = 50


@pytest.fixture(scope="module")
def source() -> Iterator[NaughtyServer]:
    with NaughtyServer() as running:
        yield running


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, source: NaughtyServer) -> Iterator[RunningApp]:
    """Stopped by the last test."""
    settings = {"SOURCE_ALLOW_HOSTS": f"127.0.0.1:{source.port}", "LOG_LEVEL": "debug"}
    settings |= {
        "STORE_WAIT_SECONDS": "3600",
        "SOURCE_IDLE_SECONDS": "3600",
    }  # only the shutdown ends the waiting
    with running_app(tmp_path_factory.mktemp("debug"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def headers(app: RunningApp) -> dict[str, str]:
    return signed_in(app)


def test_failures_are_logged_without_secrets(
    app: RunningApp, source: NaughtyServer, headers: dict[str, str]
) -> None:
    remember("my-source-signature", "my-bad-token-of-a-program", "my-share-key", WRONG)
    url = f"{source.serve('/film.mp4', Manners(status=403))}?{QUERY}"
    with httpx.Client(base_url=app.url, timeout=HANG_SECONDS) as api:
        body = {"videoUrl": url, "userEmail": EMAIL}
        assert api.post("/api/auth/video/download", json=body, headers=headers).status_code == 422
        bad = {"Authorization": "Bearer my-bad-token-of-a-program"}
        assert api.get("/api/auth/me", headers=bad).status_code == 401
        account = {"email": EMAIL, "password": WRONG}
        assert api.post("/api/auth/login", json=account).status_code == 401
        api.get("/share/video_1_a?key=my-share-key")
        api.get("/videovault/videos/a.mp4?X-Amz-Signature=my-source-signature")
    eventually(lambda: "/api/auth/video/download" in app.log.read_text())
    assert leaks() == []


def test_secret_in_a_log_is_found(tmp_path: Path) -> None:
    secret = "planted-secret-in-a-log"
    log = tmp_path / "app.log"
    log.write_text(f"here is {secret}\n")
    log_grep.watch(log, WEBHOOK_SECRET=secret)
    try:
        assert [leak.partition(": ")[2] for leak in leaks()] == ["plan… (23 characters)"]
    finally:
        log_grep._logs.discard(log)
        log_grep._used.discard(secret)


def test_waiting_requests_are_answered_at_shutdown(
    app: RunningApp, source: NaughtyServer, headers: dict[str, str]
) -> None:
    urls = [source.serve(f"/{number}.mp4", Manners(no_answer=True)) for number in range(WAITING)]
    with ThreadPoolExecutor(WAITING) as threads:
        waiting = [threads.submit(store, app, headers, url) for url in urls]
        query = {"userId": user_id(app, headers)}
        eventually(lambda: gallery(app, headers, query)["processingCount"] == WAITING)
        assert not any(one.done() for one in waiting)
        app.process.send_signal(signal.SIGTERM)
        app.process.wait(HANG_SECONDS)
        assert {one.result() for one in waiting} == {202}


def store(app: RunningApp, headers: dict[str, str], video_url: str) -> int:
    body = {"videoUrl": video_url, "userEmail": EMAIL}
    url = f"{app.url}/api/auth/video/download"
    return httpx.post(url, json=body, headers=headers, timeout=HANG_SECONDS).status_code


def user_id(app: RunningApp, headers: dict[str, str]) -> str:
    return str(httpx.get(f"{app.url}/api/auth/me", headers=headers).json()["data"]["user"]["userId"])


def gallery(app: RunningApp, headers: dict[str, str], query: dict[str, str]) -> dict[str, int]:
    answer = httpx.get(f"{app.url}/api/auth/video/gallery", params=query, headers=headers)
    data: dict[str, int] = answer.json()["data"]
    return data
