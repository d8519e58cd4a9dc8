"""The admin's list of avatars, and the dialogs in which one is edited or deleted."""

from typing import Any

from videovault.services.core.access import Caller
from videovault.services.generation import avatars as generation_avatars
from videovault.services.generation.avatars import AvatarsView
from videovault.state.admin.base import AdminState
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import signed_in
from videovault.state.tables import RefreshableList
from videovault.state.view_models import Avatar


class AdminAvatarsState(RefreshableList, AdminState):
    """``edited`` is the one in the dialog: without an ID, it is yet to be added."""

    avatars: list[Avatar] = []
    last: int = 0  # its place, from 0
    are_built_in: bool = False
    edited: Avatar = Avatar()
    is_editing: bool = False
    to_delete: Avatar = Avatar()
    form_number: int = 0

    @signed_in
    async def load(self, caller: Caller) -> None:
        if self._admit(caller):
            await self._read(caller)

    @signed_in
    async def begin(self, caller: Caller) -> None:  # noqa: ARG002 - every handler asks who calls
        """Show an empty form."""
        self._edit(Avatar())

    @signed_in
    async def edit(self, caller: Caller, avatar_id: str) -> None:
        await self._read(caller)
        self._edit(self._found(avatar_id))

    @signed_in
    async def close(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self.is_editing, self.errors = False, {}

    @signed_in(beside="avatar")
    async def save(self, caller: Caller, form: dict[str, Any]) -> None:
        """Add it, and go on to its picture; or change it."""
        self.errors = {}
        typed = {name: str(form.get(name, "")) for name in generation_avatars.RULES}
        if self.edited.avatar_id:
            await run_in_db_pool(generation_avatars.change, caller, self.edited.avatar_id, typed)
            self.is_editing = False
        else:
            self._edit(Avatar.of(await run_in_db_pool(generation_avatars.add, caller, typed)))
        self._say(f"{typed['name'].strip()} is saved.")
        await self._read(caller)

    @signed_in(beside="avatar")
    async def picture_changed(self, caller: Caller) -> None:
        """Show what the page has sent by itself."""
        self.errors = {}
        await self._read(caller)
        self.edited = self._found(self.edited.avatar_id)

    @signed_in(beside="avatar")
    async def remove_picture(self, caller: Caller) -> None:
        self.edited = Avatar.of(
            await run_in_io_pool(generation_avatars.set_picture, caller, self.edited.avatar_id, None)
        )
        await self._read(caller)

    @signed_in
    async def move(self, caller: Caller, avatar_id: str, by: int) -> None:
        """Up for negative numbers; the first and the last one stay."""
        ids = [avatar.avatar_id for avatar in self.avatars]
        place = ids.index(avatar_id) if avatar_id in ids else -1
        target = place + (1 if by > 0 else -1)
        if place < 0 or not 0 <= target < len(ids):
            return
        ids[place], ids[target] = ids[target], ids[place]
        self._show(await run_in_db_pool(generation_avatars.reorder, caller, ids))

    @signed_in
    async def ask_removal(self, caller: Caller, avatar_id: str) -> None:  # noqa: ARG002 - as above
        """Ask whether it is really to be deleted."""
        self.to_delete = self._found(avatar_id)

    @signed_in
    async def cancel_removal(self, caller: Caller) -> None:  # noqa: ARG002 - as above
        self.to_delete = Avatar()

    @signed_in
    async def remove(self, caller: Caller) -> None:
        name, avatar_id, self.to_delete = self.to_delete.name, self.to_delete.avatar_id, Avatar()
        await run_in_db_pool(generation_avatars.remove, caller, avatar_id)
        self._say(f"{name} is deleted. Videos made with it stay as they are.")
        await self._read(caller)

    def _edit(self, avatar: Avatar) -> None:
        self.edited, self.is_editing, self.errors = avatar, True, {}
        self.form_number += 1

    def _found(self, avatar_id: str) -> Avatar:
        return next((avatar for avatar in self.avatars if avatar.avatar_id == avatar_id), Avatar())

    async def _read(self, caller: Caller) -> None:
        self._show(await run_in_db_pool(generation_avatars.list_avatars, caller))

    def _show(self, found: AvatarsView) -> None:
        self.avatars = [Avatar.of(view) for view in found.avatars]
        self.last = len(self.avatars) - 1
        self.are_built_in, self.is_loaded = found.are_built_in, True
