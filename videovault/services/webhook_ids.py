"""The ids of signed messages (Standard Webhooks), remembered as long as a copy of one would still be accepted."""

from datetime import timedelta

from sqlalchemy import Delete
from sqlmodel import Session, col, delete, func, select

from videovault import security
from videovault.db import transaction
from videovault.errors import RateLimited
from videovault.models import WebhookId, now

# A signature is valid for five minutes before and after its timestamp; a minute more for clocks that are set.
KEPT = timedelta(minutes=11)
MOST = 10_000


def remember(session: Session, webhook_id: str) -> bool:
    """Note a message in the transaction that applies it; False when it was applied before.

    Raises RateLimited when ``MOST`` are remembered: to forget one of them would let its copy through.
    """
    id_hash = security.token_hash(webhook_id)  # senders choose the length
    if session.get(WebhookId, id_hash):
        return False
    session.exec(_expired())
    if session.exec(select(func.count()).select_from(WebhookId)).one() >= MOST:
        raise RateLimited("Too many signed reports arrived. Send this one again in a minute.", 60)
    session.add(WebhookId(id_hash=id_hash))
    return True


def purge() -> None:
    """Forget the messages whose signatures have expired."""
    with transaction() as session:
        session.exec(_expired())


def _expired() -> Delete:
    return delete(WebhookId).where(col(WebhookId.received_at) < now() - KEPT)
