"""Who may do what: the caller, and the one door through which a video is reached."""

from dataclasses import dataclass, field

from sqlmodel import Session

from videovault import logs, security
from videovault.errors import Forbidden, UserNotFound, VideoNotFound
from videovault.models import Status, Video
from videovault.services import fields

log = logs.get(__name__)


@dataclass(frozen=True)
class Caller:
    """Somebody whose session or token has been checked.

    ``is_generator``: a generator that reports on a video of the user, who did nothing; ``script`` is then the
    digest of the one it was given, empty where nothing tells. ``session_id``: the session by which the user is here
    in person, empty for a program. ``may_write``: not for tokens that only read.
    """

    user_id: str
    email: str
    is_admin: bool = False
    is_generator: bool = False
    script: str = ""
    session_id: str = field(default="", compare=False)  # by another device it is the same person
    may_write: bool = True


@dataclass(frozen=True)
class OpenedVideo:
    """A row that the caller may act on, and its secret key."""

    row: Video
    secret_key: str


def open_video(
    session: Session, caller: Caller, video_id: str, *, owner_id: str | None = None, alone: bool = False
) -> OpenedVideo:
    """The video, if it is the caller's (or the caller is an admin) and its key belongs to its owner.

    ``owner_id`` is whose the request says it is; ``alone``: nobody else changes it until the transaction ends. Raises Forbidden when that is neither the caller nor
    the caller an admin, and VideoNotFound alike for absent, foreign, deleted and tampered rows.
    """
    check_user(caller, owner_id or caller.user_id)
    row = session.get(Video, video_id, with_for_update={"key_share": True} if alone else None)
    if row is None or row.status == Status.DELETING or owner_id not in (None, row.owner_id):
        raise VideoNotFound
    if row.owner_id != caller.user_id and not caller.is_admin:
        raise VideoNotFound
    secret_key = security.open_sealed(row.sealed_key, owner_id=row.owner_id, video_id=row.id)
    if secret_key is None:
        log.error("secret key does not open", video_id=row.id)
        raise VideoNotFound
    return OpenedVideo(row, secret_key)


def check_user(caller: Caller, user_id: str) -> None:
    """Raises Forbidden when ``user_id`` is neither the caller nor the caller an admin."""
    if user_id != caller.user_id and not caller.is_admin:
        raise Forbidden("This belongs to somebody else.")


def check_admin(caller: Caller) -> None:
    """Raises Forbidden for anyone but admins."""
    if not caller.is_admin:
        raise Forbidden("Only admins may do this.")


def check_in_person(caller: Caller) -> None:
    """Raises Forbidden for programs: a token that leaks must not be able to take the account over."""
    if not caller.session_id:
        raise Forbidden("API tokens cannot do this. Sign in with your password.")


def check_own_email(caller: Caller, email: str) -> None:
    """Raises InvalidInput, and UserNotFound for anybody else's address, whether it has an account or not."""
    if fields.checked_email(email) != caller.email:
        raise UserNotFound
