"""What all pages of the admin area share: for others than admins they do not exist."""

from videovault.services.core.access import Caller
from videovault.state.session import SessionState


class AdminState(SessionState):
    """``searches`` counts what fields are to be filled by the address again."""

    access: str = ""  # "yes", "no", or empty while nobody knows
    searches: int = 0

    def _admit(self, caller: Caller) -> bool:
        """For display: every service of the admin's asks by itself who calls."""
        self.access = "yes" if caller.is_admin else "no"
        return caller.is_admin
