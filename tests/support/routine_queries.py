"""Everything that reads long tables again and again: lists page by page, and the periodic work of workers and pages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import product
from typing import get_args

from videovault.clock import utcnow
from videovault.db import reading
from videovault.models import Channel
from videovault.services import outbox
from videovault.services.admin import audit_log, statistics, users, videos
from videovault.services.admin.audit_log import EVENT_GROUPS, AuditLogQuery
from videovault.services.admin.videos import VideosQuery
from videovault.services.core import quota
from videovault.services.core.access import Caller
from videovault.services.core.views import PublicStatus
from videovault.services.generation import polling, webhook_log
from videovault.services.maintenance import repair
from videovault.services.transfer import lease, playable_copy, scheduler
from videovault.services.videos import gallery, live_updates
from videovault.services.videos.gallery import GalleryQuery, Sort

Act = Callable[[], object]


def lists(
    admin: Caller, *, page: int, statuses: Sequence[PublicStatus | None] = (None, *get_args(PublicStatus))
) -> dict[str, Act]:
    """A page of every list in every order with every filter; ``admin`` has more than ``page`` videos of each status."""
    found: dict[str, Act] = {}
    for status in statuses:
        found |= {name: act for sort in get_args(Sort) for name, act in _gallery(admin, status, sort, page)}
        found |= {
            name: act for column in videos.SORTED_BY for name, act in _videos(admin, status, column, page)
        }
    return {
        **found,
        **dict(_users(admin)),
        **dict(_logs(admin)),
        "statistics": partial(statistics.stats, admin),
        "live updates": partial(live_updates.UpdatesReader().read, [admin.user_id]),
        "quota": partial(_remaining, admin),
    }


def _gallery(admin: Caller, status: PublicStatus | None, sort: Sort, page: int) -> Iterator[tuple[str, Act]]:
    query = GalleryQuery(status=status, sort=sort, limit=page)
    yield f"gallery, {status or 'all'} by {sort}", partial(_second_page, admin, query)


def _videos(
    admin: Caller, status: PublicStatus | None, column: videos.Column, page: int
) -> Iterator[tuple[str, Act]]:
    for owner_id, descending in product(("", admin.user_id), (True, False)):
        query = VideosQuery(status=status, sort=column, owner_id=owner_id, descending=descending, limit=page)
        yield f"admin's videos: {query}", partial(_second_admin_page, admin, query)


def _users(admin: Caller) -> Iterator[tuple[str, Act]]:
    for column, descending in product(users.SORTED_BY, (True, False)):
        find = partial(users.find_users, admin, sort=column, descending=descending, limit=1)
        yield f"users by {column}, {'falling' if descending else 'rising'}", partial(_second_users, find)


def _logs(admin: Caller) -> Iterator[tuple[str, Act]]:
    day = AuditLogQuery(since=utcnow() - timedelta(days=21), until=utcnow() - timedelta(days=20))
    queries = {
        "all": AuditLogQuery(),
        "a day": day,
        "a person": AuditLogQuery(person=admin.email),
        "an account": AuditLogQuery(user_id=admin.user_id),
        "an address": AuditLogQuery(client_ip="203.0.113.7"),
    } | {group: AuditLogQuery(group=group) for group in EVENT_GROUPS}
    for what, query in queries.items():
        yield f"audit log, {what}", partial(audit_log.list_entries, admin, query)
        later = replace(query, cursor="999999")
        yield f"audit log, {what}, a later page", partial(audit_log.list_entries, admin, later)
    for direction in (None, *get_args(webhook_log.Direction)):
        yield (
            f"webhook log, {direction or 'all'}",
            partial(webhook_log.list_calls, admin, direction=direction),
        )
    yield "webhook log of a video", partial(webhook_log.list_calls, admin, video_id="video_1")


def periodic() -> Iterator[tuple[str, Act]]:
    """The periodic work of a worker; ``repair`` and its clean-up with all their steps."""
    yield "repair", partial(repair.repair, enqueue=_ignore)
    yield "clean-up", repair.clean_up
    yield "polling", polling.due_video_ids
    yield "playable copies", partial(playable_copy.make_next, stopping=lambda: False)
    yield "worker registry", lease.WorkerRegistration(1).beat
    yield "metrics", statistics._read_installation
    yield "claim", scheduler.claim
    yield "next in the queue", scheduler.next_queued
    yield "next order", scheduler.next_unrequested
    for channel in Channel:
        yield f"notices by {channel}", partial(outbox.deliver_due, channel, stopping=lambda: False)


def _ignore(_video_id: str) -> None:
    """No worker is needed."""


def _second_page(caller: Caller, query: GalleryQuery) -> object:
    first = gallery.list_videos(caller, caller.user_id, query, links=False)
    assert first.next_cursor, "too few videos"
    return gallery.list_videos(caller, caller.user_id, replace(query, cursor=first.next_cursor), links=False)


def _second_admin_page(caller: Caller, query: VideosQuery) -> object:
    first = videos.find_videos(caller, query)
    assert first.next_cursor, "too few videos"
    return videos.find_videos(caller, replace(query, cursor=first.next_cursor))


def _second_users(find: Callable[..., users.UsersView]) -> object:
    cursor = find().next_cursor
    assert cursor, "too few accounts"
    return find(cursor=cursor)


def _remaining(caller: Caller) -> object:
    with reading() as session:
        quota.check_quota(session, caller.user_id)
        return quota.remaining(session, caller.user_id)
