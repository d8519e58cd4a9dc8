"""Where in a generator's answer the result stands: as the environment says, else as an admin has chosen on a page."""

from sqlmodel import Session

from videovault.config import settings
from videovault.db import reading
from videovault.errors import Conflict
from videovault.models import ChosenSetting, now
from videovault.services.access import Caller, check_admin

VIDEO = "VIDEO_RESULT_FIELD"
SCRIPT = "SCRIPT_RESULT_FIELD"
LONGEST = 200


def video() -> str:
    """The dotted path to a video's address; empty where it is found by itself."""
    return settings().video_result_field or _chosen(VIDEO)


def script() -> str:
    """The dotted path to a script; empty where it is found by itself."""
    return settings().script_result_field


def choose_video(session: Session, caller: Caller, path: str) -> None:
    """Keep the path for all answers from now on. Raises Forbidden, and Conflict where the environment sets another."""
    check_admin(caller)
    if settings().video_result_field:
        raise Conflict(f"{VIDEO} is set in the environment, which counts. Change it there, then start again.")
    row = session.get(ChosenSetting, VIDEO) or ChosenSetting(name=VIDEO, value="", chosen_by="")
    row.value, row.chosen_by, row.chosen_at = path, caller.user_id, now()
    session.add(row)


def chosen(caller: Caller) -> str:
    """The path that an admin has chosen, if it counts; empty without one. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    return "" if settings().video_result_field else _chosen(VIDEO)


def forget_video(session: Session, caller: Caller) -> bool:
    """Find addresses by themselves again; whether a path had been chosen. Raises Forbidden."""
    check_admin(caller)
    row = session.get(ChosenSetting, VIDEO)
    if row is not None:
        session.delete(row)
    return row is not None


def _chosen(name: str) -> str:
    with reading() as session:
        row = session.get(ChosenSetting, name)
        return row.value if row else ""
