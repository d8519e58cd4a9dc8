"""The log of the whole product at its most talkative, after everything that went wrong with a secret at hand."""

from pathlib import Path

import httpx
import pytest

from tests.fixtures import log_grep
from tests.fixtures.app import running_app
from tests.fixtures.log_grep import leaks, remember
from tests.fixtures.naughty_server import Manners, NaughtyServer
from tests.fixtures.waiting import HANG_SECONDS
from tests.journeys.test_restart import EMAIL, signed_in

pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]
QUERY = "sig=my-source-signature&X-Amz-Signature=my-source-signature"
WRONG = "wrong horse battery"


def test_what_failed_is_told_without_the_secrets_it_failed_with(tmp_path: Path) -> None:
    remember("my-source-signature", "my-bad-token-of-a-program", "my-share-key", WRONG)
    with NaughtyServer() as source:
        url = f"{source.serve('/film.mp4', Manners(status=403))}?{QUERY}"
        allowed = {"SOURCE_ALLOW_HOSTS": f"127.0.0.1:{source.port}"}
        with running_app(tmp_path, LOG_LEVEL="debug", **allowed) as app:
            own = signed_in(app)
            with httpx.Client(base_url=app.url, timeout=HANG_SECONDS) as api:
                body = {"videoUrl": url, "userEmail": EMAIL}
                assert api.post("/api/auth/video/download", json=body, headers=own).status_code == 422
                bad = {"Authorization": "Bearer my-bad-token-of-a-program"}
                assert api.get("/api/auth/me", headers=bad).status_code == 401
                account = {"email": EMAIL, "password": WRONG}
                assert api.post("/api/auth/login", json=account).status_code == 401
                api.get("/share/video_1_a?key=my-share-key")
                api.get("/videovault/videos/a.mp4?X-Amz-Signature=my-source-signature")
            log = app.log
    assert "/api/auth/video/download" in log.read_text()
    assert leaks() == []


def test_a_secret_that_is_in_a_log_is_found(tmp_path: Path) -> None:
    secret = "planted-secret-in-a-log"
    log = tmp_path / "app.log"
    log.write_text(f"here is {secret}\n")
    log_grep.watch(log, WEBHOOK_SECRET=secret)
    try:
        assert [leak.partition(": ")[2] for leak in leaks()] == ["plan… (23 characters)"]
    finally:
        log_grep._logs.discard(log)
        log_grep._used.discard(secret)
