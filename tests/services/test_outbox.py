"""Every message in the outbox is delivered at least once, by any machine, or given up with a reason."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from standardwebhooks import Webhook

from tests.support.installation import Configure
from tests.support.mail_server import MailServer, mail_server
from tests.support.receiver import SECRET, Receiver, receiver
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import Channel, OutboxMessage, User
from videovault.services import outbox
from videovault.services.accounts import passwords
from videovault.services.core.access import Caller
from videovault.services.maintenance import repair

QueueMessage = Callable[..., str]


@pytest.fixture
def webhook(configure: Configure) -> Iterator[Receiver]:
    """The configured webhook receiver."""
    with receiver() as running:
        configure(NOTIFY_WEBHOOK_URL=running.url, WEBHOOK_SECRET=SECRET)
        yield running


@pytest.fixture
def mail(configure: Configure) -> Iterator[MailServer]:
    """The configured mail server."""
    with mail_server() as running:
        configure(
            SMTP_URL=f"smtp://127.0.0.1:{running.port}",
            MAIL_FROM="VideoVault <videos@brot.example>",
            PUBLIC_URL="https://videos.brot.example",
        )
        yield running


def queue_message(user_id: str, channel: Channel, **data: Any) -> str:
    data = {"videoId": "video_1", "userId": user_id, "title": "Bread", "status": "ready"} | data
    kind = f"video.{data['status']}"
    payload = {"type": kind, "timestamp": "2026-01-26T10:15:00.000Z", "data": data}
    with transaction() as session:
        message = OutboxMessage(kind=kind, channel=channel, video_id="video_1", payload=payload)
        session.add(message)
        return message.id


def reset_message(message_id: str, **values: Any) -> OutboxMessage:
    return OutboxMessage(id=message_id, kind="mail", channel=Channel.MAIL, video_id="", payload={}, **values)


def deliver(channel: Channel) -> None:
    outbox.deliver_due(channel, stopping=lambda: False)


def read_message(message_id: str) -> OutboxMessage:
    with reading() as session:
        return session.get_one(OutboxMessage, message_id)


def make_due(message_id: str) -> None:
    with transaction() as session:
        message = session.get_one(OutboxMessage, message_id)
        assert message.next_attempt_at
        message.next_attempt_at = utcnow()


def test_a_message_is_delivered_signed_and_once(webhook: Receiver) -> None:
    message_id = queue_message("u", Channel.WEBHOOK)
    for _ in range(3):
        deliver(Channel.WEBHOOK)
    [delivery] = webhook.deliveries
    assert Webhook(SECRET).verify(delivery.body, delivery.headers) == read_message(message_id).payload
    assert delivery.headers["webhook-id"] == message_id
    message = read_message(message_id)
    assert message.delivered_at
    assert (message.attempts, message.next_attempt_at, message.last_error) == (1, None, None)


def test_a_failing_receiver_gets_the_message_later_with_the_same_id(webhook: Receiver) -> None:
    webhook.status = 503
    message_id = queue_message("u", Channel.WEBHOOK)
    for _ in range(2):
        deliver(Channel.WEBHOOK)
    message = read_message(message_id)
    assert (message.attempts, message.last_error) == (1, "NOTIFY_WEBHOOK_URL answered 503.")
    assert message.next_attempt_at
    assert message.next_attempt_at - utcnow() <= outbox.RETRY_DELAYS[0]

    webhook.status = 200
    make_due(message_id)
    deliver(Channel.WEBHOOK)
    assert [delivery.headers["webhook-id"] for delivery in webhook.deliveries] == [message_id] * 2
    assert read_message(message_id).delivered_at


def test_a_message_is_given_up_after_eight_attempts_in_a_day(webhook: Receiver) -> None:
    webhook.status = 500
    message_id = queue_message("u", Channel.WEBHOOK)
    for _ in outbox.RETRY_DELAYS:
        deliver(Channel.WEBHOOK)
        make_due(message_id)
    deliver(Channel.WEBHOOK)
    message = read_message(message_id)
    assert (message.attempts, message.next_attempt_at, message.delivered_at) == (8, None, None)
    assert sum(outbox.RETRY_DELAYS, timedelta()) < timedelta(days=1)


def test_a_permanent_refusal_is_not_retried(webhook: Receiver) -> None:
    webhook.status = 410
    message_id = queue_message("u", Channel.WEBHOOK)
    deliver(Channel.WEBHOOK)
    message = read_message(message_id)
    assert (message.attempts, message.next_attempt_at, message.delivered_at) == (1, None, None)


def test_a_bug_with_one_message_does_not_block_the_others(webhook: Receiver) -> None:
    broken, good = queue_message("u", Channel.WEBHOOK), queue_message("u", Channel.WEBHOOK)
    with transaction() as session:
        session.get_one(OutboxMessage, broken).payload = {"not": "what we \ud800 write"}
    deliver(Channel.WEBHOOK)
    assert [delivery.headers["webhook-id"] for delivery in webhook.deliveries] == [good]
    assert "on our side" in str(read_message(broken).last_error)
    assert read_message(broken).next_attempt_at


def test_a_stopping_worker_sends_nothing(webhook: Receiver) -> None:
    message_id = queue_message("u", Channel.WEBHOOK)
    outbox.deliver_due(Channel.WEBHOOK, stopping=lambda: True)
    assert (webhook.deliveries, read_message(message_id).attempts) == ([], 0)


def test_messages_claimed_by_a_dead_worker_are_sent_after_its_lease(webhook: Receiver) -> None:
    message_id = queue_message("u", Channel.WEBHOOK)
    assert outbox._claim(message_id)
    deliver(Channel.WEBHOOK)
    assert webhook.deliveries == []
    make_due(message_id)
    deliver(Channel.WEBHOOK)
    assert [delivery.headers["webhook-id"] for delivery in webhook.deliveries] == [message_id]


def test_many_workers_at_once_deliver_each_message_once(database: str, webhook: Receiver) -> None:
    del database
    messages = {queue_message("u", Channel.WEBHOOK) for _ in range(12)}
    with ThreadPoolExecutor(4) as machines:
        list(machines.map(deliver, [Channel.WEBHOOK] * 4))
    assert sorted(delivery.headers["webhook-id"] for delivery in webhook.deliveries) == sorted(messages)
    assert all(read_message(message_id).attempts == 1 for message_id in messages)


def test_owners_get_an_email_with_a_link_to_the_video(mail: MailServer, anna: Caller) -> None:
    message_id = queue_message(anna.user_id, Channel.MAIL)
    deliver(Channel.MAIL)
    [taken] = mail.letters
    assert taken.recipients == [anna.email]
    assert taken.message["Subject"] == "“Bread” is ready"
    assert taken.message["Message-ID"] == f"<{message_id}@brot.example>"
    assert "https://videos.brot.example/gallery?video=video_1" in taken.message.get_content().splitlines()
    assert read_message(message_id).delivered_at


def test_an_email_about_a_failure_gives_the_reason(mail: MailServer, anna: Caller) -> None:
    queue_message(
        anna.user_id, Channel.MAIL, status="failed", error={"code": "SOURCE_FAILED", "message": "Gone."}
    )
    deliver(Channel.MAIL)
    [taken] = mail.letters
    assert taken.message["Subject"] == "“Bread” failed"
    assert taken.message.get_content().startswith("“Bread” failed: Gone.")


def test_a_temporary_mail_error_is_retried_with_the_same_message(mail: MailServer, anna: Caller) -> None:
    mail.answers["RCPT"] = "452 Mailbox full"
    message_id = queue_message(anna.user_id, Channel.MAIL)
    deliver(Channel.MAIL)
    assert "452 Mailbox full" in str(read_message(message_id).last_error)
    mail.answers.clear()
    make_due(message_id)
    deliver(Channel.MAIL)
    assert [taken.message["Message-ID"] for taken in mail.letters] == [f"<{message_id}@brot.example>"]


def test_a_permanent_mail_error_is_not_retried(mail: MailServer, anna: Caller) -> None:
    mail.answers["RCPT"] = "550 No such user"
    message_id = queue_message(anna.user_id, Channel.MAIL)
    deliver(Channel.MAIL)
    assert (read_message(message_id).next_attempt_at, read_message(message_id).delivered_at) == (None, None)


def test_a_closed_account_gets_no_email(mail: MailServer, anna: Caller) -> None:
    with transaction() as session:
        session.get_one(User, anna.user_id).is_active = False
    message_id = queue_message(anna.user_id, Channel.MAIL)
    deliver(Channel.MAIL)
    assert mail.letters == []
    assert read_message(message_id).last_error == "The account is closed."


def test_old_messages_are_purged(webhook: Receiver) -> None:
    del webhook
    old, young = queue_message("u", Channel.WEBHOOK), queue_message("u", Channel.WEBHOOK)
    with transaction() as session:
        session.get_one(OutboxMessage, old).created_at = utcnow() - outbox.RETENTION - timedelta(minutes=1)
    outbox.purge()
    with reading() as session:
        assert session.get(OutboxMessage, old) is None
    assert read_message(young).id == young


def test_messages_to_unknown_addresses_are_purged(anna: Caller, configure: Configure) -> None:
    del anna
    configure(SMTP_URL="smtp://127.0.0.1:9", MAIL_FROM="videos@example.com")
    passwords.request_reset("nobody@example.com")
    passwords.request_reset("anna@example.com")
    with transaction() as session:
        given_up = reset_message("msg_given_up", last_error="refused")
        delivered = reset_message("msg_delivered", delivered_at=utcnow())
        session.add_all([given_up, delivered])
        session.flush()
        given_up.next_attempt_at = delivered.next_attempt_at = None
    repair.clean_up()
    with reading() as session:
        kept = session.exec(select(OutboxMessage)).all()
    assert {message.last_error for message in kept if not message.next_attempt_at} == {"refused", None}
    assert len(kept) == 3


def test_the_outbox_is_bounded(anna: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    del anna
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 2)
    with transaction() as session:
        session.add_all(
            reset_message(f"msg_{number}", created_at=utcnow() - timedelta(minutes=number))
            for number in range(5)
        )
    repair.clean_up()
    with reading() as session:
        assert set(session.exec(select(OutboxMessage.id))) == {"msg_0", "msg_1"}
