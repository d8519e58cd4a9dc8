"""The admin's list of avatars, and the dialogs that edit or delete one."""

from typing import Any

from videovault.services.core.access import Caller
from videovault.services.generation import avatars
from videovault.services.generation.avatars import AvatarsView
from videovault.state.background import run_in_db_pool, run_in_io_pool
from videovault.state.session import AdminState, signed_in
from videovault.state.tables import RefreshableList
from videovault.state.view_models import Avatar


class AdminAvatarsState(RefreshableList, AdminState):
    """``edited`` is the avatar in the dialog; without an ID it is new."""

    avatars: list[Avatar] = []
    last: int = 0  # index of the last avatar
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
    async def add(self) -> None:
        """Open an empty form."""
        self._edit(Avatar())

    @signed_in
    async def edit(self, caller: Caller, avatar_id: str) -> None:
        await self._read(caller)
        self._edit(self._found(avatar_id))

    @signed_in
    async def close(self) -> None:
        self.is_editing, self.errors = False, {}

    @signed_in(beside="avatar")
    async def save(self, caller: Caller, form: dict[str, Any]) -> None:
        """Add the avatar and continue with its picture, or change it."""
        self.errors = {}
        values = {name: str(form.get(name, "")) for name in avatars.RULES}
        if self.edited.avatar_id:
            await run_in_db_pool(avatars.change, caller, self.edited.avatar_id, values)
            self.is_editing = False
        else:
            self._edit(Avatar.of(await run_in_db_pool(avatars.add, caller, values)))
        self._notify(f"{values['name'].strip()} is saved.")
        await self._read(caller)

    @signed_in(beside="avatar")
    async def picture_changed(self, caller: Caller) -> None:
        """Show the picture that the page has uploaded."""
        self.errors = {}
        await self._read(caller)
        self.edited = self._found(self.edited.avatar_id)

    @signed_in(beside="avatar")
    async def remove_picture(self, caller: Caller) -> None:
        self.edited = Avatar.of(
            await run_in_io_pool(avatars.set_picture, caller, self.edited.avatar_id, None)
        )
        await self._read(caller)

    @signed_in
    async def move(self, caller: Caller, avatar_id: str, by: int) -> None:
        """Move by one place, up for negative numbers."""
        ids = [avatar.avatar_id for avatar in self.avatars]
        place = ids.index(avatar_id) if avatar_id in ids else -1
        target = place + (1 if by > 0 else -1)
        if place < 0 or not 0 <= target < len(ids):
            return
        ids[place], ids[target] = ids[target], ids[place]
        self._show(await run_in_db_pool(avatars.reorder, caller, ids))

    @signed_in
    async def ask_removal(self, avatar_id: str) -> None:
        """Open the confirmation."""
        self.to_delete = self._found(avatar_id)

    @signed_in
    async def cancel_removal(self) -> None:
        self.to_delete = Avatar()

    @signed_in
    async def remove(self, caller: Caller) -> None:
        name, avatar_id, self.to_delete = self.to_delete.name, self.to_delete.avatar_id, Avatar()
        await run_in_db_pool(avatars.remove, caller, avatar_id)
        self._notify(f"{name} is deleted. Videos made with it stay as they are.")
        await self._read(caller)

    def _edit(self, avatar: Avatar) -> None:
        self.edited, self.is_editing, self.errors = avatar, True, {}
        self.form_number += 1

    def _found(self, avatar_id: str) -> Avatar:
        return next((avatar for avatar in self.avatars if avatar.avatar_id == avatar_id), Avatar())

    async def _read(self, caller: Caller) -> None:
        self._show(await run_in_db_pool(avatars.list_avatars, caller))

    def _show(self, found: AvatarsView) -> None:
        self.avatars = [Avatar.of(view) for view in found.avatars]
        self.last = len(self.avatars) - 1
        self.are_built_in, self.is_loaded = found.are_built_in, True
