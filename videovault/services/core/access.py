"""Access control: the caller, and ``open_video``, the only check through which a video is reached."""

from dataclasses import dataclass, field, replace
from typing import Literal

from sqlalchemy import update
from sqlmodel import Session, col

from videovault import logs, security
from videovault.clock import utcnow
from videovault.db import changes_row
from videovault.errors import Forbidden, UserNotFound, VideoNotFound, WrongSecretKey
from videovault.models import Status, User, Video
from videovault.services.core import fields

# read: see it and fetch its file. change: alter its row, including by a generator's report. share: see or replace its
# key, open and close its link. watch: what a share link permits.
Action = Literal["read", "change", "delete", "share", "watch"]

READ_ONLY_MESSAGE = "This API token may only read."
log = logs.get(__name__)


@dataclass(frozen=True)
class Caller:
    """An authenticated caller.

    ``is_generator``: a generator that reports on a video of the user. Then ``script`` is the digest of the script it
    was given and ``attempt`` the attempt that ordered it (empty and 0 if unknown), and ``webhook_id`` the id of its
    signed message (empty without a signature). ``session_id`` is empty for API tokens. ``may_write`` is false for
    read-only tokens.
    """

    user_id: str
    email: str
    is_admin: bool = False
    is_generator: bool = False
    script: str = ""
    attempt: int = 0
    webhook_id: str = ""
    session_id: str = field(default="", compare=False)  # the same person on another device is equal
    may_write: bool = True


@dataclass(frozen=True)
class Visitor:
    """Anyone who presents the key of a share link."""

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
    for_update: bool = False,
) -> OpenedVideo:
    """The video, if the caller may do this with it and its sealed key belongs to its owner.

    ``owner_id`` is the owner that the request names. ``for_update`` locks the row until the transaction ends. ``change``
    needs a writing transaction, in which a key sealed with an old SECRET_KEY is sealed with the current one.
    Raises Forbidden if the named owner is another user and the caller no admin, or if a read-only token would share;
    VideoNotFound for absent, foreign, deleted and tampered rows alike; for a visitor, WrongSecretKey in all cases.
    """
    if isinstance(caller, Caller):
        check_user(caller, owner_id or caller.user_id)
        if action == "share" and not caller.may_write:  # a key gives the video to anyone and does not expire
            raise Forbidden(READ_ONLY_MESSAGE)
    row = session.get(Video, video_id, with_for_update={"key_share": True} if for_update else None)
    opened = _opened(row)
    if opened is None or owner_id not in (None, opened.row.owner_id) or not _may(caller, action, opened):
        raise WrongSecretKey if isinstance(caller, Visitor) else VideoNotFound
    if isinstance(caller, Visitor) and _is_closed(session, opened.row.owner_id):
        raise WrongSecretKey
    if action == "change":
        reseal_key(session, opened.row)
    return opened


def reseal_key(session: Session, video: Video) -> bool:
    """Seal the video's key with the current SECRET_KEY, unless it was replaced meanwhile; whether it was sealed."""
    fresh = security.reseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)
    if fresh is None:
        return False
    same = (
        update(Video)
        .where(col(Video.id) == video.id, col(Video.sealed_key) == video.sealed_key)
        .values(sealed_key=fresh)
    )
    is_resealed = changes_row(session, same)
    session.refresh(video, ["sealed_key"])
    return is_resealed


def _opened(row: Video | None) -> OpenedVideo | None:
    if row is None or row.status == Status.DELETING:
        return None
    secret_key = security.unseal(row.sealed_key, owner_id=row.owner_id, video_id=row.id)
    if secret_key is None:
        log.error("secret key cannot be unsealed", video_id=row.id)
        return None
    return OpenedVideo(row, secret_key)


def _may(caller: Caller | Visitor, action: Action, opened: OpenedVideo) -> bool:
    """The decision for each kind of caller and each action; whatever is not listed is refused."""
    row = opened.row
    if isinstance(caller, Visitor):
        is_key_right = security.keys_match(caller.secret_key, opened.secret_key)
        return action == "watch" and is_key_right and row.status == Status.READY and _is_shared(row)
    is_owner = row.owner_id == caller.user_id
    match action:
        case "read" | "delete" | "share":
            return (is_owner or caller.is_admin) and not caller.is_generator
        case "change":
            return is_owner or caller.is_admin
        case "watch":
            return False


def _is_closed(session: Session, user_id: str) -> bool:
    """Its videos are deleted in turn, but no visitor sees any of them meanwhile."""
    user = session.get(User, user_id)
    return user is None or user.closed_at is not None


def _is_shared(row: Video) -> bool:
    return row.share_closed_at is None and (row.share_expires_at is None or row.share_expires_at > utcnow())


def check_user(caller: Caller, user_id: str) -> None:
    """Raises Forbidden if ``user_id`` is another user and the caller no admin."""
    if user_id != caller.user_id and not caller.is_admin:
        raise Forbidden("This belongs to another user.")


def check_admin(caller: Caller) -> None:
    """Raises Forbidden for anyone but admins."""
    if not caller.is_admin:
        raise Forbidden("Only admins may do this.")


def recheck_admin(session: Session, caller: Caller) -> None:
    """As ``check_admin``, by the current row: the caller may have lost the role since it was authenticated."""
    row = session.get(User, caller.user_id)
    check_admin(replace(caller, is_admin=row is not None and row.is_admin and row.is_active))


def check_not_api_token(caller: Caller) -> None:
    """Raises Forbidden for API tokens: a leaked token must not be able to take over the account."""
    if not caller.session_id:
        raise Forbidden("API tokens cannot do this. Sign in with your password.")


def check_own_email(caller: Caller, email: str) -> None:
    """Raises InvalidInput, and UserNotFound for any other address, whether or not it has an account."""
    if fields.normalize_email(email) != caller.email:
        raise UserNotFound
