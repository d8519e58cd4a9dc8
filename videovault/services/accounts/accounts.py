"""Accounts: registration, also by an invitation from an admin, sign-in, changes by their owner, and deletion."""

import time
from datetime import timedelta
from functools import partial
from typing import Literal

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, exists, func, or_, select, update

from videovault import logs, models, security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import advisory_lock, changes_row, reading, transaction
from videovault.errors import Conflict, Forbidden, InvalidInput, NotSignedIn
from videovault.models import Event, Invitation, Status, TestOrder, User, Video
from videovault.services.accounts import passwords, sessions
from videovault.services.accounts.sessions import authenticate, logout
from videovault.services.core import audit, fields, lifecycle, quota
from videovault.services.core.access import Caller, check_admin, check_not_api_token
from videovault.services.core.views import LinkView, SignedIn, UserView
from videovault.services.videos import deletion

__all__ = ["authenticate", "logout"]  # names that are defined here need no entry
SignupMode = Literal["first", "open", "invite", "closed"]
LAST_ADMIN = "This is the only admin. Make another user an admin first."
WRONG_LOGIN = "The e-mail address or the password is wrong."
LIFETIME = timedelta(days=7)  # of an invitation
INVITATION_REQUIRED = (
    "New accounts need an invitation here. Ask the admin for an invitation link, then open it."
)
INVITATION_INVALID = (
    "This invitation has been used, is too old, or is for another address. Ask the admin for a new one."
)
# What others still see or costs money comes first.
DELETED_IN_TURN = (
    *(Status.READY, Status.GENERATING, Status.QUEUED),
    *(Status.STORING, Status.FAILED, Status.DRAFT),
)
PAUSE_SECONDS = 0.15  # between batches: a writer that waits for SQLite's lock asks for it every 0.1 s
log = logs.get(__name__)


def register(
    email: str,
    password: str,
    name: str = "",
    *,
    invitation: str = "",
    user_agent: str = "",
    replaced_token: str = "",
) -> SignedIn:
    """Create an account and sign it in, as ``login`` does; the first one of an installation is its admin.

    Raises InvalidInput, Conflict if the address has an account, Forbidden if sign-up is closed or the invitation is
    missing or invalid.
    """
    email, _ = fields.check_together(
        partial(fields.normalize_email, email), partial(passwords.validate, password)
    )
    name = fields.validate(fields.NAME, {"name": name})["name"]
    password_hash = security.hash_password(password)
    try:
        with transaction() as session:
            advisory_lock(session, "register")  # else two could both be the first
            people = select(func.count()).select_from(User).where(col(User.closed_at).is_(None))
            first = session.exec(people).one() == 0
            if not first:
                _check_signup(session, email, invitation)
            user = User(email=email, name=name, password_hash=password_hash, is_admin=first)
            session.add(user)
            session.flush()
            _end(session, replaced_token)
            session.add(Event(kind="register", actor_id=user.id))
            return _signed_in(session, user, user_agent)
    except IntegrityError as error:
        raise Conflict("There is an account with this e-mail address already. Sign in instead.") from error


def signup_mode() -> SignupMode:
    """Who may create an account: everyone (``first``) while there is none, then as configured."""
    with reading() as session:
        has_users = session.exec(select(User.id).where(col(User.closed_at).is_(None)).limit(1)).first()
    return settings().signup if has_users else "first"


def login(email: str, password: str, *, user_agent: str = "", replaced_token: str = "") -> SignedIn:
    """Sign in and end the session of ``replaced_token``, the browser's previous one.

    Raises NotSignedIn with the same message and in equal time, whether the address or the password is wrong.
    """
    user = _user_at(email)
    # Outside any transaction: hashing is slow and must not block writers.
    right = passwords.verify(user, password)
    if user and right:
        with transaction(essential=True) as session:
            current = _unchanged(session, user)
            if current:
                _end(session, replaced_token)
                session.add(Event(kind="login", actor_id=current.id))
                return _signed_in(session, current, user_agent)
    user_id = user.id if user else None
    audit.try_record_hourly("login_failed", actor_id=user_id)
    logs.refused("sign-in", reason="wrong", user_id=user_id)
    raise NotSignedIn(WRONG_LOGIN)


def me(caller: Caller) -> UserView:
    with reading() as session:
        user = session.get(User, caller.user_id)
        if user is None:
            raise NotSignedIn
        return _view(session, user)


