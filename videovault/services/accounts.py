"""Accounts and sign-ins: who somebody is, asked at every request and every event."""

from datetime import timedelta

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, func, select

from videovault import models, security
from videovault.config import settings
from videovault.db import one_at_a_time, reading, transaction
from videovault.errors import Conflict, Forbidden, NotSignedIn
from videovault.models import Event, User, now
from videovault.services import fields, quota
from videovault.services.access import Caller
from videovault.services.views import SignedIn, UserView

SESSION_LIFE = timedelta(days=30)
SEEN_EVERY = timedelta(minutes=1)
WRONG_LOGIN = "E-mail address or password is wrong."


def register(email: str, password: str, name: str = "", *, user_agent: str = "") -> SignedIn:
    """Make an account and sign it in; the first one of an installation is its admin.

    Raises InvalidInput, Conflict when the address has an account, Forbidden when signup is closed.
    """
    email = fields.checked_email(email)
    fields.checked_password(password)
    name = fields.checked(fields.NAME, {"name": name})["name"]
    password_hash = security.hash_password(password)
    try:
        with transaction() as session:
            one_at_a_time(session, "register")  # else two could both be the first
            first = session.exec(select(func.count()).select_from(User)).one() == 0
            if not first and settings().signup != "open":
                raise Forbidden("New accounts are not open here. Ask the admin for one.")
            user = User(email=email, name=name, password_hash=password_hash, is_admin=first)
            session.add(user)
            session.flush()
            session.add(Event(kind="register", actor_id=user.id))
            return _signed_in(session, user, user_agent)
    except IntegrityError as error:
        raise Conflict("There is an account with this e-mail address already. Sign in instead.") from error


def login(email: str, password: str, *, user_agent: str = "") -> SignedIn:
    """Sign in. Raises NotSignedIn with one message, in equal time, whichever of the two is wrong."""
    with reading() as session:
        user = session.exec(select(User).where(User.email == email.strip().lower())).first()
    # Outside any transaction: hashing takes its time, and others want to write meanwhile.
    right = security.verify_password(
        password[: fields.PASSWORD_LENGTH[1]], user.password_hash if user else None
    )
    with transaction() as session:
        if not right or user is None or not user.is_active:
            session.add(Event(kind="login_failed", actor_id=user.id if user else None))
        else:
            session.add(Event(kind="login", actor_id=user.id))
            return _signed_in(session, user, user_agent)
    raise NotSignedIn(WRONG_LOGIN)


def logout(token: str) -> None:
    """End the session on the server; an unknown one is ended already."""
    with transaction() as session:
        found = session.get(models.Session, security.token_hash(token))
        if found:
            session.add(Event(kind="logout", actor_id=found.user_id))
            session.delete(found)


def authenticate(token: str) -> Caller:
    """Who shows this session token. Raises NotSignedIn when it is unknown, ended or expired."""
    with reading() as session:
        user = _user_of(session, token)
    if user is None:
        raise NotSignedIn
    _note_seen(user)
    return Caller(user_id=user.id, email=user.email, is_admin=user.is_admin)


def me(caller: Caller) -> UserView:
    with reading() as session:
        user = session.get(User, caller.user_id)
        if user is None:
            raise NotSignedIn
        return _view(session, user)


def create_admin(email: str, password: str) -> UserView:
    """Make an admin account, or make an existing one an admin with this password."""
    email = fields.checked_email(email)
    password_hash = security.hash_password(fields.checked_password(password))
    with transaction() as session:
        user = session.exec(select(User).where(User.email == email)).first()
        user = user or User(email=email, password_hash=password_hash)
        user.is_admin, user.is_active, user.password_hash = True, True, password_hash
        session.add(user)
        session.add(Event(kind="create_admin", actor_id=user.id))
        session.flush()
        return _view(session, user)


def _signed_in(session: Session, user: User, user_agent: str) -> SignedIn:
    token, expires_at = security.new_token(), now() + SESSION_LIFE
    session.add(
        models.Session(
            token_hash=security.token_hash(token),
            user_id=user.id,
            user_agent=user_agent[:300],
            expires_at=expires_at,
        )
    )
    return SignedIn(user=_view(session, user), token=token, expires_at=expires_at)


def _user_of(session: Session, token: str) -> User | None:
    found = session.get(models.Session, security.token_hash(token))
    if found is None or found.expires_at <= now():
        return None
    user = session.get(User, found.user_id)
    return user if user and user.is_active else None


def _note_seen(user: User) -> None:
    """Remember that the user was here, at most once a minute so that looking rarely writes."""
    if user.last_seen_at and now() - user.last_seen_at < SEEN_EVERY:
        return
    with transaction() as session:
        row = session.get(User, user.id)
        if row:
            row.last_seen_at = now()


def _view(session: Session, user: User) -> UserView:
    return UserView.of(user, storage_bytes=quota.used(session, user.id), quota_bytes=quota.limit(user))
