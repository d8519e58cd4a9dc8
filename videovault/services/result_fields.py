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


def _chosen(name: str) -> str:
    with reading() as session:
        row = session.get(ChosenSetting, name)
        return row.value if row else ""