def rename(caller: Caller, name: str) -> UserView:
    """Change the caller's name. Raises Forbidden for API tokens, InvalidInput."""
    check_not_api_token(caller)
    name = fields.validate(fields.NAME, {"name": name})["name"]
    with transaction() as session:
        user = session.get_one(User, caller.user_id)
        user.name = name
        return _view(session, user)


def change_password(caller: Caller, current: str, new: str, *, user_agent: str = "") -> SignedIn:
    """Change the password, end every session and start a new one.

    Raises Forbidden for API tokens, InvalidInput for ``currentPassword`` or ``newPassword``, RateLimited.
    """
    check_not_api_token(caller)
    fields.check_together(
        partial(passwords.check_not_empty, current, "currentPassword"),
        partial(passwords.validate, new, "newPassword"),
    )
    user = passwords.confirm(caller.user_id, current, "currentPassword")
    password_hash = security.hash_password(new)
    with transaction() as session:
        if not passwords.replace_hash(session, user, password_hash):
            raise InvalidInput(passwords.WRONG, {"currentPassword": passwords.WRONG})
        sessions.end_all(session, user.id)
        session.add(Event(kind="password_changed", actor_id=user.id))
        return _signed_in(session, session.get_one(User, user.id), user_agent)


def create_admin(email: str, password: str) -> UserView:
    """Create an admin, or give an existing account the role and this password; its sessions and API tokens end."""
    email = fields.normalize_email(email)
    password_hash = security.hash_password(passwords.validate(password))
    with transaction() as session:
        user = session.exec(select(User).where(User.email == email)).first()
        user = user or User(email=email, password_hash=password_hash)
        user.is_admin, user.is_active, user.password_hash = True, True, password_hash
        session.add(user)
        session.add(Event(kind="create_admin", actor_id=user.id))
        session.flush()
        sessions.end_all(session, user.id, tokens=True)
        return _view(session, user)


def check_admin_remains(session: Session) -> None:
    """Raises Conflict if users would be left without an active admin, changes of this transaction included."""
    users = select(func.count()).select_from(User).where(col(User.closed_at).is_(None))
    admins = users.where(col(User.is_admin), col(User.is_active))
    if not session.exec(admins).one() and session.exec(users).one():
        raise Conflict(LAST_ADMIN)


def close_account(caller: Caller, password: str) -> None:
    """Delete the caller's account: its personal data at once. The periodic work deletes its videos, then its row.

    There may be thousands of objects to delete; access to them ends at once. Raises Forbidden for API tokens,
    InvalidInput for a wrong password, RateLimited, and Conflict for the only admin if there are other users.
    """
    check_not_api_token(caller)
    passwords.confirm(caller.user_id, password)
    unusable_hash = security.hash_password(security.new_token())
    with transaction(essential=True) as session:
        advisory_lock(session, "admins")
        user = session.get_one(User, caller.user_id, with_for_update=True)
        _erase_person(session, user, unusable_hash)
        session.flush()
        check_admin_remains(session)
        session.add(Event(kind="account_closed", actor_id=user.id))


def finish_closing() -> None:
    """Take the videos of closed accounts out of use, for ``deletion.finish_pending``, and delete accounts without any."""
    with reading() as session:
        closed = list(session.exec(select(User.id).where(col(User.closed_at).is_not(None))))
    for user_id in closed:
        _mark_videos_deleted(user_id)  # one may have been requested while the account was closed
        _drop(user_id)


def invite(caller: Caller, email: str = "") -> LinkView:
    """A link to create an account, for one e-mail address or, without one, for anyone who has it.

    Raises Forbidden for anyone but admins and for API tokens, InvalidInput, Conflict if sign-up is closed.
    """
    check_admin(caller)
    check_not_api_token(caller)
    if settings().signup == "closed":
        raise Conflict("New accounts are closed here. Set SIGNUP=invite to let people in by invitation.")
    invitation = Invitation(
        email=fields.normalize_email(email) if email.strip() else "",
        invited_by=caller.user_id,
        expires_at=utcnow() + LIFETIME,
    )
    with transaction() as session:
        session.add(invitation)
        session.add(Event(kind="invited", actor_id=caller.user_id, detail={"email": invitation.email}))
    token = security.sign("invitation", invitation.id)
    return LinkView(
        url=f"{settings().base_url}/register?invitation={token}", expires_at=invitation.expires_at
    )


