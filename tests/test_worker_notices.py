"""The worker process: nothing slow outside keeps it from the rest of its work."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.installation import Configure
from tests.support.receiver import receiver
from tests.support.waiting import HANG_SECONDS
from videovault.db import transaction
from videovault.models import Channel, OutboxMessage
from videovault.services.accounts import accounts

pytestmark = pytest.mark.process


@contextmanager
def worker() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", "videovault", "worker"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


def leave(channel: Channel, user_id: str) -> None:
    data = {"userId": user_id, "title": "Bread"}
    with transaction() as session:
        session.add(
            OutboxMessage(kind="video.ready", channel=channel, video_id="video_1", payload={"data": data})
        )


def test_a_mail_server_that_hangs_does_not_hold_up_the_webhook(configure: Configure) -> None:
    anna = accounts.register("anna@example.com", "correct horse").user.user_id
    with socket.create_server(("127.0.0.1", 0)) as mail_server, receiver() as told:
        mail_server.settimeout(HANG_SECONDS)
        configure(
            NOTIFY_WEBHOOK_URL=told.url,
            SMTP_URL=f"smtp://127.0.0.1:{mail_server.getsockname()[1]}",
            MAIL_FROM="videos@example.com",
        )
        leave(Channel.MAIL, anna)
        with worker():
            hanging, _ = mail_server.accept()
            with hanging:
                leave(Channel.WEBHOOK, anna)
                assert told.told.wait(HANG_SECONDS)
