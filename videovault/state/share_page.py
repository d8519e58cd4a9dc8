"""The page of a share link, for visitors without an account: the video, or that the link does not work."""

from typing import Literal
from urllib.parse import urlencode

import reflex as rx

from videovault.config import settings
from videovault.errors import RateLimited, VideoVaultError, WrongSecretKey
from videovault.services import sharing
from videovault.services.sharing import ShareCredentials
from videovault.state.background import run_in_io_pool
from videovault.state.session import SessionState
from videovault.state.view_models import SharedVideo

Access = Literal["", "yes", "no", "limited", "later"]


class SharePageState(SessionState):
    """``access`` is empty while the page is loading."""

    access: Access = ""
    video: SharedVideo = SharedVideo()
    link_seconds: int = 0

    _view_pass: str = ""

    @rx.event
    async def open(self) -> None:
        """Show the video of the link. A tab counts as one view, however often it is loaded."""
        video_id = self.router.url.path.rstrip("/").rpartition("/")[2]
        key = self.router.url.query_parameters.get("key", "")
        self.link_seconds = settings().download_url_seconds
        self.access, self.video = await self._open(video_id, key)

    async def _open(self, video_id: str, key: str) -> tuple[Access, SharedVideo]:
        visit = ShareCredentials(key, self.router.session.client_ip, self._view_pass)
        try:
            found = await run_in_io_pool(sharing.open_page, video_id, visit)
        except WrongSecretKey:
            return "no", SharedVideo()
        except RateLimited:
            return "limited", SharedVideo()
        except VideoVaultError:
            return "later", SharedVideo()
        self._view_pass = found.ticket
        return "yes", SharedVideo.of(found, urlencode({"key": key, "ticket": found.ticket}))
