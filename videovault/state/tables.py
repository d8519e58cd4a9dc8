"""Behaviour that lists share: refreshing, paging, searching and sorting."""

from collections.abc import Collection, Mapping
from typing import ClassVar
from urllib.parse import urlencode

from videovault.services.core.access import Caller
from videovault.state import wording
from videovault.state.session import SessionState, signed_in

PAGE = 50


class RefreshableList(SessionState, mixin=True):
    """A list that ``_read`` reads."""

    is_loaded: bool = False

    @signed_in
    async def refresh(self, caller: Caller) -> None:
        """Read again, for other states that have changed something."""
        if self.is_loaded:
            await self._read(caller)

    async def _read(self, caller: Caller) -> None:
        raise NotImplementedError


class PagedTable(RefreshableList, mixin=True):
    """A list of which one page is shown at a time."""

    rows_shown: str = ""
    has_previous: bool = False
    has_next: bool = False

    _cursors: list[str] = []  # of the pages after the first one, up to this one
    _next_cursor: str = ""

    @signed_in
    async def previous(self, caller: Caller) -> None:
        self._cursors = self._cursors[:-1]
        await self._read(caller)

    @signed_in
    async def next(self, caller: Caller) -> None:
        self._cursors += [self._next_cursor] if self.has_next else []
        await self._read(caller)

    @property
    def _cursor(self) -> str:
        return self._cursors[-1] if self._cursors else ""

    def _show_page(self, shown: int, total: str, next_cursor: str | None) -> None:
        """``shown`` rows are on the page that has been read."""
        before = len(self._cursors) * PAGE
        self.rows_shown = wording.rows_shown(before + 1, before + shown, total) if shown else ""
        self.has_previous, self.has_next = before > 0, next_cursor is not None
        self._next_cursor = next_cursor or ""
        self.is_loaded = True


class SortedTable(PagedTable, mixin=True):
    """A table filtered by ``q`` and sorted by one of ``COLUMNS``; those in ``DESCENDING_FIRST`` start in descending order."""

    COLUMNS: ClassVar[Collection[str]] = ()
    DESCENDING_FIRST: ClassVar[Collection[str]] = ()

    q: str = ""
    sort: str = ""
    is_descending: bool = False

    @signed_in
    async def search(self, caller: Caller, q: str) -> None:
        self.q = q
        await self._read_first_page(caller)

    @signed_in
    async def sort_by(self, caller: Caller, column: str) -> None:
        """Sort by another column, or reverse the order of this one."""
        if column in self.COLUMNS:
            self.is_descending = (
                not self.is_descending if column == self.sort else column in self.DESCENDING_FIRST
            )
            self.sort = column
            await self._read_first_page(caller)

    @signed_in
    async def reverse_order(self, caller: Caller) -> None:
        self.is_descending = not self.is_descending
        await self._read_first_page(caller)

    async def _read_first_page(self, caller: Caller) -> None:
        self._cursors = []
        await self._read(caller)

    def _sort_from(self, query: Mapping[str, str], default: str) -> None:
        """As the address says, else by ``default``."""
        column = query.get("sort", "")
        self.sort = column if column in self.COLUMNS else default
        is_descending = self.sort in self.DESCENDING_FIRST
        self.is_descending = {"up": False, "down": True}.get(query.get("order", ""), is_descending)

    def _sort_query(self, default: str) -> dict[str, str]:
        """The query that ``_sort_from`` reads, without default values."""
        is_default = self.is_descending == (self.sort in self.DESCENDING_FIRST)
        order = "" if is_default else "down" if self.is_descending else "up"
        return {"sort": "" if self.sort == default else self.sort, "order": order}


def query_string(**parts: str) -> str:
    """The query of an address, without empty values."""
    return urlencode({name: value for name, value in parts.items() if value})
