"""Administration over HTTP."""

from fastapi import APIRouter

from videovault.api.auth import SignedInCaller
from videovault.api.envelope import Success, failing
from videovault.api.schemas import DeleteManyBody
from videovault.services import administration, reconcile
from videovault.services.views import AdminVideoView, DeletionResult, View

router = APIRouter(prefix="/api/admin", tags=["Administration"])


class AllVideos(View):
    videos: list[AdminVideoView]
    total_count: int


class Deletions(View):
    results: list[DeletionResult]


@router.get("/videos", response_model_exclude_none=True, responses=failing(401, 403))
def list_videos(caller: SignedInCaller) -> Success[AllVideos]:
    """Everybody's videos, newest first."""
    found = administration.list_videos(caller)
    return Success(
        message="Videos retrieved successfully", data=AllVideos(videos=found, total_count=len(found))
    )


@router.delete("/videos", response_model_exclude_none=True, responses=failing(400, 401, 403))
def delete_videos(caller: SignedInCaller, body: DeleteManyBody) -> Success[Deletions]:
    """Delete several videos; the answer tells what became of each."""
    results = administration.delete_videos(caller, body.video_ids)
    gone = sum(result.deleted for result in results)
    return Success(message=f"{gone} of {len(results)} videos deleted", data=Deletions(results=results))


@router.get("/reconcile", responses=failing(401, 403, 502))
def look_for_differences(caller: SignedInCaller) -> Success[reconcile.Report]:
    """What S3 holds against what the database says; nothing is changed. It takes minutes for a large bucket."""
    return _reconciled(reconcile.for_admin(caller))


@router.post("/reconcile", responses=failing(401, 403, 409, 502))
def mend_differences(caller: SignedInCaller) -> Success[reconcile.Report]:
    """The same, and mend what needs no person's judgement."""
    return _reconciled(reconcile.for_admin(caller, repair=True))


def _reconciled(report: reconcile.Report) -> Success[reconcile.Report]:
    found = sum(each.count for each in report.found)
    return Success(message=f"{found} differences found, {found - report.left} mended", data=report)
