"""Administration: videos, users, the audit log, statistics, S3 against the database, and the webhook log."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from videovault.api.auth import SignedInCaller
from videovault.api.responses import Success, failures
from videovault.api.schemas import (
    AddressBody,
    AdminVideosParams,
    DeleteManyBody,
    EventParams,
    FieldBody,
    Id,
    InvitationBody,
    PageParams,
    StatsParams,
    UserBody,
    WebhookCallParams,
)
from videovault.services.accounts import accounts, passwords
from videovault.services.admin import audit_log, rescue, statistics, users, videos
from videovault.services.admin.audit_log import AuditLogQuery, AuditLogView
from videovault.services.admin.statistics import StatsView
from videovault.services.admin.users import AdminUserView, UserChange
from videovault.services.admin.videos import VideosQuery
from videovault.services.core.views import AdminVideoView, DeletionResult, LinkView, VideoView, View
from videovault.services.generation import webhook_log
from videovault.services.generation.result_field import VIDEO_RESULT_FIELD
from videovault.services.generation.webhook_log import WebhookCallsView
from videovault.services.maintenance import reconcile
from videovault.worker import enqueue

router = APIRouter(prefix="/api/admin", tags=["Administration"])
UserId = Annotated[str, Path(alias="userId", max_length=64)]
CallId = Annotated[Id, Path(alias="deliveryId")]


class AllVideos(View):
    videos: list[AdminVideoView]
    total_count: int
    next_cursor: str | None = None


class Deletions(View):
    results: list[DeletionResult]


class AllUsers(View):
    users: list[AdminUserView]
    total_count: int
    next_cursor: str | None = None


class OneUser(View):
    user: AdminUserView


class EndedSessions(View):
    ended_sessions: int


class Chosen(View):
    """The setting as it can be added to ``.env``, and the number of waiting videos that continue with it."""

    setting: str
    videos: int


@router.get("/videos", response_model_exclude_none=True, responses=failures(400, 401, 403))
def list_videos(caller: SignedInCaller, query: Annotated[AdminVideosParams, Query()]) -> Success[AllVideos]:
    """The videos of all users, newest first, at most 200 at once. `totalCount` is over all pages."""
    wanted = VideosQuery(
        status=query.status, owner_id=query.user_id or "", q=query.q, limit=query.limit, cursor=query.cursor
    )
    found = videos.find_videos(caller, wanted)
    data = AllVideos(videos=found.videos, total_count=found.total_count, next_cursor=found.next_cursor)
    return Success(message="Videos retrieved successfully", data=data)


@router.delete("/videos", response_model_exclude_none=True, responses=failures(400, 401, 403))
def delete_videos(caller: SignedInCaller, body: DeleteManyBody) -> Success[Deletions]:
    """Delete several videos. The response has a result for each."""
    results = videos.delete_videos(caller, body.video_ids)
    deleted = sum(result.deleted for result in results)
    return Success(message=f"{deleted} of {len(results)} videos deleted", data=Deletions(results=results))


@router.get("/users", response_model_exclude_none=True, responses=failures(400, 401, 403))
def list_users(caller: SignedInCaller, query: Annotated[PageParams, Query()]) -> Success[AllUsers]:
    """All accounts, oldest first, at most 200 at once. `totalCount` is over all pages."""
    found = users.find_users(caller, limit=query.limit, cursor=query.cursor)
    data = AllUsers(users=found.people, total_count=found.total_count, next_cursor=found.next_cursor)
    return Success(message="Users retrieved successfully", data=data)


@router.patch(
    "/users/{userId}", response_model_exclude_none=True, responses=failures(400, 401, 403, 404, 409)
)
def change_user(caller: SignedInCaller, user_id: UserId, body: UserBody) -> Success[OneUser]:
    """Change a user's admin role, active state or quota. Omitted fields stay unchanged.

    Changed rights end every session of the account; deactivation revokes its API tokens too.
    """
    change: UserChange = body.model_dump(exclude_unset=True)  # type: ignore[assignment] # of the same fields
    return Success(
        message="User updated successfully", data=OneUser(user=users.change_user(caller, user_id, change))
    )


@router.delete("/users/{userId}/sessions", responses=failures(401, 403, 404))
def end_sessions(caller: SignedInCaller, user_id: UserId) -> Success[EndedSessions]:
    """Sign a user out everywhere; open pages notice within seconds. API tokens keep working."""
    ended = users.end_sessions(caller, user_id)
    return Success(message="Sessions ended successfully", data=EndedSessions(ended_sessions=ended))


@router.post("/users/{userId}/reset-link", responses=failures(401, 403, 404))
def make_reset_link(caller: SignedInCaller, user_id: UserId) -> Success[LinkView]:
    """A link by which the user sets a new password. It works once and for an hour."""
    link = passwords.reset_link_for_admin(caller, user_id)
    return Success(message="Link created successfully", data=link)


@router.post("/invitations", status_code=201, responses=failures(400, 401, 403, 409))
def invite(caller: SignedInCaller, body: InvitationBody) -> Success[LinkView]:
    """A link that creates one account within a week, for one e-mail address or for any."""
    link = accounts.invite(caller, body.email or "")
    return Success(message="Invitation created successfully", data=link)


@router.get("/events", response_model_exclude_none=True, responses=failures(400, 401, 403))
def list_events(caller: SignedInCaller, query: Annotated[EventParams, Query()]) -> Success[AuditLogView]:
    """The audit log, newest first."""
    wanted = AuditLogQuery(**{**query.model_dump(), "user_id": query.user_id or ""})
    return Success(message="Events retrieved successfully", data=audit_log.list_entries(caller, wanted))


@router.get("/stats", responses=failures(400, 401, 403))
def read_stats(caller: SignedInCaller, query: Annotated[StatsParams, Query()]) -> Success[StatsView]:
    """Totals, and what was stored on each of the last 30 days in the given time zone."""
    found = statistics.stats(caller, query.time_zone)
    return Success(message="Figures retrieved successfully", data=found)


@router.get("/reconcile", responses=failures(401, 403, 502))
def check_mismatches(caller: SignedInCaller) -> Success[reconcile.Report]:
    """Compare S3 with the database without changing either. For a large bucket this takes minutes."""
    return _reconciled(reconcile.for_admin(caller))


@router.post("/reconcile", responses=failures(401, 403, 409, 502))
def repair_mismatches(caller: SignedInCaller) -> Success[reconcile.Report]:
    """Compare S3 with the database and repair what needs no decision by a person."""
    return _reconciled(reconcile.for_admin(caller, repair=True))


def _reconciled(report: reconcile.Report) -> Success[reconcile.Report]:
    found = sum(mismatch.count for mismatch in report.found)
    return Success(message=f"{found} mismatches found, {found - report.left} repaired", data=report)


@router.get("/deliveries", response_model_exclude_none=True, responses=failures(400, 401, 403))
def list_deliveries(
    caller: SignedInCaller, query: Annotated[WebhookCallParams, Query()]
) -> Success[WebhookCallsView]:
    """The webhook calls of the last 30 days, in and out, newest first."""
    found = webhook_log.list_calls(caller, **{**query.model_dump(), "video_id": query.video_id or ""})
    return Success(message="Deliveries retrieved successfully", data=found)


@router.post(
    "/deliveries/{deliveryId}/replay",
    response_model_exclude_none=True,
    responses=failures(400, 401, 403, 404, 409),
)
def replay(caller: SignedInCaller, call_id: CallId) -> Success[VideoView]:
    """Apply an earlier report again."""
    video = rescue.replay(caller, call_id, enqueue=enqueue)
    return Success(message="Report applied again", data=video)


@router.post("/deliveries/{deliveryId}/field", responses=failures(400, 401, 403, 404, 409))
def choose_field(caller: SignedInCaller, call_id: CallId, body: FieldBody) -> Success[Chosen]:
    """Read the video's address from this field of all reports, and continue with the videos that wait for one."""
    videos = rescue.choose_result_field(caller, call_id, body.field, enqueue=enqueue)
    chosen = Chosen(setting=f"{VIDEO_RESULT_FIELD}={body.field}", videos=videos)
    return Success(message="Field chosen", data=chosen)


@router.post(
    "/videos/{videoId}/rescue",
    response_model_exclude_none=True,
    responses=failures(400, 401, 403, 404, 409, 422),
)
def attach_file(
    caller: SignedInCaller, video_id: Annotated[Id, Path(alias="videoId")], body: AddressBody
) -> Success[VideoView]:
    """Give a stuck video the address of its finished file, and store it."""
    video = rescue.set_video_url(caller, video_id, body.video_url, enqueue=enqueue)
    return Success(message="Video is being stored", data=video)
