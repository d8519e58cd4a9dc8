"""The frozen shapes that admins see of everybody's videos, of what people did, and of how much there is."""

from datetime import date
from typing import Literal

from videovault.services.accounts.views import AdminUserView
from videovault.services.core.views import AdminVideoView, PublicStatus, Timestamp, View


class AdminVideosView(View):
    """One page of everybody's videos; the totals are over all pages, ``total_bytes`` is what is stored of them."""

    videos: list[AdminVideoView]
    total_count: int
    total_bytes: int


class SelectedVideoView(View):
    """Just enough of a video to say what would go with it; ``size`` are its stored bytes."""

    video_id: str
    title: str
    owner_email: str
    status: PublicStatus
    size: int


class OwnerView(View):
    user_id: str
    email: str


class UsersView(View):
    """One page of people, and how many there are in all."""

    people: list[AdminUserView]
    total_count: int


class AuditEntryView(View):
    """Something that somebody did. ``kind`` is the event's, with the new status for a change of status: ``status.ready``.

    ``actor`` and ``subject`` are addresses: who did it, and whose account or video it was done to; empty where
    nobody is known any more. ``title`` is the video's, also where it is gone. ``by``: person, generator, worker or
    repair, for changes of status. ``client_ip``: the address it was done from, empty for the machine's own work and
    after 90 days. ``times``: how often in this hour, ``last_at`` the last time if more than once. ``detail``: what else
    is told of this kind.
    """

    number: int
    at: Timestamp
    kind: str
    actor: str = ""
    subject: str = ""
    video_id: str = ""
    title: str = ""
    by: str = ""
    client_ip: str = ""
    times: int = 1
    last_at: Timestamp | None = None
    detail: dict[str, str | int | bool | None]


class AuditLogView(View):
    """One page of what was done, newest first."""

    entries: list[AuditEntryView]
    next_cursor: str | None = None


class DayView(View):
    """What was stored on one day."""

    day: date
    videos: int = 0
    bytes: int = 0


class StatsView(View):
    """How much there is: accounts, videos by status, stored bytes, and the last days, the oldest first."""

    people: int
    videos: dict[PublicStatus, int]
    bytes: int
    days: list[DayView]


Group = Literal["sign-ins", "creations", "results", "downloads", "shares", "deletions", "admin"]
