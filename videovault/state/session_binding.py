"""What a background handler changes its tab by, only as long as nobody else has the tab."""

from typing import TYPE_CHECKING, Any

from reflex.istate.proxy import StateProxy

from videovault.errors import NotSignedIn

if TYPE_CHECKING:
    from videovault.state.session import SessionState


class OwnTab(StateProxy):
    """Reflex's proxy, which belongs to the session that the handler began in.

    A webhook may answer minutes later, when somebody else has signed in at this very tab: entering it by
    ``async with`` then raises NotSignedIn, and the caller that is asked for stays the one of the beginning.
    """

    def __init__(self, state: "SessionState", event: Any = None, parent_state_proxy: Any = None) -> None:
        super().__init__(state, event, parent_state_proxy)
        if parent_state_proxy is None:  # the others lead to the one that is entered
            self._self_session = state._session  # noqa: SLF001 - it stands for this state
            self._self_cookie = state._token()  # noqa: SLF001 - as above

    async def __aenter__(self) -> "OwnTab":
        await super().__aenter__()
        if self._self_parent_state_proxy is None and self._session != self._self_session:
            await self.__aexit__(None, None, None)
            raise NotSignedIn
        return self

    def _token(self) -> str:
        """The cookie at the beginning: by now the tab may hold another one."""
        return self._self_cookie
