"""Idempotency keys: a call repeated under the same key runs once and gets the same answer."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from videovault import security
from videovault.clock import utcnow
from videovault.db import changes_row, transaction
from videovault.errors import Conflict, InvalidInput, RequestInProgress, VideoVaultError
from videovault.models import IdempotencyKey

KEY_LIFETIME = timedelta(hours=24)
LEASE = timedelta(seconds=30)  # without renewal for this long, the holder counts as dead
IN_PROGRESS = "The same request is still in progress. Try again in a moment; it is not done twice."


@dataclass(frozen=True)
class Call:
    """A call with an idempotency key; ``request`` is the JSON that was sent, to detect a different request.

    ``former`` is the same request in the form that version 0014 of the database fingerprinted.
    """

    user_id: str
    endpoint: str
    key: str
    request: str
    former: str = ""

    @property
    def fingerprint(self) -> str:
        return _digest(self.request)

    @property
    def fingerprints(self) -> set[str]:
        """All fingerprints under which this call may be stored."""
        return {self.fingerprint} | ({_digest(self.former)} if self.former else set())


@dataclass(frozen=True)
class Claim:
    """The right to carry out a call; ``video_id`` is the video that an earlier holder made before it died."""

    user_id: str
    holder: str
    video_id: str = ""


@dataclass(frozen=True)
class Answer:
    """An answer to be repeated word for word; ``body`` is JSON."""

    status: int
    body: str


def begin(call: Call) -> Claim | Answer:
    """Claim a new call or one whose holder died, or get the answer of a finished one.

    Raises InvalidInput if the key was used for another request, RequestInProgress.
    """
    entry = IdempotencyKey(
        user_id=call.user_id,
        endpoint=call.endpoint,
        key=call.key,
        request_hash=call.fingerprint,
        lease_until=utcnow() + LEASE,
    )
    try:
        with transaction() as session:
            session.execute(delete(IdempotencyKey).where(_is_call(call), _is_expired()))
            session.add(entry)
    except IntegrityError:  # the key exists, perhaps inserted by another machine
        with transaction() as session:
            return _existing(session, call)
    return Claim(call.user_id, entry.holder)


def remember(session: Session, claim: Claim | None, video_id: str) -> None:
    """Store the video of a call in the transaction that creates it: after a crash there are both or neither.

    Raises Conflict if another request has taken over the call meanwhile.
    """
    if claim and not changes_row(
        session, update(IdempotencyKey).where(_is_held_by(claim)).values(video_id=video_id)
    ):
        raise Conflict("This request took too long and was started again.")


def renew(holders: Collection[str]) -> None:
    """Extend the leases of these holders."""
    mine = col(IdempotencyKey.holder).in_(holders)
    with transaction(essential=True) as session:
        session.execute(update(IdempotencyKey).where(mine).values(lease_until=utcnow() + LEASE))


def finish(claim: Claim, video_id: str, answer: Answer) -> None:
    """Store the answer, so that it can be repeated."""
    sealed = security.seal(answer.body, owner_id=claim.user_id, video_id=video_id)
    done = {"status_code": answer.status, "sealed_answer": sealed, "lease_until": utcnow()}
    with transaction(essential=True) as session:
        session.execute(update(IdempotencyKey).where(_is_held_by(claim)).values(**done))


def release(claim: Claim) -> None:
    """End a claim without an answer: the next call under this key continues with the video, or starts over."""
    nothing_done = col(IdempotencyKey.video_id).is_(None)
    with transaction(essential=True) as session:
        session.execute(delete(IdempotencyKey).where(_is_held_by(claim), nothing_done))
        session.execute(update(IdempotencyKey).where(_is_held_by(claim)).values(lease_until=utcnow()))


def purge() -> None:
    """Delete expired keys."""
    with transaction() as session:
        session.execute(delete(IdempotencyKey).where(_is_expired()))


def _digest(request: str) -> str:
    return hashlib.sha256(request.encode()).hexdigest()


def _existing(session: Session, call: Call) -> Claim | Answer:
    entry = session.get(IdempotencyKey, (call.user_id, call.endpoint, call.key))
    if entry is None:  # it was released just now
        raise RequestInProgress(IN_PROGRESS)
    try:
        if entry.request_hash not in call.fingerprints:
            message = "This key was used for another request. Use a new key for each request."
            raise InvalidInput(message, {"Idempotency-Key": message})
        return _stored_answer(entry) or _take_over(session, entry)
    except VideoVaultError as error:
        error.video_id = entry.video_id or ""
        raise


def _stored_answer(entry: IdempotencyKey) -> Answer | None:
    if entry.status_code is None or entry.sealed_answer is None or entry.video_id is None:
        return None
    body = security.unseal(entry.sealed_answer, owner_id=entry.user_id, video_id=entry.video_id)
    return Answer(entry.status_code, body) if body is not None else None


def _take_over(session: Session, entry: IdempotencyKey) -> Claim:
    claim = Claim(entry.user_id, uuid4().hex, entry.video_id or "")
    dead = (col(IdempotencyKey.holder) == entry.holder) & (col(IdempotencyKey.lease_until) <= utcnow())
    # The answer is cleared too: one that cannot be unsealed, because an old SECRET_KEY is gone, is made again.
    taken = update(IdempotencyKey).values(
        holder=claim.holder, lease_until=utcnow() + LEASE, status_code=None, sealed_answer=None
    )
    if not changes_row(session, taken.where(dead)):
        raise RequestInProgress(IN_PROGRESS)
    return claim


def _is_call(call: Call) -> ColumnElement[bool]:
    return (
        (col(IdempotencyKey.user_id) == call.user_id)
        & (col(IdempotencyKey.endpoint) == call.endpoint)
        & (col(IdempotencyKey.key) == call.key)
    )


def _is_held_by(claim: Claim) -> ColumnElement[bool]:
    return col(IdempotencyKey.holder) == claim.holder


def _is_expired() -> ColumnElement[bool]:
    old = col(IdempotencyKey.created_at) < utcnow() - KEY_LIFETIME
    return old & (col(IdempotencyKey.lease_until) <= utcnow())
