"""What an admin has selected among everybody's videos, on this page of the table and on others."""

from collections.abc import Iterable, Mapping

from videovault.services.admin_views import PickedView
from videovault.services.administration import stored_bytes
from videovault.services.views import AdminVideoView
from videovault.state import wording
from videovault.state.shapes import Shape

MOST_NAMED = 3


class Selection(Shape):
    """In words what would go: ``3 videos, 412 MB``, which and whose they are; ``failed`` of them can be tried again."""

    count: int = 0
    summary: str = ""
    titles: str = ""
    owners: str = ""
    failed: str = ""

    @classmethod
    def of(cls, picks: Mapping[str, PickedView]) -> "Selection":
        if not picks:
            return cls()
        size = sum(pick.size for pick in picks.values())
        failed = sum(pick.status == "failed" for pick in picks.values())
        return cls(
            count=len(picks),
            summary=wording.amount(len(picks), size),
            titles=_named([f"“{pick.title}”" for pick in picks.values()]),
            owners=_named(sorted({pick.owner_email for pick in picks.values()})),
            failed=wording.videos(failed) if failed else "",
        )


def picked(found: AdminVideoView) -> PickedView:
    video = found.video
    return PickedView(
        video_id=video.video_id,
        title=video.title,
        owner_email=found.owner_email,
        status=video.status,
        size=stored_bytes(video.status, found.size),
    )


def by_id(picks: Iterable[PickedView]) -> dict[str, PickedView]:
    return {pick.video_id: pick for pick in picks}


def _named(names: list[str]) -> str:
    """``a@example.com, b@example.com and 4 more``"""
    named = ", ".join(names[:MOST_NAMED])
    left = len(names) - MOST_NAMED
    return named if left <= 0 else f"{named} and {left:,} more"
