"""The embedded processes as the web process runs them, with a real rclone."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from tests.embedded.processes import is_running, linux_only, wait_until, wait_until_gone
from tests.support.app import free_port
from tests.support.keys import ONE_KEY
from videovault import installation
from videovault.config import EMBEDDED_BUCKET, settings
from videovault.embedded import supervisor
from videovault.embedded.processes import ChildProcess
from videovault.embedded.supervisor import embedded_processes

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("own_settings")]

# A web process: prints that it is ready, then sleeps.
WEB_PROCESS = """
import asyncio
from videovault.embedded.supervisor import embedded_processes
async def main():
    async with embedded_processes():
        print("ready", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
def s3_only(own_settings: pytest.MonkeyPatch) -> None:
    """Settings with the embedded S3, but neither studio nor worker."""
    own_settings.setenv("SCRIPT_WEBHOOK_URL", "")
    own_settings.setenv("VIDEO_WEBHOOK_URL", "")
    own_settings.setenv("WORKERS", "0")


def _s3_answers() -> bool:
    made = settings().installation
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{made.s3_port}",
        aws_access_key_id=made.s3_access_key,
        aws_secret_access_key=made.s3_secret_key,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    try:
        client.head_bucket(Bucket=EMBEDDED_BUCKET)
    except Exception:  # noqa: BLE001 - any error means that it does not answer
        return False
    return True


def _s3_processes() -> list[int]:
    """The ids of the processes that serve this installation's S3."""
    return _processes_with(f"127.0.0.1:{settings().installation.s3_port}")


def _processes_with(argument: str) -> list[int]:
    commands = Path("/proc").glob("[0-9]*/cmdline")
    return [int(file.parent.name) for file in commands if argument.encode() in _content(file)]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # the process has just ended
        return b""


@linux_only
@pytest.mark.usefixtures("s3_only")
def test_the_s3_runs_inside_the_block_only() -> None:
    async def main() -> list[int]:
        async with embedded_processes():
            assert await asyncio.to_thread(_s3_answers)
            return _s3_processes()

    (pid,) = asyncio.run(main())
    assert not is_running(pid)
    assert not _s3_answers()


@linux_only
@pytest.mark.usefixtures("s3_only")
def test_a_killed_s3_is_restarted() -> None:
    async def main() -> None:
        async with embedded_processes():
            (first,) = _s3_processes()
            os.kill(first, signal.SIGKILL)
            wait_until_gone(first)
            await wait_until(_s3_answers)
            (second,) = _s3_processes()
            assert second != first

    asyncio.run(main())


@linux_only
@pytest.mark.usefixtures("s3_only")
def test_a_second_process_takes_over_when_the_first_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "LOCK_WAIT_SECONDS", 0.3)

    async def main() -> None:
        async with AsyncExitStack() as second:
            async with embedded_processes():
                before = _s3_processes()
                await second.enter_async_context(embedded_processes())
                assert _s3_processes() == before
                assert len(before) == 1
            await wait_until(_s3_answers)
            (after,) = _s3_processes()
            assert after not in before
        assert not is_running(after)

    asyncio.run(main())


@linux_only
@pytest.mark.usefixtures("s3_only")
def test_the_embedded_processes_end_when_the_web_process_is_killed() -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    web = subprocess.Popen([sys.executable, "-c", WEB_PROCESS], stdout=subprocess.PIPE, env=environment)
    assert web.stdout
    assert web.stdout.readline() == b"ready\n"
    assert _s3_answers()
    (pid,) = _s3_processes()
    web.kill()
    web.communicate()
    wait_until_gone(pid)


@pytest.mark.usefixtures("s3_only")
def test_a_port_in_use_is_replaced() -> None:
    taken = settings().installation.s3_port

    async def main() -> None:
        async with embedded_processes():
            assert settings().installation.s3_port != taken
            assert await asyncio.to_thread(_s3_answers)

    with socket.create_server(("127.0.0.1", taken)):
        asyncio.run(main())
    assert installation.load_or_create(settings().data_dir).s3_port != taken


def test_by_default_everything_is_embedded_and_the_worker_starts_last() -> None:
    names = [process.name for process in supervisor.processes_for(settings())]
    assert names == ["The embedded S3", "The embedded studio", "The worker"]


def test_external_services_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_BUCKET_NAME", "videos")
    monkeypatch.setenv("SCRIPT_WEBHOOK_URL", "https://n8n.example.org/script")
    monkeypatch.setenv("VIDEO_WEBHOOK_URL", "https://n8n.example.org/video")
    monkeypatch.setenv("WORKERS", "0")
    assert supervisor.processes_for(settings()) == []


def test_the_studio_gets_its_port_folder_and_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_MODE", "direct")
    studio = supervisor.processes_for(settings())[1]
    port, folder = settings().installation.studio_port, settings().data_dir / "studio"
    assert studio.argv[1:] == [
        *("-m", "videovault.embedded.studio"),
        *("--port", str(port), "--data-dir", str(folder), "--mode", "direct"),
        *("--callback", settings().status_callback_url),
    ]
    assert studio.port == port


@linux_only
def test_the_studio_gets_its_key_and_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "SECRET_KEY": ONE_KEY,
        "SMTP_URL": "smtp://me:a-secret-of-the-settings@mail.example",
        "MAIL_FROM": "videos@example.com",
        "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-settings",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a-secret-of-the-settings",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    studio = supervisor.processes_for(settings())[1]
    assert settings().installation.studio_key not in " ".join(studio.argv)

    async def main() -> None:
        async with supervisor.running_processes([studio]):
            [pid] = _processes_with(str(settings().data_dir / "studio"))
            environment = _content(Path(f"/proc/{pid}/environ"))
            assert b"PATH=" in environment
            assert f"VIDEOVAULT_STUDIO_KEY={settings().installation.studio_key}".encode() in environment
            assert [name for name in secrets if f"{name}=".encode() in environment] == []
            assert b"a-secret-of-the-settings" not in environment
            assert ONE_KEY.encode() not in environment

    asyncio.run(main())


def test_the_app_does_not_wait_for_the_second_server_and_the_worker_starts_after_it(tmp_path: Path) -> None:
    """The studio takes as long to start as all else that a start still has to do."""
    order, may_listen = tmp_path / "order", tmp_path / "may listen"
    slow_port, fast_port = free_port(), free_port()
    children = [
        _child("fast", _SERVER, fast_port, order, tmp_path),
        _child("slow", _SERVER, slow_port, order, may_listen),
        _child("worker", _WORKER, None, order, tmp_path),
    ]

    async def main() -> None:
        async with supervisor.running_processes(children):
            assert order.read_text().split() == ["fast"]
            may_listen.touch()
            await wait_until(lambda: len(order.read_text().split()) == 3)

    asyncio.run(main())
    assert order.read_text().split() == ["fast", "slow", "worker"]


# Arguments: name, file to report to, file to wait for, port.
_SERVER = """
import pathlib, socket, sys, time
while not pathlib.Path(sys.argv[3]).exists(): time.sleep(0.01)
with open(sys.argv[2], "a") as order: order.write(sys.argv[1] + " ")
with socket.create_server(("127.0.0.1", int(sys.argv[4]))): time.sleep(600)
"""
_WORKER = """
import sys, time
with open(sys.argv[2], "a") as order: order.write(sys.argv[1] + " ")
time.sleep(600)
"""


def _child(name: str, program: str, port: int | None, order: Path, awaited: Path) -> ChildProcess:
    return ChildProcess(
        name, [sys.executable, "-c", program, name, str(order), str(awaited), str(port)], port=port
    )
