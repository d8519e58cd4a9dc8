"""Administration over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, Field, StringConstraints

from videovault.api.auth import SignedInCaller
from videovault.api.responses import Success, failures
from videovault.api.schemas import CamelBody, DeleteManyBody, Id, Text, or_blank
from videovault.services.admin import audit_log, statistics
from videovault.services.admin import videos as admin_videos
from videovault.services.admin.audit_log import AuditLogQuery, AuditLogView, Group
from videovault.services.admin.statistics import StatsView
from videovault.services.core.views import AdminVideoView, DeletionResult, View
from videovault.services.maintenance import reconcile

router = APIRouter(prefix="/api/admin", tags=["Administration"])


class EventParams(CamelBody):
    """What of the events is wanted; an empty value counts as not given. ``until`` is not in it.

    ``clientIp`` is a whole client address, or how one begins.
    """

    group: Annotated[Group | None, or_blank(Group)] = None
    user_id: Annotated[Id | None, or_blank(Id)] = None
    client_ip: Annotated[Text, StringConstraints(max_length=45)] = ""
    since: Annotated[AwareDatetime | None, or_blank(AwareDatetime)] = None
    until: Annotated[AwareDatetime | None, or_blank(AwareDatetime)] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[Text, StringConstraints(max_length=20)] = ""


class StatsParams(CamelBody):
    """``timeZone`` as in Europe/Berlin; one that is not known counts as UTC."""

    time_zone: Annotated[Text, StringConstraints(max_length=64)] = "UTC"


class AllVideos(View):
    videos: list[AdminVideoView]
    total_count: int


class Deletions(View):
    results: list[DeletionResult]


@router.get("/videos", response_model_exclude_none=True, responses=failures(401, 403))
def list_videos(caller: SignedInCaller) -> Success[AllVideos]:
    """Everybody's videos, newest first."""
    found = admin_videos.list_videos(caller)
    return Success(
        message="Videos retrieved successfully", data=AllVideos(videos=found, total_count=len(found))
    )


@router.delete("/videos", response_model_exclude_none=True, responses=failures(400, 401, 403))
def delete_videos(caller: SignedInCaller, body: DeleteManyBody) -> Success[Deletions]:
    """Delete several videos; the answer tells what became of each."""
    results = admin_videos.delete_videos(caller, body.video_ids)
    gone = sum(result.deleted for result in results)
    return Success(message=f"{gone} of {len(results)} videos deleted", data=Deletions(results=results))


@router.get("/events", response_model_exclude_none=True, responses=failures(400, 401, 403))
def list_events(caller: SignedInCaller, query: Annotated[EventParams, Query()]) -> Success[AuditLogView]:
    """Who did what when, newest first."""
    wanted = AuditLogQuery(
        group=query.group,
        user_id=query.user_id or "",
        client_ip=query.client_ip,
        since=query.since,
        until=query.until,
        cursor=query.cursor,
        limit=query.limit,
    )
    return Success(message="Events retrieved successfully", data=audit_log.list_entries(caller, wanted))


@router.get("/stats", responses=failures(400, 401, 403))
def read_stats(caller: SignedInCaller, query: Annotated[StatsParams, Query()]) -> Success[StatsView]:
    """How much there is, and what was stored on each of the last 30 days, in the time zone named."""
    found = statistics.stats(caller, query.time_zone)
    return Success(message="Figures retrieved successfully", data=found)


@router.get("/reconcile", responses=failures(401, 403, 502))
def look_for_differences(caller: SignedInCaller) -> Success[reconcile.Report]:
    """What S3 holds against what the database says; nothing is changed. It takes minutes for a large bucket."""
    return _reconciled(reconcile.for_admin(caller))


@router.post("/reconcile", responses=failures(401, 403, 409, 502))
def mend_differences(caller: SignedInCaller) -> Success[reconcile.Report]:
    """The same, and mend what needs no person's judgement."""
    return _reconciled(reconcile.for_admin(caller, repair=True))


def _reconciled(report: reconcile.Report) -> Success[reconcile.Report]:
    found = sum(each.count for each in report.found)
    return Success(message=f"{found} differences found, {found - report.left} mended", data=report)
