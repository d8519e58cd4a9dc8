"""What is to be told outside leaves from here, at least once: claimed, tried, put off, and in the end forgotten."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, update
from sqlmodel import col, delete, select

from videovault import logs
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import keep_newest, reading, transaction
from videovault.errors import MailError, UpstreamError
from videovault.gateways import mail, notification_webhook
from videovault.gateways.mail import Email
from videovault.models import Channel, OutboxMessage, User
from videovault.services.accounts import password_reset

# The words of every e-mail: of videos, and of a forgotten password.


def email_for(message: OutboxMessage, to: User) -> Email:
    return _new_password(message, to) if message.kind == password_reset.MESSAGE_KIND else _video(message, to)


def _new_password(message: OutboxMessage, to: User) -> Email:
    link = password_reset.reset_link(to).url
    text = (
        "Somebody, hopefully you, asked for a new password. Choose one within an hour:\n\n"
        f"{link}\n\nIf it was not you, do nothing: your password stays as it is.\n\n"
        f"-- \nVideoVault at {settings().base_url} sent this because somebody typed this address there.\n"
    )
    return Email(message.id, message.created_at, to.email, "A new password for VideoVault", text)


def _video(message: OutboxMessage, to: User) -> Email:
    video = message.payload["data"]
    title, reason = f"“{video['title']}”", video.get("error", {}).get("message", "")
    if reason:
        subject, said = f"{title} failed", f"{title} failed: {reason}"
        way_on = "Try again, or see what it was about:"
    else:
        subject, said = f"{title} is ready", f"{title} is ready, and kept in your gallery."
        way_on = "Watch or download it:"
    gallery = f"{settings().base_url}/gallery"
    sender = f"VideoVault at {settings().base_url} sent this because the video is yours."
    text = f"{said}\n\n{way_on}\n{gallery}?video={message.video_id}\n\n-- \n{sender}\n"
    return Email(message.id, message.created_at, to.email, subject, text)


# Before the second try, the third, and so on: eight tries within a day.
RETRY_DELAYS = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=15),
)
LEASE = timedelta(minutes=5)  # longer than any try takes; then its worker counts as dead
RETENTION = timedelta(days=30)
MAX_MESSAGES = 100_000
BATCH_SIZE = 100

log = logs.get(__name__)


def deliver_due(channel: Channel, *, stopping: Callable[[], bool]) -> None:
    """Try everything of this channel that is due now, one after another.

    Safe on several machines at once: each message is claimed by a conditional UPDATE. A receiver may get a
    message twice, when a worker dies right after handing it over, and knows it by its id.
    """
    for message_id in _due(channel):
        if stopping():
            return
        message = _claim(message_id)
        if message is not None:
            with logs.context(message_id=message.id, video_id=message.video_id):
                _try(message)


def purge() -> None:
    """Forget what was left here long ago, delivered or not, and what was never to be sent.

    ``resets.forgot`` writes the latter for addresses without an account. Every other message has a next attempt, a
    delivery or an error.
    """
    unsent = col(OutboxMessage.next_attempt_at).is_(None) & col(OutboxMessage.delivered_at).is_(None)
    never_due = unsent & col(OutboxMessage.last_error).is_(None)
    with transaction() as session:
        session.exec(
            delete(OutboxMessage).where(never_due | (col(OutboxMessage.created_at) < utcnow() - RETENTION))
        )
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
    """The message with this try counted; None where another worker was faster."""
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


def _try(message: OutboxMessage) -> None:
    try:
        _send(message)
    except UpstreamError as error:
        _put_off(message, error.public_message, is_final=not error.retryable)
    except Exception:  # a fault of ours with this message must not keep back the others
        log.exception("unforeseen fault with a notice")
        _put_off(message, "Something went wrong on our side; the log tells more.", is_final=False)
    else:
        _change(message, delivered_at=utcnow(), next_attempt_at=None, last_error=None)


def _send(message: OutboxMessage) -> None:
    match message.channel:
        case Channel.WEBHOOK:
            notification_webhook.connected().deliver(message.id, message.payload)
        case Channel.MAIL:
            mail.connected().send(email_for(message, _addressee(message.payload["data"]["userId"])))


def _addressee(user_id: str) -> User:
    with reading() as session:
        user = session.get(User, user_id)
    if user is None or not user.is_active:
        raise MailError("The account is closed.")
    return user


def _put_off(message: OutboxMessage, reason: str, *, is_final: bool) -> None:
    """Until the next pause is over, or for good."""
    gives_up = is_final or message.attempts > len(RETRY_DELAYS)
    log.warning("notice not delivered", channel=message.channel, reason=reason, given_up=gives_up)
    again = None if gives_up else utcnow() + RETRY_DELAYS[message.attempts - 1]
    _change(message, next_attempt_at=again, last_error=reason)


def _change(message: OutboxMessage, *conditions: ColumnElement[bool], **values: Any) -> bool:
    """Set columns unless another worker has tried the message since it was read; whether they were set."""
    statement = (
        update(OutboxMessage)
        .where(col(OutboxMessage.id) == message.id)
        .where(col(OutboxMessage.attempts) == message.attempts)
        .where(*conditions)
        .values(**values)
    )
    with transaction() as session:
        result = session.execute(statement)
    return isinstance(result, CursorResult) and result.rowcount == 1
