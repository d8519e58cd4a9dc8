"""How much there is, and what was stored on each of the last days."""

from videovault.services import statistics
from videovault.services.access import Caller
from videovault.services.admin_views import DayView
from videovault.state import wording
from videovault.state.admin import AdminState
from videovault.state.calls import quickly
from videovault.state.session import signed_in
from videovault.state.shapes import Shape


class Day(Shape):
    """``day`` is its noon, wherever one is: midnight in UTC is the day before in half of the world."""

    day: str
    videos: int
    bytes: int
    size: str

    @classmethod
    def of(cls, view: DayView) -> "Day":
        size = wording.size(view.bytes)
        return cls(day=f"{view.day.isoformat()}T12:00", videos=view.videos, bytes=view.bytes, size=size)


class AdminFiguresState(AdminState):
    days: list[Day] = []
    people: str = ""
    videos: str = ""
    storage: str = ""
    lately: str = ""
    is_loaded: bool = False

    @signed_in
    async def load(self, caller: Caller, zone: str) -> None:
        """In days as they are where the browser named ``zone`` is."""
        if not self._admit(caller):
            return
        found = await quickly(statistics.stats, caller, zone)
        self.days = [Day.of(view) for view in found.days]
        self.people = wording.accounts(found.people)
        self.videos = wording.videos(sum(found.videos.values()))
        self.storage = wording.size(found.bytes)
        videos, size = sum(day.videos for day in self.days), sum(day.bytes for day in self.days)
        self.lately = f"{wording.videos(videos)}, {wording.size(size)}"
        self.is_loaded = True
