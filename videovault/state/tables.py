"""What lists have in common: they are read again when something else has changed them, and some come in pages."""

from collections.abc import Collection, Mapping
from typing import ClassVar
from urllib.parse import urlencode

from videovault.services.core.access import Caller
from videovault.state import wording
from videovault.state.session import SessionState, signed_in

PAGE = 50


class RefreshableList(SessionState, mixin=True):
    """A list that ``_read`` reads as it is asked for."""

    is_loaded: bool = False

    @signed_in
    async def refresh(self, caller: Caller) -> None:
        """Read again what is shown, for other states that changed something."""
        if self.is_loaded:
            await self._read(caller)

    async def _read(self, caller: Caller) -> None:
        raise NotImplementedError


class PagedTable(RefreshableList, mixin=True):
    """A list of which one page is shown at a time."""

    place: str = ""
    has_previous: bool = False
    has_next: bool = False

    _offset: int = 0

    @signed_in
    async def earlier(self, caller: Caller) -> None:
        self._offset = max(0, self._offset - PAGE)
        await self._read(caller)

    @signed_in
    async def later(self, caller: Caller) -> None:
        self._offset += PAGE if self.has_next else 0
        await self._read(caller)

    def _turned(self, shown: int, total: int) -> None:
        """``shown`` of ``total`` are on the page that has been read."""
        last = self._offset + shown
        self.place = wording.place(self._offset + 1, last, total) if shown else ""
        self.has_previous, self.has_next = self._offset > 0, last < total
        self.is_loaded = True


class SortedTable(PagedTable, mixin=True):
    """Such a list in an order that is chosen, by one of ``COLUMNS``; those of ``FALLING_FIRST`` begin with the most."""

    COLUMNS: ClassVar[Collection[str]] = ()
    DESCENDING_FIRST: ClassVar[Collection[str]] = ()

    sort: str = ""
    is_descending: bool = False

    @signed_in
    async def sort_by(self, caller: Caller, column: str) -> None:
        """By another column, or by this one the other way round."""
        if column in self.COLUMNS:
            self.is_descending = (
                not self.is_descending if column == self.sort else column in self.DESCENDING_FIRST
            )
            self.sort = column
            await self._read_anew(caller)

    @signed_in
    async def reverse_order(self, caller: Caller) -> None:
        self.is_descending = not self.is_descending
        await self._read_anew(caller)

    async def _read_anew(self, caller: Caller) -> None:
        self._offset = 0
        await self._read(caller)

    def _sort_as(self, asked: Mapping[str, str], usual: str) -> None:
        """As the address says, by ``usual`` where it says nothing."""
        wish = asked.get("sort", "")
        self.sort = wish if wish in self.COLUMNS else usual
        falls = self.sort in self.DESCENDING_FIRST
        self.is_descending = {"up": False, "down": True}.get(asked.get("order", ""), falls)

    def _order(self, usual: str) -> dict[str, str]:
        """What ``_sort_as`` reads, as short as can be."""
        usually = self.sort in self.DESCENDING_FIRST
        order = "" if self.is_descending == usually else "down" if self.is_descending else "up"
        return {"sort": "" if self.sort == usual else self.sort, "order": order}


def query_string(**parts: str) -> str:
    """The query of an address that says these, as far as there is something to say."""
    return urlencode({name: value for name, value in parts.items() if value})
