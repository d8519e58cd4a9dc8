"""A worker's own port: whether it could claim, and its metrics."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.support.installation import Configure
from tests.support.scrape import OPENMETRICS, TOKEN, parse
from tests.support.waiting import HANG_SECONDS, eventually
from videovault import db, worker_health
from videovault.errors import ConfigurationError
from videovault.services.transfer import scheduler
from videovault.worker import queue
from videovault.worker_health import HealthServer, Readiness

pytestmark = pytest.mark.usefixtures("installation", "counting", "any_port")
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - what is tested
WORKS: dict[str, Callable[[], object]] = {"database": lambda: None, "queue": lambda: None}


@pytest.fixture
def any_port(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(WORKER_PORT=0)
    monkeypatch.setattr(worker_health, "POLL_SECONDS", 0.02)


@contextmanager
def answering(
    checks: dict[str, Callable[[], object]], stopping: threading.Event | None = None
) -> Iterator[str]:
    """The URL of the port of a worker with these checks."""
    stop = stopping or threading.Event()
    server = HealthServer(Readiness(checks, stop))
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        stop.set()
        server.stop()


def test_a_worker_that_can_claim_is_ready() -> None:
    with answering({"database": scheduler.try_claim, "queue": queue().huey.pending_count}) as url:
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        assert httpx.get(f"{url}/readyz").json() == {"status": "ok", "checks": {"claim": "ok"}}
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
        assert httpx.get(f"{url}/other").status_code == 404


@pytest.mark.parametrize("failing", ["database", "queue"])
def test_a_worker_is_not_ready_before_each_part_has_answered(failing: str) -> None:
    answered = threading.Event()
    with answering(WORKS | {failing: answered.wait}) as url:
        answer = httpx.get(f"{url}/readyz")
        assert answer.status_code == 503
        eventually(lambda: list(httpx.get(f"{url}/readyz").json()["checks"]) == [failing])
        assert httpx.get(f"{url}/healthz").status_code == 200
        answered.set()
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200)


def test_a_worker_whose_database_goes_away_is_no_longer_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_health, "CHECK_SECONDS", 0.01)
    is_away = threading.Event()

    def database() -> None:
        if is_away.is_set():
            raise OSError("away")

    with answering(WORKS | {"database": database}) as url:
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        is_away.set()
        monkeypatch.setattr(worker_health, "READY_SECONDS", 0.0)
        eventually(lambda: "database" in httpx.get(f"{url}/readyz").json()["checks"])


def test_a_stopping_worker_is_not_ready() -> None:
    stopping = threading.Event()
    with answering(WORKS, stopping) as url:
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200)
        stopping.set()
        assert httpx.get(f"{url}/readyz").json()["checks"] == {"worker": worker_health.STOPPING}


def test_trying_to_claim_changes_nothing_and_fails_with_the_database(configure: Configure) -> None:
    scheduler.try_claim()
    assert db.engine().pool.status()
    configure(DATABASE_URL="sqlite:///empty.db")
    with pytest.raises(Exception, match="no such table"):
        scheduler.try_claim()


def test_a_worker_serves_its_own_metrics() -> None:
    with answering(WORKS) as url:
        answer = httpx.get(f"{url}/metrics", headers=OPENMETRICS)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert 'videovault_transfers_total{outcome="stored"}' in parse(answer.content)


def test_metrics_need_the_token_where_one_is_set(configure: Configure) -> None:
    configure(METRICS_TOKEN=TOKEN)
    with answering(WORKS) as url:
        assert httpx.get(f"{url}/metrics").status_code == 401
        assert httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_other_machines_read_no_metrics_without_a_token(configure: Configure) -> None:
    configure(WORKER_HOST=ANY_ADDRESS)
    with answering(WORKS) as url:
        assert httpx.get(f"{url}/metrics").status_code == 404
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_a_taken_port_is_named(configure: Configure) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        configure(WORKER_PORT=other.getsockname()[1])
        with pytest.raises(ConfigurationError, match="Each worker on a machine needs its own WORKER_PORT"):
            HealthServer(Readiness(WORKS, threading.Event()))


def test_as_many_silent_callers_as_there_are_connections_keep_no_probe_out() -> None:
    with answering(WORKS) as url, ExitStack() as silent:
        for _ in range(2 * worker_health.MAX_CONNECTIONS):
            silent.enter_context(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))))
        assert httpx.get(f"{url}/healthz", timeout=HANG_SECONDS).status_code == 200


def test_callers_that_send_nothing_are_closed_and_keep_no_others_out(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = worker_health.CONNECTION_SECONDS
    with answering(WORKS) as url:
        monkeypatch.setattr(worker_health, "CONNECTION_SECONDS", 0.0)
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        for silent in [socket.create_connection(address) for _ in range(worker_health.MAX_CONNECTIONS)]:
            silent.settimeout(HANG_SECONDS)
            assert silent.recv(1) == b""
            silent.close()
        monkeypatch.setattr(worker_health, "CONNECTION_SECONDS", allowed)
        assert httpx.get(f"{url}/healthz").status_code == 200
