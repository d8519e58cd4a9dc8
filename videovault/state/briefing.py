"""The brief: what is typed into its form, kept until the video is made."""

from typing import Any

from videovault.services.access import Caller
from videovault.state import briefs
from videovault.state.session import signed_in
from videovault.state.waiting import WaitState

KEPT_AS = "brief"


class BriefState(WaitState):
    brief: dict[str, str] = briefs.EMPTY
    # A new number gives the form new fields, so that what was typed into the old ones goes.
    form_number: int = 0

    _typed: dict[str, str] = {}

    @signed_in
    async def keep_brief(self, caller: Caller, form: dict[str, Any]) -> None:  # noqa: ARG002 - every handler asks who calls
        """Remember what is in the form, for a page that is loaded again."""
        self._typed = briefs.typed(form)

    @signed_in
    async def restore_brief(self, caller: Caller, form: dict[str, Any]) -> None:  # noqa: ARG002 - as above
        """Show what the browser kept where this tab knows nothing of it: after a new sign-in or a restart."""
        typed = briefs.typed(form)
        if typed != (self._typed or self.brief):
            self._typed = typed
            self._fill(typed)

    def _fill(self, brief: dict[str, str]) -> None:
        self.brief = brief
        self.form_number += 1