def redeem(session: Session, token: str, email: str) -> None:
    """Use up the invitation in the transaction that creates the account. Raises Forbidden if it is invalid."""
    invitation_id = security.unsign("invitation", token, max_age_seconds=int(LIFETIME.total_seconds()))
    admins = select(User.id).where(col(User.is_admin), col(User.is_active))
    valid = (
        update(Invitation)
        .where(col(Invitation.id) == invitation_id, col(Invitation.used_at).is_(None))
        .where(col(Invitation.expires_at) > utcnow(), col(Invitation.email).in_(("", email)))
        .where(col(Invitation.invited_by).in_(admins))
        .values(used_at=utcnow())
    )
    if invitation_id is None or not changes_row(session, valid):
        raise Forbidden(INVITATION_INVALID)


def revoke_all(session: Session, user_id: str) -> None:
    """Revoke all invitations of a former admin, in the caller's transaction."""
    session.exec(delete(Invitation).where(col(Invitation.invited_by) == user_id))


def purge() -> None:
    """Delete used and expired invitations."""
    spent = or_(col(Invitation.expires_at) <= utcnow(), col(Invitation.used_at).is_not(None))
    with transaction() as session:
        session.exec(delete(Invitation).where(spent))


def _check_signup(session: Session, email: str, invitation: str) -> None:
    """Raises Forbidden. An invitation that is not needed is not used up."""
    allowed = settings().signup
    if allowed == "open":
        return
    if allowed == "closed":
        raise Forbidden("New accounts are not open here. Ask the admin for one.")
    if not invitation:
        raise Forbidden(INVITATION_REQUIRED)
    redeem(session, invitation, email)


def _user_at(email: str) -> User | None:
    try:
        address = fields.normalize_email(email)
    except InvalidInput:
        return None  # the password is then verified against a dummy hash, in equal time
    with reading() as session:
        return session.exec(select(User).where(User.email == address)).first()


def _unchanged(session: Session, user: User) -> User | None:
    """The locked row, or None if the account was deactivated or its password changed since ``user`` was read."""
    row = session.get(User, user.id, with_for_update={"key_share": True})
    return row if row and row.is_active and row.password_hash == user.password_hash else None


def _end(session: Session, token: str) -> None:
    found = session.get(models.Session, security.token_hash(token)) if token else None
    if found:
        session.delete(found)


def _signed_in(session: Session, user: User, user_agent: str) -> SignedIn:
    token, row = sessions.start(session, user, user_agent)
    return SignedIn(user=_view(session, user), token=token, expires_at=row.expires_at)


def _view(session: Session, user: User) -> UserView:
    used, limit = quota.used(session, user.id), quota.limit(user)
    return UserView.from_row(user, user_id=user.id, storage_bytes=used, quota_bytes=limit)


def _erase_person(session: Session, user: User, password_hash: str) -> None:
    user.email, user.name = f"{user.id}@closed.invalid", ""
    user.password_hash = password_hash
    user.is_active = user.is_admin = False
    user.closed_at = utcnow()
    sessions.end_all(session, user.id, tokens=True)
    revoke_all(session, user.id)
    session.exec(
        delete(TestOrder).where(col(TestOrder.user_id) == user.id)
    )  # they contain the e-mail address


def _mark_videos_deleted(user_id: str) -> None:
    for status in DELETED_IN_TURN:
        while _mark_batch_deleted(user_id, status):
            time.sleep(PAUSE_SECONDS)


def _mark_batch_deleted(user_id: str, status: Status) -> bool:
    """Whether there may be more. Other accounts that share the row of the total wait for the commit.

    All rows are locked before the first change locks the counters: every other transaction takes them in this order.
    """
    remaining = (
        select(Video)
        .where(Video.owner_id == user_id, lifecycle.in_status(status))
        .order_by(col(Video.created_at), col(Video.id))
        .limit(deletion.BATCH_SIZE)
    )
    with transaction(essential=True) as session:
        videos = session.exec(remaining.with_for_update(key_share=True)).all()
        for video in videos:
            lifecycle.transition(
                session,
                video,
                Status.DELETING,
                actor_id=user_id,
                why="account closed",
                attempt=video.attempt + 1,
            )
    return len(videos) == deletion.BATCH_SIZE


def _drop(user_id: str) -> None:
    """Delete the row, unless a video is left or was just added."""
    videos = select(Video.id).where(Video.owner_id == user_id)
    try:
        with transaction(essential=True) as session:
            session.exec(delete(User).where(col(User.id) == user_id, ~exists(videos)))
    except IntegrityError:
        log.info("account deletion postponed: a video is left", user_id=user_id)
