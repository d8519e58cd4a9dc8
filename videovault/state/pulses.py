"""What moves by itself, for every page that is open in this process, from one look at the database."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from videovault.services import watching
from videovault.services.views import NoticeView
from videovault.state.broadcast import Broadcast
from videovault.state.calls import quickly
from videovault.state.shapes import Work

BUSY_SECONDS, IDLE_SECONDS = 0.4, 1.0  # between looks, while videos are in work and while none is


@dataclass(frozen=True)
class Pulse:
    """``changes`` are the numbers of what happened of late, as the services' pulse has them."""

    works: Mapping[str, Work] = field(default_factory=dict)
    changes: frozenset[int] = frozenset()
    notices: Sequence[NoticeView] = ()

    @classmethod
    def of(cls, found: watching.Pulse) -> "Pulse":
        works = {video_id: Work.of(progress) for video_id, progress in found.progress.items()}
        return cls(works, found.changes, found.notices)


async def _look(people: Collection[str]) -> Mapping[str, Pulse]:
    found = await quickly(watching.look, people)
    return {person: Pulse.of(pulse) for person, pulse in found.items()}


def _pause(found: Mapping[str, Pulse]) -> float:
    return BUSY_SECONDS if any(pulse.works for pulse in found.values()) else IDLE_SECONDS


pulses: Broadcast[Pulse] = Broadcast(_look, _pause, Pulse())
