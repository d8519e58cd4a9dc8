"""The log at level debug contains no secrets."""

from pathlib import Path

import httpx
import pytest

from tests.journeys.conftest import ADMIN, PASSWORD
from tests.support import log_grep
from tests.support.app import RunningApp
from tests.support.log_grep import leaks, remember
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.waiting import HANG_SECONDS, eventually

pytestmark = pytest.mark.process
QUERY = "sig=my-source-signature&X-Amz-Signature=my-source-signature"
WRONG = "wrong horse battery"


def test_failures_are_logged_without_secrets(app: RunningApp, source: MisbehavingServer) -> None:
    remember("my-source-signature", "my-bad-token-of-a-program", "my-share-key", WRONG)
    url = f"{source.serve('/film.mp4', ServerBehaviour(status=403))}?{QUERY}"
    with httpx.Client(base_url=app.url, timeout=HANG_SECONDS) as api:
        bad = {"Authorization": "Bearer my-bad-token-of-a-program"}
        assert api.get("/api/auth/me", headers=bad).status_code == 401
        account = {"email": ADMIN, "password": WRONG}
        assert api.post("/api/auth/login", json=account).status_code == 401
        api.get("/share/video_1_a?key=my-share-key")
        api.get("/videovault/videos/a.mp4?X-Amz-Signature=my-source-signature")
        token = api.post("/api/auth/login", json=account | {"password": PASSWORD}).json()["data"]["token"]
        remember(token)
        body = {"videoUrl": url, "userEmail": ADMIN}
        headers = {"Authorization": f"Bearer {token}"}
        refused = api.post("/api/auth/video/download", json=body, headers=headers)
        assert refused.status_code == 422
    eventually(lambda: refused.headers["x-request-id"] in app.log.read_text())
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
