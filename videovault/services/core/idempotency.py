"""A call that is sent again under the same key is done once: who does it, the video it made, what was answered."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, CursorResult, Delete, Update, delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from videovault import security
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.errors import Conflict, InvalidInput, RequestInProgress, VideoVaultError
from videovault.models import IdempotencyKey

KEY_LIFETIME = timedelta(hours=24)
LEASE = timedelta(seconds=30)  # without a renewal for so long, whoever carries the call out counts as dead
IN_PROGRESS = "The same request is still being worked on. Ask again in a moment; it is not done twice."


@dataclass(frozen=True)
class Call:
    """A call under the key its caller gave it; ``request`` is the JSON that was sent, to tell another request.

    ``former`` is the same request as version 0014 of the database fingerprinted it.
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
        """Those by which a stored call may be known as this one."""
        return {self.fingerprint} | ({_digest(self.former)} if self.former else set())


@dataclass(frozen=True)
class Claim:
    """The right to carry a call out; ``video_id`` is what an earlier holder made and did not live to answer."""

    user_id: str
    holder: str
    video_id: str = ""


@dataclass(frozen=True)
class Answer:
    """What was answered, to be said again word for word; ``body`` is JSON."""

    status: int
    body: str


def begin(call: Call) -> Claim | Answer:
    """Claim a call that is new or whose holder died; of one that has been answered, the answer.

    Raises InvalidInput when the key was used for another request, StillRunning.
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
            session.execute(delete(IdempotencyKey).where(_of(call), _is_over()))
            session.add(entry)
    except IntegrityError:  # the key is known, here or on another machine
        with transaction() as session:
            return _known(session, call)
    return Claim(call.user_id, entry.holder)


def remember(session: Session, claim: Claim | None, video_id: str) -> None:
    """Note the video of a call in the transaction that makes it: after a crash there are both or neither.

    Raises Conflict when another has taken the call over meanwhile.
    """
    if claim and not _changed(session, update(IdempotencyKey).where(_held(claim)).values(video_id=video_id)):
        raise Conflict("This request took too long and is being worked on again.")


def renew(holders: Collection[str]) -> None:
    """Say that these holders are alive."""
    mine = col(IdempotencyKey.holder).in_(holders)
    with transaction(essential=True) as session:
        session.execute(update(IdempotencyKey).where(mine).values(lease_until=utcnow() + LEASE))


def finish(claim: Claim, video_id: str, answer: Answer) -> None:
    """Keep what is answered, so that it is answered again."""
    sealed = security.seal(answer.body, owner_id=claim.user_id, video_id=video_id)
    done = {"status_code": answer.status, "sealed_answer": sealed, "lease_until": utcnow()}
    with transaction(essential=True) as session:
        session.execute(update(IdempotencyKey).where(_held(claim)).values(**done))


def release(claim: Claim) -> None:
    """Nothing was answered: the next call under this key goes on with the video, or without one begins anew."""
    nothing_done = col(IdempotencyKey.video_id).is_(None)
    with transaction(essential=True) as session:
        session.execute(delete(IdempotencyKey).where(_held(claim), nothing_done))
        session.execute(update(IdempotencyKey).where(_held(claim)).values(lease_until=utcnow()))


def purge() -> None:
    """Forget the keys whose time is over."""
    with transaction() as session:
        session.execute(delete(IdempotencyKey).where(_is_over()))


def _digest(request: str) -> str:
    return hashlib.sha256(request.encode()).hexdigest()


def _known(session: Session, call: Call) -> Claim | Answer:
    entry = session.get(IdempotencyKey, (call.user_id, call.endpoint, call.key))
    if entry is None:  # let go in this moment
        raise RequestInProgress(IN_PROGRESS)
    try:
        if entry.request_hash not in call.fingerprints:
            message = "This key was used for another request. Use a new key for each request."
            raise InvalidInput(message, {"Idempotency-Key": message})
        return _answered(entry) or _take_over(session, entry)
    except VideoVaultError as error:
        error.video_id = entry.video_id or ""
        raise


def _answered(entry: IdempotencyKey) -> Answer | None:
    if entry.status_code is None or entry.sealed_answer is None or entry.video_id is None:
        return None
    body = security.unseal(entry.sealed_answer, owner_id=entry.user_id, video_id=entry.video_id)
    return Answer(entry.status_code, body) if body is not None else None


def _take_over(session: Session, entry: IdempotencyKey) -> Claim:
    claim = Claim(entry.user_id, uuid4().hex, entry.video_id or "")
    dead = (col(IdempotencyKey.holder) == entry.holder) & (col(IdempotencyKey.lease_until) <= utcnow())
    taken = update(IdempotencyKey).where(dead).values(**_afresh(claim))
    if not _changed(session, taken):
        raise RequestInProgress(IN_PROGRESS)
    return claim


def _afresh(claim: Claim) -> dict[str, Any]:
    """Without an answer, too: one that no longer opens, for want of an old SECRET_KEY, is made again."""
    until = utcnow() + LEASE
    return {"holder": claim.holder, "lease_until": until, "status_code": None, "sealed_answer": None}


def _of(call: Call) -> ColumnElement[bool]:
    return (
        (col(IdempotencyKey.user_id) == call.user_id)
        & (col(IdempotencyKey.endpoint) == call.endpoint)
        & (col(IdempotencyKey.key) == call.key)
    )


def _held(claim: Claim) -> ColumnElement[bool]:
    return col(IdempotencyKey.holder) == claim.holder


def _is_over() -> ColumnElement[bool]:
    old = col(IdempotencyKey.created_at) < utcnow() - KEY_LIFETIME
    return old & (col(IdempotencyKey.lease_until) <= utcnow())


def _changed(session: Session, statement: Update | Delete) -> bool:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return isinstance(result, CursorResult) and result.rowcount == 1
