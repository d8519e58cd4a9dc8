"""What admins may do beyond their own videos: see everybody's and delete any."""

from collections.abc import Sequence

from sqlmodel import col, select

from videovault.db import reading
from videovault.errors import VideoVaultError
from videovault.models import Status, User, Video
from videovault.services import deletion
from videovault.services.access import Caller, check_admin
from videovault.services.views import AdminVideoView, DeletionResult, Failure, VideoView


def list_videos(caller: Caller) -> list[AdminVideoView]:
    """Everybody's videos, newest first. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    everything = (
        select(Video, User)
        .join(User, col(User.id) == col(Video.owner_id))
        .where(col(Video.status) != Status.DELETING)
        .order_by(col(Video.created_at).desc(), col(Video.id).desc())
    )
    with reading() as session:
        return [
            AdminVideoView(
                video=VideoView.of(video), owner_id=owner.id, owner_email=owner.email, size=video.size or 0
            )
            for video, owner in session.exec(everything)
        ]


def delete_videos(caller: Caller, video_ids: Sequence[str]) -> list[DeletionResult]:
    """Delete each; what happened to each, for one that fails must not keep the others."""
    check_admin(caller)
    return [_delete(caller, video_id) for video_id in dict.fromkeys(video_ids)]


def _delete(caller: Caller, video_id: str) -> DeletionResult:
    try:
        deletion.delete(caller, video_id)
    except VideoVaultError as error:
        failure = Failure(code=error.code, message=error.public_message)
        return DeletionResult(video_id=video_id, deleted=False, error=failure)
    return DeletionResult(video_id=video_id, deleted=True)
