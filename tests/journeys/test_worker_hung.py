"""A worker that hangs during a transfer is replaced, and its video becomes ready."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.embedded.processes import is_running, linux_only
from tests.support.app import RunningApp
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from tests.support.waiting import eventually

pytestmark = [linux_only, pytest.mark.process]

SIZE = 12 * MIB
TIMEOUT_SECONDS = 150
LOGIN = {"email": "hung@example.com", "password": "correct horse"}


def workers(app: RunningApp) -> list[int]:
    """The worker processes of this installation."""
    ours = f"DATA_DIR={app.data_dir}".encode()
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _is_worker(folder, ours)]


def _is_worker(folder: Path, ours: bytes) -> bool:
    try:
        command = (folder / "cmdline").read_bytes().split(b"\0")
        return command[-3:-1] == [b"videovault", b"worker"] and ours in (folder / "environ").read_bytes()
    except OSError:  # the process has just ended
        return False


@pytest.fixture
def api(app: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app.url, timeout=60) as client:
        data = client.post("/api/auth/register", json=LOGIN).json()["data"]
        client.headers["Authorization"] = f"Bearer {data['token']}"
        yield client


def test_hung_worker_is_replaced(app: RunningApp, api: httpx.Client, source: MisbehavingServer) -> None:
    def wait(met: Callable[[], bool]) -> None:
        eventually(met, lambda: app.log.read_text(errors="replace")[-3000:], TIMEOUT_SECONDS, pause=0.2)

    url = source.serve("/film.mp4", ServerBehaviour(size=SIZE, bytes_per_second=MIB))
    body = {"videoUrl": url, "userEmail": LOGIN["email"]}
    asked = api.post("/api/auth/video/download", json=body, headers={"Prefer": "respond-async"})
    path = f"/api/auth/video/{asked.json()['data']['videoId']}"
    wait(lambda: source.bytes_sent("/film.mp4") > MIB)
    [hung] = workers(app)
    os.kill(hung, signal.SIGSTOP)
    wait(lambda: not is_running(hung))
    source.serve("/film.mp4", ServerBehaviour(size=SIZE))
    wait(lambda: api.get(path).json()["data"]["status"] == "ready")
    assert api.get(f"{path}/download", follow_redirects=True).content == payload(SIZE)
    assert len(workers(app)) == 1
    assert "has sent no heartbeat" in app.log.read_text(errors="replace")
