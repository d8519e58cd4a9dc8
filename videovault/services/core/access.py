"""Who may do what: the caller, and the one door through which a video is reached."""

from dataclasses import dataclass, field, replace
from typing import Literal

from sqlalchemy import CursorResult, update
from sqlmodel import Session, col

from videovault import logs, security
from videovault.clock import utcnow
from videovault.errors import Forbidden, UserNotFound, VideoNotFound, WrongSecretKey
from videovault.models import Status, User, Video
from videovault.services.core import fields

# read: see it and fetch its file. change: all that its row goes through, a generator's report too. share: see or
# replace its key, open and close its link. watch: what a link gives to whoever has the key.
Action = Literal["read", "change", "delete", "share", "watch"]

READ_ONLY_MESSAGE = "This API token may only read."
log = logs.get(__name__)


@dataclass(frozen=True)
class Caller:
    """Somebody whose session or token has been checked.

    ``is_generator``: a generator that reports on a video of the user, who did nothing; ``script`` is then the
    digest of the one it was given, empty where nothing tells, ``attempt`` the one that ordered it, 0 where nothing
    tells, and ``webhook_id`` the id of its signed message, empty for one without a signature. ``session_id``: the session by which the user is here
    in person, empty for a program. ``may_write``: not for tokens that only read.
    """

    user_id: str
    email: str
    is_admin: bool = False
    is_generator: bool = False
    script: str = ""
    attempt: int = 0
    webhook_id: str = ""
    session_id: str = field(default="", compare=False)  # by another device it is the same person
    may_write: bool = True


@dataclass(frozen=True)
class Visitor:
    """Somebody who shows a share link's key, whoever that is."""

    secret_key: str = field(repr=False)


@dataclass(frozen=True)
class OpenedVideo:
    """A row that the caller may act on, and its secret key."""

    row: Video
    secret_key: str = field(repr=False)


def open_video(
    session: Session,
    caller: Caller | Visitor,
    video_id: str,
    action: Action,
    *,
    owner_id: str | None = None,
    alone: bool = False,
) -> OpenedVideo:
    """The video, if the caller may do this with it and its key belongs to its owner: the one door to a video.

    ``owner_id`` is whose the request says it is; ``alone``: nobody else changes it until the transaction ends.
    Whoever is to ``change`` it needs a transaction, in which a key that an old SECRET_KEY sealed is sealed anew.
    Raises Forbidden when the owner named is neither the caller nor the caller an admin, and where a token that only
    reads would share; VideoNotFound alike for absent, foreign, deleted and tampered rows; a visitor gets WrongSecretKey for all that keeps a link from working.
    """
    if isinstance(caller, Caller):
        check_user(caller, owner_id or caller.user_id)
        if (
            action == "share" and not caller.may_write
        ):  # a key gives the video to everybody, and does not expire
            raise Forbidden(READ_ONLY_MESSAGE)
    row = session.get(Video, video_id, with_for_update={"key_share": True} if alone else None)
    opened = _opened(row)
    if opened is None or owner_id not in (None, opened.row.owner_id) or not _may(caller, action, opened):
        raise WrongSecretKey if isinstance(caller, Visitor) else VideoNotFound
    if action == "change":
        reseal_key(session, opened.row)
    return opened


def reseal_key(session: Session, video: Video) -> bool:
    """Seal the video's key with the current SECRET_KEY, unless it was replaced in the meantime."""
    fresh = security.reseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if fresh is None:
        return False
    same = (
        update(Video)
        .where(col(Video.id) == video.id, col(Video.sealed_key) == video.sealed_key)
        .values(sealed_key=fresh)
        .execution_options(synchronize_session=False)
    )
    result = session.execute(same)
    session.refresh(video, ["sealed_key"])
    return isinstance(result, CursorResult) and result.rowcount == 1


def _opened(row: Video | None) -> OpenedVideo | None:
    if row is None or row.status == Status.DELETING:
        return None
    secret_key = security.unseal(row.sealed_key, owner_id=row.owner_id, video_id=row.id)
    if secret_key is None:
        log.error("secret key does not open", video_id=row.id)
        return None
    return OpenedVideo(row, secret_key)


def _may(caller: Caller | Visitor, action: Action, opened: OpenedVideo) -> bool:
    """The decision, for each kind of caller and each action; everything that is not named is refused."""
    row = opened.row
    if isinstance(caller, Visitor):
        fits = security.keys_match(caller.secret_key, opened.secret_key)
        return action == "watch" and fits and row.status == Status.READY and _is_shared(row)
    is_owner = row.owner_id == caller.user_id
    match action:
        case "read" | "delete" | "share":
            return (is_owner or caller.is_admin) and not caller.is_generator
        case "change":
            return is_owner or caller.is_admin
        case "watch":
            return False


def _is_shared(row: Video) -> bool:
    return row.share_closed_at is None and (row.share_expires_at is None or row.share_expires_at > utcnow())


def check_user(caller: Caller, user_id: str) -> None:
    """Raises Forbidden when ``user_id`` is neither the caller nor the caller an admin."""
    if user_id != caller.user_id and not caller.is_admin:
        raise Forbidden("This belongs to somebody else.")


def check_admin(caller: Caller) -> None:
    """Raises Forbidden for anyone but admins."""
    if not caller.is_admin:
        raise Forbidden("Only admins may do this.")


def recheck_admin(session: Session, caller: Caller) -> None:
    """As ``check_admin``, by the row: the caller may have been an admin only until a moment ago."""
    row = session.get(User, caller.user_id)
    check_admin(replace(caller, is_admin=row is not None and row.is_admin and row.is_active))


def check_not_api_token(caller: Caller) -> None:
    """Raises Forbidden for programs: a token that leaks must not be able to take the account over."""
    if not caller.session_id:
        raise Forbidden("API tokens cannot do this. Sign in with your password.")


def check_own_email(caller: Caller, email: str) -> None:
    """Raises InvalidInput, and UserNotFound for anybody else's address, whether it has an account or not."""
    if fields.normalize_email(email) != caller.email:
        raise UserNotFound
