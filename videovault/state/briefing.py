"""The brief: what is typed into its form, kept until the video is made."""

from typing import Any

from videovault.services import avatars
from videovault.services.access import Caller
from videovault.state import briefs
from videovault.state.calls import quickly
from videovault.state.session import signed_in
from videovault.state.shapes import Avatar
from videovault.state.waiting import WaitState

KEPT_AS = "brief"


class BriefState(WaitState):
    avatars: list[Avatar] = []
    has_own_avatars: bool = False
    brief: dict[str, str] = briefs.EMPTY
    # A new number gives the form new fields, so that what was typed into the old ones goes.
    form_number: int = 0

    _typed: dict[str, str] = {}

    @signed_in
    async def keep_brief(self, caller: Caller, form: dict[str, Any]) -> None:  # noqa: ARG002 - every handler asks who calls
        """Remember what is in the form, for a page that is loaded again."""
        self._typed = briefs.typed(briefs.completed(form, self.brief))

    @signed_in
    async def restore_brief(self, caller: Caller, form: dict[str, Any]) -> None:
        """Show what the browser kept where this tab knows nothing of it: after a new sign-in or a restart."""
        await self._offer(caller)
        typed = briefs.fitted(briefs.typed(briefs.completed(form, self.brief)), self._offered)
        if typed != (self._typed or self.brief):
            self._typed = typed
            self._fill(typed)

    @property
    def _offered(self) -> list[str]:
        """The generator's IDs of the avatars to choose from."""
        return [avatar.generator_id for avatar in self.avatars]

    async def _offer(self, caller: Caller) -> None:
        """Show the avatars that there are now."""
        found = await quickly(avatars.offered, caller)
        self.avatars = [Avatar.of(view) for view in found.avatars]
        self.has_own_avatars = not found.are_built_in

    def _fill(self, brief: dict[str, str]) -> None:
        self.brief = brief
        self.form_number += 1
