"""Which tabs are connected to this process."""

from collections.abc import Callable


class OpenTabs:
    """Every tab counts as open until a server says which ones are."""

    def __init__(self) -> None:
        self._is_open: Callable[[str], bool] = lambda _token: True

    def use(self, is_open: Callable[[str], bool]) -> None:
        self._is_open = is_open

    def has(self, token: str) -> bool:
        """Whether the tab with this token of Reflex' is connected."""
        return self._is_open(token)


open_tabs = OpenTabs()
