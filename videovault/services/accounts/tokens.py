"""Personal API tokens: named, scoped, optionally expiring, shown once. They cannot manage the account."""

from datetime import timedelta
from typing import Literal

from sqlmodel import col, delete, func, or_, select, update

from videovault import security
from videovault.clock import utcnow
from videovault.db import LAST_SEEN_LOCK_SECONDS, advisory_lock, reading, transaction, try_write
from videovault.errors import Conflict, InvalidInput, NotFound, NotSignedIn
from videovault.models import ApiToken, Event, User
from videovault.services.core import fields
from videovault.services.core.access import Caller, check_not_api_token
from videovault.services.core.views import Timestamp, View

Scope = Literal["read", "write"]
PREFIX = "vv_"  # distinguishes them from session tokens, also for scanners that look for leaked secrets
LAST_USED_INTERVAL = timedelta(minutes=1)
MAX_TOKENS = 50
MAX_DAYS = 3650


class TokenView(View):
    """A personal API token without its secret."""

    token_id: str
    name: str
    scope: Scope
    created_at: Timestamp
    expires_at: Timestamp | None = None
    last_used_at: Timestamp | None = None


class FreshToken(TokenView):
    """With the token itself, which is not shown again."""

    token: str


def create(
    caller: Caller, name: str, scope: Scope = "write", expires_in_days: int | None = None
) -> FreshToken:
    """Create a token; without ``expires_in_days`` it is valid until it is revoked.

    Raises Forbidden for API tokens, InvalidInput, Conflict if there are ``MAX_TOKENS`` already.
    """
    check_not_api_token(caller)
    name = fields.validate(fields.TOKEN, {"name": name})["name"]
    if expires_in_days is not None and not 1 <= expires_in_days <= MAX_DAYS:
        message = f"A token is valid for 1 to {MAX_DAYS:,} days."
        raise InvalidInput(message, {"expiresInDays": message})
    token = PREFIX + security.new_token()
    expires_at = utcnow() + timedelta(days=expires_in_days) if expires_in_days else None
    row = ApiToken(
        token_hash=security.token_hash(token),
        user_id=caller.user_id,
        name=name,
        scope=scope,
        expires_at=expires_at,
    )
    with transaction() as session:
        advisory_lock(session, f"tokens of {caller.user_id}")  # else two could both be the last one
        count = select(func.count()).select_from(ApiToken).where(ApiToken.user_id == caller.user_id)
        if session.exec(count).one() >= MAX_TOKENS:
            raise Conflict(f"There are {MAX_TOKENS} tokens already. Revoke one that is no longer used.")
        session.add(row)
        session.add(
            Event(kind="token_created", actor_id=caller.user_id, detail={"name": name, "scope": scope})
        )
    return FreshToken.from_row(row, token_id=row.id, token=token)


def list_tokens(caller: Caller) -> list[TokenView]:
    """The caller's tokens, newest first, including expired ones. Raises Forbidden for API tokens."""
    check_not_api_token(caller)
    own = (
        select(ApiToken)
        .where(ApiToken.user_id == caller.user_id)
        .order_by(col(ApiToken.created_at).desc(), col(ApiToken.id))
    )
    with reading() as session:
        return [TokenView.from_row(row, token_id=row.id) for row in session.exec(own)]


def revoke(caller: Caller, token_id: str) -> None:
    """Revoke one of the caller's tokens. Raises NotFound for absent and foreign ones alike."""
    check_not_api_token(caller)
    own = delete(ApiToken).where(col(ApiToken.id) == token_id, col(ApiToken.user_id) == caller.user_id)
    with transaction(essential=True) as session:
        name = session.exec(own.returning(col(ApiToken.name))).scalar_one_or_none()
        if name is None:
            raise NotFound("There is no such token: it has been revoked already.")
        session.add(Event(kind="token_revoked", actor_id=caller.user_id, detail={"name": name}))


def authenticate(token: str) -> Caller:
    """The caller with this token. Raises NotSignedIn if it is unknown, revoked or expired."""
    not_expired = or_(col(ApiToken.expires_at).is_(None), col(ApiToken.expires_at) > utcnow())
    known = (
        select(ApiToken, User)
        .join(User, col(User.id) == col(ApiToken.user_id))
        .where(ApiToken.token_hash == security.token_hash(token), not_expired, col(User.is_active))
    )
    with reading() as session:
        found = session.exec(known).first()
    if found is None:
        raise NotSignedIn
    row, user = found
    _note_used(row)
    return Caller(user_id=user.id, email=user.email, is_admin=user.is_admin, may_write=row.scope == "write")


def _note_used(row: ApiToken) -> None:
    if row.last_used_at and utcnow() - row.last_used_at < LAST_USED_INTERVAL:
        return
    used = update(ApiToken).where(col(ApiToken.id) == row.id).values(last_used_at=utcnow())
    try_write("last used", lambda session: session.exec(used), lock_timeout=LAST_SEEN_LOCK_SECONDS)
