"""The worker process: generators and mail servers that hang delay nothing else."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import log_grep
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.receiver import receiver
from tests.support.waiting import HANG_SECONDS, eventually
from videovault.config import HEARTBEAT_FD
from videovault.db import reading, transaction
from videovault.gateways.storage import Storage
from videovault.models import Channel, OutboxMessage, Status, Video
from videovault.services.accounts import accounts
from videovault.services.core.access import Caller
from videovault.services.generation import orders
from videovault.services.transfer import lease
from videovault.services.videos import gallery
from videovault.worker import enqueue

pytestmark = pytest.mark.process

SCRIPT = {"hook": "Look", "body": "It is a thing.", "conclusion": "Buy it.", "avatar": "Anna"}


@pytest.fixture
def anna(moto_s3: Storage) -> Caller:
    del moto_s3
    return accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)


@contextmanager
def running_worker(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m videovault worker` in the folder of ``log``."""
    log_grep.watch(log)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "videovault", "worker"], cwd=log.parent, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log_grep.learn(log.parent / "var")
        print(log.read_text(errors="replace")[-3000:])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


def wait_for(video_id: str, status: Status) -> Video:
    def found() -> Video:
        with reading() as session:
            return session.get_one(Video, video_id)

    eventually(lambda: found().status == status, lambda: f"it is {found().status}: {found().error_message}")
    return found()


def test_a_hanging_generator_delays_no_transfer_and_no_polling(
    anna: Caller, generator: Generator, configure: Configure, log: Path
) -> None:
    configure(WORKERS=1, WEBHOOK_TIMEOUT_SECONDS=3600)
    generator.then("hang", "poll")
    generator.polls_needed = 1
    with running_worker(log):
        hangs = orders.request(anna, SCRIPT, enqueue=enqueue).video_id
        eventually(lambda: generator.requests)
        polled = orders.request(anna, SCRIPT, enqueue=enqueue).video_id
        stored = gallery.store_link(anna, generator.file("other.mp4"), anna.email, enqueue=enqueue).video_id
        wait_for(stored, Status.READY)
        wait_for(polled, Status.READY)
        assert wait_for(hangs, Status.GENERATING).requested_at
    assert sorted(generator.renders.values()) == [1, 1]


@pytest.mark.usefixtures("installation")
def test_an_embedded_worker_that_waits_for_its_database_sends_heartbeats(
    configure: Configure, tmp_path: Path
) -> None:
    """Its supervisor would kill it otherwise."""
    configure(DATABASE_URL="postgresql+psycopg://videovault@127.0.0.1:1/away", START_WAIT_SECONDS=3600)
    heartbeats, written = os.pipe()
    environment = {**os.environ, HEARTBEAT_FD: str(written)}
    with (
        os.fdopen(heartbeats, "rb", buffering=0) as received,
        subprocess.Popen(
            [sys.executable, "-m", "videovault", "worker"],
            cwd=tmp_path,
            env=environment,
            pass_fds=(written,),
            stderr=subprocess.PIPE,
        ) as process,
    ):
        os.close(written)
        try:
            assert process.stderr
            assert any(b"waiting to start" in line for line in process.stderr)
            assert select.select([received], [], [], HANG_SECONDS)[0]
            assert received.read(1) == b"."
        finally:
            process.kill()


@pytest.mark.usefixtures("installation", "moto_s3")
def test_a_worker_registers_and_deregisters(log: Path) -> None:
    with running_worker(log) as process:
        wait_for_workers(1)
        process.terminate()
        assert process.wait(HANG_SECONDS) == 0
        wait_for_workers(0)


def wait_for_workers(number: int) -> None:
    eventually(lambda: len(lease.list_workers()[0]) == number, lambda: f"not {number} workers")


def test_a_hanging_mail_server_does_not_delay_the_webhook(configure: Configure, log: Path) -> None:
    anna = accounts.register("anna@example.com", "correct horse").user.user_id
    with socket.create_server(("127.0.0.1", 0)) as mail_server, receiver() as webhook:
        mail_server.settimeout(HANG_SECONDS)
        configure(
            NOTIFY_WEBHOOK_URL=webhook.url,
            SMTP_URL=f"smtp://127.0.0.1:{mail_server.getsockname()[1]}",
            MAIL_FROM="videos@example.com",
        )
        add_message(Channel.MAIL, anna)
        with running_worker(log):
            hanging, _ = mail_server.accept()
            with hanging:
                add_message(Channel.WEBHOOK, anna)
                assert webhook.told.wait(HANG_SECONDS)


def add_message(channel: Channel, user_id: str) -> None:
    payload = {"data": {"userId": user_id, "title": "Bread"}}
    with transaction() as session:
        session.add(OutboxMessage(kind="video.ready", channel=channel, video_id="video_1", payload=payload))
