"""What a page tells of videos that became ready or failed meanwhile, whichever page is open."""

from collections.abc import Sequence
from datetime import timedelta

from videovault.models import now
from videovault.services.access import Caller
from videovault.services.views import NoticeView
from videovault.state import wording
from videovault.state.pulses import IDLE_SECONDS, pulses
from videovault.state.session import SessionState, signed_in
from videovault.state.shapes import News
from videovault.state.studio import StudioState

SHOWN_AT_ONCE = 3
REMEMBERED = 200
# A tab that has just been opened was not yet listening when its person was already looking.
WHILE_OPENING = timedelta(seconds=2)


async def notices_for(caller: Caller) -> Sequence[NoticeView]:
    """The caller's part of what one look at the database found for everybody."""
    return (await pulses.hear(caller.user_id, None, IDLE_SECONDS)).notices


class NewsState(SessionState):
    _told: list[int] | None = None  # by number, so that no page of this tab says it again

    @signed_in
    async def tell(self, caller: Caller) -> None:
        """Show what this tab has not told yet; of the time before it was opened, nothing."""
        found = await notices_for(caller)
        if self._told is None:
            self._told = [notice.number for notice in found if notice.at < now() - WHILE_OPENING]
        untold = [notice for notice in found if notice.number not in self._told]
        if not untold:
            return
        self._told = sorted({*self._told, *(notice.number for notice in untold)})[-REMEMBERED:]
        studio = await self.get_state(StudioState)
        watched = studio.video.video_id if studio.stage else ""
        self._show([notice for notice in untold if notice.video_id != watched])  # the modal tells by itself

    @signed_in
    async def put_away(self, caller: Caller, number: int) -> None:  # noqa: ARG002 - every handler asks who calls
        """Take one of the news away."""
        self.news = [shown for shown in self.news if shown.number != number]

    def _show(self, untold: Sequence[NoticeView]) -> None:
        fresh = [News.of(notice) for notice in untold]
        if len(fresh) > SHOWN_AT_ONCE:
            fresh = [_together(untold)]
        if fresh:
            self.news = [*self.news, *fresh][-SHOWN_AT_ONCE:]


def _together(untold: Sequence[NoticeView]) -> News:
    failed = sum(bool(notice.reason) for notice in untold)
    text = wording.news(len(untold) - failed, failed)
    return News(number=untold[-1].number, text=text, is_bad=bool(failed))
