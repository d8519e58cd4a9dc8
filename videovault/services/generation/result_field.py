"""Where in a generator's reply the result stands: set in the environment, else chosen by an admin."""

from sqlmodel import Session

from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import reading
from videovault.errors import Conflict
from videovault.models import ChosenSetting
from videovault.services.core.access import Caller, check_admin

VIDEO_RESULT_FIELD = "VIDEO_RESULT_FIELD"


def video_result_field() -> str:
    """The dotted path to a video's URL; empty to have it detected."""
    return settings().video_result_field or _chosen()


def script_result_field() -> str:
    """The dotted path to a script; empty to have it detected."""
    return settings().script_result_field


def choose_result_field(session: Session, caller: Caller, path: str) -> None:
    """Use this path for all later replies. Raises Forbidden, and Conflict when the environment sets another."""
    check_admin(caller)
    if settings().video_result_field:
        raise Conflict(
            f"{VIDEO_RESULT_FIELD} is set in the environment, which takes precedence. Change it there, then restart."
        )
    row = session.get(ChosenSetting, VIDEO_RESULT_FIELD)
    row = row or ChosenSetting(name=VIDEO_RESULT_FIELD, value="", chosen_by="")
    row.value, row.chosen_by, row.chosen_at = path, caller.user_id, utcnow()
    session.add(row)


def chosen_result_field(caller: Caller) -> str:
    """The path that an admin has chosen, if it is in effect; else empty. Raises Forbidden for non-admins."""
    check_admin(caller)
    return "" if settings().video_result_field else _chosen()


def reset_result_field(session: Session, caller: Caller) -> bool:
    """Detect URLs again; returns whether a path had been chosen. Raises Forbidden."""
    check_admin(caller)
    row = session.get(ChosenSetting, VIDEO_RESULT_FIELD)
    if row is not None:
        session.delete(row)
    return row is not None


def _chosen() -> str:
    with reading() as session:
        row = session.get(ChosenSetting, VIDEO_RESULT_FIELD)
        return row.value if row else ""
