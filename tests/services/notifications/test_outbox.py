"""What is in the outbox is delivered at least once, by whichever machine is there, or given up with a reason."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.support.installation import Configure
from tests.support.mail_server import MailServer, mail_server
from tests.support.receiver import SECRET, Receiver, receiver
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import Channel, OutboxMessage, User
from videovault.services.core.access import Caller
from videovault.services.notifications import outbox

Leave = Callable[..., str]


@pytest.fixture
def told(configure: Configure) -> Iterator[Receiver]:
    """The receiver that the settings name."""
    with receiver() as running:
        configure(NOTIFY_WEBHOOK_URL=running.url, WEBHOOK_SECRET=SECRET)
        yield running


@pytest.fixture
def post(configure: Configure) -> Iterator[MailServer]:
    """The mail server that the settings name."""
    with mail_server() as running:
        configure(
            SMTP_URL=f"smtp://127.0.0.1:{running.port}",
            MAIL_FROM="VideoVault <videos@brot.example>",
            PUBLIC_URL="https://videos.brot.example",
        )
        yield running


def leave(user_id: str, channel: Channel, **data: Any) -> str:
    data = {"videoId": "video_1", "userId": user_id, "title": "Bread", "status": "ready"} | data
    kind = f"video.{data['status']}"
    payload = {"type": kind, "timestamp": "2026-01-26T10:15:00.000Z", "data": data}
    with transaction() as session:
        message = OutboxMessage(kind=kind, channel=channel, video_id="video_1", payload=payload)
        session.add(message)
        return message.id


def deliver(channel: Channel) -> None:
    outbox.deliver_due(channel, stopping=lambda: False)


def found(message_id: str) -> OutboxMessage:
    with reading() as session:
        return session.get_one(OutboxMessage, message_id)


def pause_is_over(message_id: str) -> None:
    with transaction() as session:
        message = session.get_one(OutboxMessage, message_id)
        assert message.next_attempt_at
        message.next_attempt_at = utcnow()


def test_a_message_is_delivered_signed_and_once(told: Receiver) -> None:
    message_id = leave("u", Channel.WEBHOOK)
    for _ in range(3):
        deliver(Channel.WEBHOOK)
    [delivery] = told.deliveries
    assert Webhook(SECRET).verify(delivery.body, delivery.headers) == found(message_id).payload
    assert delivery.headers["webhook-id"] == message_id
    message = found(message_id)
    assert message.delivered_at
    assert (message.attempts, message.next_attempt_at, message.last_error) == (1, None, None)


def test_a_receiver_in_trouble_is_asked_again_later_by_the_same_id(told: Receiver) -> None:
    told.status = 503
    message_id = leave("u", Channel.WEBHOOK)
    for _ in range(2):
        deliver(Channel.WEBHOOK)
    message = found(message_id)
    assert (message.attempts, message.last_error) == (1, "NOTIFY_WEBHOOK_URL answered 503.")
    assert message.next_attempt_at
    assert message.next_attempt_at - utcnow() <= outbox.RETRY_DELAYS[0]

    told.status = 200
    pause_is_over(message_id)
    deliver(Channel.WEBHOOK)
    assert [delivery.headers["webhook-id"] for delivery in told.deliveries] == [message_id] * 2
    assert found(message_id).delivered_at


def test_a_message_is_given_up_after_eight_tries_in_a_day(told: Receiver) -> None:
    told.status = 500
    message_id = leave("u", Channel.WEBHOOK)
    for _ in outbox.RETRY_DELAYS:
        deliver(Channel.WEBHOOK)
        pause_is_over(message_id)
    deliver(Channel.WEBHOOK)
    message = found(message_id)
    assert (message.attempts, message.next_attempt_at, message.delivered_at) == (8, None, None)
    assert sum(outbox.RETRY_DELAYS, timedelta()) < timedelta(days=1)


def test_a_refusal_for_good_is_the_end(told: Receiver) -> None:
    told.status = 410
    message_id = leave("u", Channel.WEBHOOK)
    deliver(Channel.WEBHOOK)
    message = found(message_id)
    assert (message.attempts, message.next_attempt_at, message.delivered_at) == (1, None, None)


def test_a_fault_of_our_own_does_not_keep_back_the_others(told: Receiver) -> None:
    broken, good = leave("u", Channel.WEBHOOK), leave("u", Channel.WEBHOOK)
    with transaction() as session:
        session.get_one(OutboxMessage, broken).payload = {"not": "what we \ud800 write"}
    deliver(Channel.WEBHOOK)
    assert [delivery.headers["webhook-id"] for delivery in told.deliveries] == [good]
    assert "on our side" in str(found(broken).last_error)
    assert found(broken).next_attempt_at


def test_a_worker_that_is_stopping_begins_nothing(told: Receiver) -> None:
    message_id = leave("u", Channel.WEBHOOK)
    outbox.deliver_due(Channel.WEBHOOK, stopping=lambda: True)
    assert (told.deliveries, found(message_id).attempts) == ([], 0)


def test_what_a_dead_worker_had_claimed_is_taken_when_its_lease_is_over(told: Receiver) -> None:
    message_id = leave("u", Channel.WEBHOOK)
    assert outbox._claim(message_id)
    deliver(Channel.WEBHOOK)
    assert told.deliveries == []
    pause_is_over(message_id)
    deliver(Channel.WEBHOOK)
    assert [delivery.headers["webhook-id"] for delivery in told.deliveries] == [message_id]


def test_many_workers_at_once_deliver_each_message_once(database: str, told: Receiver) -> None:
    del database
    messages = {leave("u", Channel.WEBHOOK) for _ in range(12)}
    with ThreadPoolExecutor(4) as machines:
        list(machines.map(deliver, [Channel.WEBHOOK] * 4))
    assert sorted(delivery.headers["webhook-id"] for delivery in told.deliveries) == sorted(messages)
    assert all(found(message_id).attempts == 1 for message_id in messages)


def test_owners_get_a_letter_with_a_way_to_the_video(post: MailServer, anna: Caller) -> None:
    message_id = leave(anna.user_id, Channel.MAIL)
    deliver(Channel.MAIL)
    [taken] = post.letters
    assert taken.recipients == [anna.email]
    assert taken.message["Subject"] == "“Bread” is ready"
    assert taken.message["Message-ID"] == f"<{message_id}@brot.example>"
    assert "https://videos.brot.example/gallery?video=video_1" in taken.message.get_content().splitlines()
    assert found(message_id).delivered_at


def test_a_letter_about_a_failure_says_why(post: MailServer, anna: Caller) -> None:
    leave(anna.user_id, Channel.MAIL, status="failed", error={"code": "SOURCE_FAILED", "message": "Gone."})
    deliver(Channel.MAIL)
    [taken] = post.letters
    assert taken.message["Subject"] == "“Bread” failed"
    assert taken.message.get_content().startswith("“Bread” failed: Gone.")


def test_a_mailbox_that_is_full_now_gets_the_same_letter_later(post: MailServer, anna: Caller) -> None:
    post.answers["RCPT"] = "452 Mailbox full"
    message_id = leave(anna.user_id, Channel.MAIL)
    deliver(Channel.MAIL)
    assert "452 Mailbox full" in str(found(message_id).last_error)
    post.answers.clear()
    pause_is_over(message_id)
    deliver(Channel.MAIL)
    assert [taken.message["Message-ID"] for taken in post.letters] == [f"<{message_id}@brot.example>"]


def test_a_mailbox_that_is_gone_is_not_tried_again(post: MailServer, anna: Caller) -> None:
    post.answers["RCPT"] = "550 No such user"
    message_id = leave(anna.user_id, Channel.MAIL)
    deliver(Channel.MAIL)
    assert (found(message_id).next_attempt_at, found(message_id).delivered_at) == (None, None)


def test_a_closed_account_gets_no_letters(post: MailServer, anna: Caller) -> None:
    with transaction() as session:
        session.get_one(User, anna.user_id).is_active = False
    message_id = leave(anna.user_id, Channel.MAIL)
    deliver(Channel.MAIL)
    assert post.letters == []
    assert found(message_id).last_error == "The account is closed."


def test_what_is_old_is_forgotten(told: Receiver) -> None:
    del told
    old, young = leave("u", Channel.WEBHOOK), leave("u", Channel.WEBHOOK)
    with transaction() as session:
        session.get_one(OutboxMessage, old).created_at = utcnow() - outbox.RETENTION - timedelta(minutes=1)
    outbox.purge()
    with reading() as session:
        assert session.get(OutboxMessage, old) is None
    assert found(young).id == young
