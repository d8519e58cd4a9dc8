from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, update
from sqlmodel import col, delete, select

from videovault import logs
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import changes_row, keep_newest, reading, transaction
from videovault.errors import MailError, UpstreamError
from videovault.gateways import notifications
from videovault.gateways.notifications import Email
from videovault.models import Channel, OutboxMessage, User
from videovault.services.accounts import passwords

# Before the second attempt, the third, and so on: eight attempts within a day.
RETRY_DELAYS = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=15),
)
LEASE = timedelta(minutes=5)  # longer than any attempt takes; afterwards the worker counts as dead
RETENTION = timedelta(days=30)
MAX_MESSAGES = 100_000
BATCH_SIZE = 100

log = logs.get(__name__)


def deliver_due(channel: Channel, *, stopping: Callable[[], bool]) -> None:
    """Send all due messages of this channel, one after another.

    Safe on several machines at once: each message is claimed by a conditional UPDATE. If a worker dies right after
    sending, the receiver gets the message twice, with the same id.
    """
    for message_id in _due(channel):
        if stopping():
            return
        message = _claim(message_id)
        if message is not None:
            with logs.context(message_id=message.id, video_id=message.video_id):
                _attempt(message)


def purge() -> None:
    """Delete old messages, delivered or not, and those that are never due.

    ``passwords.request_reset`` writes the latter for addresses without an account. Every other message has a next
    attempt, a delivery or an error.
    """
    unsent = col(OutboxMessage.next_attempt_at).is_(None) & col(OutboxMessage.delivered_at).is_(None)
    never_due = unsent & col(OutboxMessage.last_error).is_(None)
    with transaction() as session:
        session.exec(delete(OutboxMessage).where(never_due))
        session.exec(delete(OutboxMessage).where(col(OutboxMessage.created_at) < utcnow() - RETENTION))
        keep_newest(session, OutboxMessage.created_at, MAX_MESSAGES)


def _due(channel: Channel) -> list[str]:
    due = (
        select(OutboxMessage.id)
        .where(OutboxMessage.channel == channel)
        .where(col(OutboxMessage.next_attempt_at) <= utcnow())
        .order_by(col(OutboxMessage.next_attempt_at))
        .limit(BATCH_SIZE)
    )
    with reading() as session:
        return list(session.exec(due))


def _claim(message_id: str) -> OutboxMessage | None:
    """The message with this attempt counted; None if another worker was faster."""
    with transaction() as session:
        message = session.get(OutboxMessage, message_id)
    if message is None:
        return None
    is_due = col(OutboxMessage.next_attempt_at) <= utcnow()
    attempts = message.attempts + 1
    if not _change(message, is_due, attempts=attempts, next_attempt_at=utcnow() + LEASE):
        return None
    message.attempts = attempts
    return message


def _attempt(message: OutboxMessage) -> None:
    try:
        _send(message)
    except UpstreamError as error:
        _postpone(message, error.public_message, is_final=not error.retryable)
    except Exception:  # a bug with this message must not block the others
        log.exception("unexpected error while sending a message")
        _postpone(message, "Something went wrong on our side; see the log.", is_final=False)
    else:
        _change(message, delivered_at=utcnow(), next_attempt_at=None, last_error=None)


def _send(message: OutboxMessage) -> None:
    match message.channel:
        case Channel.WEBHOOK:
            notifications.connected_webhook().deliver(message.id, message.payload)
        case Channel.MAIL:
            notifications.connected_mailer().send(
                email_for(message, _recipient(message.payload["data"]["userId"]))
            )


def _recipient(user_id: str) -> User:
    with reading() as session:
        user = session.get(User, user_id)
    if user is None or not user.is_active:
        raise MailError("The account is closed.")
    return user


def _postpone(message: OutboxMessage, reason: str, *, is_final: bool) -> None:
    """Schedule the next attempt, or give the message up."""
    is_given_up = is_final or message.attempts > len(RETRY_DELAYS)
    log.warning("message not delivered", channel=message.channel, reason=reason, given_up=is_given_up)
    next_attempt = None if is_given_up else utcnow() + RETRY_DELAYS[message.attempts - 1]
    _change(message, next_attempt_at=next_attempt, last_error=reason)


def _change(message: OutboxMessage, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Set columns unless another worker has attempted the message since it was read; whether they were set."""
    statement = (
        update(OutboxMessage)
        .where(col(OutboxMessage.id) == message.id)
        .where(col(OutboxMessage.attempts) == message.attempts)
        .where(*conditions)
        .values(**values)
    )
    with transaction() as session:
        return changes_row(session, statement)


def email_for(message: OutboxMessage, to: User) -> Email:
    return _new_password(message, to) if message.kind == passwords.MESSAGE_KIND else _video(message, to)


def _new_password(message: OutboxMessage, to: User) -> Email:
    link = passwords.reset_link(to).url
    text = (
        "A new password was requested for your account. Choose one within an hour:\n\n"
        f"{link}\n\nIf this was not you, ignore this e-mail: your password stays as it is.\n\n"
        f"-- \nVideoVault at {settings().base_url} sent this because this address was entered there.\n"
    )
    return Email(message.id, message.created_at, to.email, "A new password for VideoVault", text)


def _video(message: OutboxMessage, to: User) -> Email:
    video = message.payload["data"]
    title, reason = f"“{video['title']}”", video.get("error", {}).get("message", "")
    if reason:
        subject, outcome = f"{title} failed", f"{title} failed: {reason}"
        next_step = "Try again or see the details:"
    else:
        subject, outcome = f"{title} is ready", f"{title} is ready in your gallery."
        next_step = "Watch or download it:"
    gallery = f"{settings().base_url}/gallery"
    sender = f"VideoVault at {settings().base_url} sent this because the video is yours."
    text = f"{outcome}\n\n{next_step}\n{gallery}?video={message.video_id}\n\n-- \n{sender}\n"
    return Email(message.id, message.created_at, to.email, subject, text)
