"""The base of all admin pages, which do not exist for other users."""

from videovault.services.core.access import Caller
from videovault.state.session import SessionState


class AdminState(SessionState):
    """``filters_number`` changes when the address fills the filter fields again."""

    access: str = ""  # "yes", "no", or empty while unknown
    filters_number: int = 0

    def _admit(self, caller: Caller) -> bool:
        """For display: every admin service checks the caller itself."""
        self.access = "yes" if caller.is_admin else "no"
        return caller.is_admin
