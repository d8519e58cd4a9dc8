"""What an operator sees of real processes: probes, metrics, and one id in the log."""

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.requests import DOWNLOAD, GENERATE, SCRIPT
from tests.support.app import free_port, running_app
from tests.support.installation import Configure, migrate
from tests.support.keys import ONE_KEY
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour
from tests.support.people import PASSWORD
from tests.support.postgres import running_postgres
from tests.support.redis import running_redis
from tests.support.scrape import OPENMETRICS, TOKEN, Samples, parse
from tests.support.waiting import HANG_SECONDS, eventually
from tests.test_worker import running_worker, wait_for
from videovault.models import Status
from videovault.services.accounts import accounts
from videovault.services.videos import gallery
from videovault.worker import enqueue

pytestmark = pytest.mark.cluster
ID = "click-0123456789"
LARGE_BYTES, PARTS = 20 * MIB, 2  # or three, as the distance to S3 seems
NO_GENERATOR = "http://127.0.0.1:1/video"


def readiness(port: int) -> dict[str, Any]:
    """The answer of a worker's /readyz; empty while it does not answer."""
    try:
        answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=HANG_SECONDS).json()
    except httpx.TransportError:
        return {}
    return answer


def is_ready(port: int) -> bool:
    return readiness(port).get("status") == "ok"


def lacks(port: int, part: str) -> bool:
    return list(readiness(port).get("checks", {})) == [part]


@pytest.mark.usefixtures("moto_s3")
def test_a_worker_with_a_frozen_queue_is_not_ready_until_it_is_back(
    configure: Configure, tmp_path: Path
) -> None:
    port = free_port()
    with running_redis() as redis:
        configure(QUEUE_URL=redis.url, WORKER_PORT=port)
        with running_worker(tmp_path / "worker.log"):
            eventually(lambda: is_ready(port))
            redis.freeze()
            eventually(lambda: lacks(port, "queue"))
            assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
            redis.thaw()
            eventually(lambda: is_ready(port))


@pytest.mark.usefixtures("moto_s3")
def test_a_worker_without_its_database_is_not_ready_until_it_is_back(
    configure: Configure, tmp_path: Path, redis_url: str
) -> None:
    port = free_port()
    with running_postgres() as database:
        url = database.url.replace("postgresql:", "postgresql+psycopg:")
        migrate(url)
        configure(
            DATABASE_URL=url,
            QUEUE_URL=redis_url,
            SECRET_KEY=ONE_KEY,
            VIDEO_WEBHOOK_URL=NO_GENERATOR,
            WORKER_PORT=port,
        )
        with running_worker(tmp_path / "worker.log"):
            eventually(lambda: is_ready(port))
            database.stop()
            eventually(lambda: lacks(port, "database"))
            database.start()
            eventually(lambda: is_ready(port))


@pytest.mark.usefixtures("moto_s3")
def test_a_worker_with_full_slots_is_ready(configure: Configure, tmp_path: Path) -> None:
    port = free_port()
    with MisbehavingServer() as source:
        configure(WORKERS=1, WORKER_PORT=port, SOURCE_ALLOW_HOSTS=f"127.0.0.1:{source.port}")
        anna = accounts.authenticate(accounts.register("anna@example.com", PASSWORD).token)
        silent = source.serve("/video.mp4", ServerBehaviour(size=20 * MIB, stall_after=MIB))
        with running_worker(tmp_path / "worker.log"):
            video_id = gallery.store_link(anna, silent, anna.email, enqueue=enqueue).video_id
            wait_for(video_id, Status.STORING)
            eventually(lambda: is_ready(port))


def scrape(url: str) -> Samples:
    answer = httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}", **OPENMETRICS})
    assert answer.status_code == 200
    return parse(answer.content)


def test_one_id_leads_from_a_call_to_each_part_in_s3_and_each_video_is_counted_once(tmp_path: Path) -> None:
    """The embedded installation: the app, its worker, studio and S3 are processes of their own."""
    port = free_port()
    settings = {"LOG_FORMAT": "json", "LOG_LEVEL": "debug", "METRICS_TOKEN": TOKEN, "WORKER_PORT": str(port)}
    with (
        MisbehavingServer() as source,
        running_app(tmp_path / "var", SOURCE_ALLOW_HOSTS=f"127.0.0.1:{source.port}", **settings) as app,
    ):
        with httpx.Client(base_url=app.url, headers={"Origin": app.url}) as client:
            account = {"email": "ada@example.com", "password": PASSWORD}
            token = client.post("/api/auth/register", json=account).json()["data"]["token"]
        headers = {"Authorization": f"Bearer {token}", "X-Request-Id": ID}
        with httpx.Client(base_url=app.url, headers=headers, timeout=HANG_SECONDS) as client:
            link = source.serve("/large.mp4", ServerBehaviour(size=LARGE_BYTES))
            for path, body in (
                (GENERATE, {**SCRIPT, "email": account["email"]}),
                (DOWNLOAD, {"videoUrl": link, "userEmail": account["email"]}),
            ):
                answer = client.post(path, json=body)
                assert answer.headers["x-request-id"] == ID
                eventually(partial(_is_ready, client, answer.json()["data"]["videoId"]))
        web, worker = scrape(app.url), scrape(f"http://127.0.0.1:{port}")
    assert web["videovault_database_up"] == web["videovault_workers_alive"] == 1
    assert worker["videovault_worker_ready"] == 1
    assert worker['videovault_transfers_total{outcome="stored"}'] == 2
    assert 'videovault_transfers_total{outcome="stored"}' not in web
    assert web["process_start_time_seconds"] != worker["process_start_time_seconds"]
    lines = [json.loads(line) for line in app.log.read_text().splitlines() if line.startswith("{")]
    told = Counter(line["event"] for line in lines if line.get("request_id") == ID)
    assert told >= Counter(
        {"request": 2, "ordering the video": 1, "video stored": 2, "part sent to S3": PARTS}
    )


def _is_ready(client: httpx.Client, video_id: str) -> bool:
    return bool(client.get(f"/api/auth/video/{video_id}").json()["data"]["status"] == "ready")
