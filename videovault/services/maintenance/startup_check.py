"""Refuse to start if the database or the stored videos were lost: if one is empty, but the other is not."""

from collections.abc import Callable

from sqlmodel import col, select

from videovault import logs
from videovault.config import EMBEDDED_BUCKET, settings
from videovault.db import reading
from videovault.errors import ConfigurationError, StorageError
from videovault.models import Status, User, Video
from videovault.services.core import quota

PREFIX = "videos/"
# An unavailable store does not block the start; its health check reports it.
TIMEOUT_SECONDS = 3.0
NEW_COMMAND = "python -m videovault run --new"

log = logs.get(__name__)


def check_data_is_complete() -> None:
    """Raises ConfigurationError with instructions when only one of database and store is empty.

    An unavailable store is ignored. Reads one object in the normal case.
    """
    with reading() as session:
        has_accounts = session.exec(select(User.id).limit(1)).first() is not None
        video_count = quota.counts_of_all(session).by_state[Status.READY]
        is_stored = Video.status == Status.READY
        newest = select(Video.s3_key).where(is_stored).order_by(col(Video.created_at).desc()).limit(1)
        key = session.exec(newest).first()
    if not has_accounts and _holds_videos() is True:
        raise ConfigurationError(
            f"The database has no accounts, but {_place()} holds videos. If the database was lost, restore it from a "
            "backup, or rebuild its rows from the stored videos: `python -m videovault reconcile --rebuild`, then "
            "`python -m videovault create-admin`. For a new installation beside those videos, whose first "
            f"visitor becomes its admin: `{NEW_COMMAND}`."
        )
    if video_count and _holds_videos(key) is False:
        raise ConfigurationError(
            f"The database lists {video_count:,} stored videos, but {_place()} holds none. Check AWS_S3_BUCKET_NAME, "
            f"AWS_ENDPOINT_URL_S3 and DATA_DIR, or restore the stored videos from a backup. To start without them: "
            f"`{NEW_COMMAND}`."
        )


def check_newest_video_is_stored() -> None:
    """Raises ConfigurationError unless this store has the newest stored video, if there is one.

    For a worker of another machine that starts before the app after an upgrade: its bucket may not be the installation's.
    """
    with reading() as session:
        newest = (
            select(Video.s3_key)
            .where(Video.status == Status.READY)
            .order_by(col(Video.created_at).desc())
            .limit(1)
        )
        key = session.exec(newest).first()
    if key and not _stores(key):
        raise ConfigurationError(
            f"The settings of this installation are not recorded yet, and {_place()} does not show its newest video. "
            "Check AWS_S3_BUCKET_NAME and AWS_ENDPOINT_URL_S3, or start the app first."
        )


def _stores(key: str) -> bool:
    if settings().uses_embedded_s3:
        return (settings().data_dir / "s3" / EMBEDDED_BUCKET / key).is_file()
    from videovault.gateways import storage

    return _ask_store(lambda: storage.connected().info(key) is not None) is True


def _place() -> str:
    chosen = settings()
    if chosen.uses_embedded_s3:
        return f"the embedded S3 ({chosen.data_dir / 's3'})"
    return f"the bucket {chosen.aws_s3_bucket_name}"


def _holds_videos(key: str | None = None) -> bool | None:
    """Whether the object ``key`` or any video exists; None if the store does not answer."""
    if settings().uses_embedded_s3:  # it does not run yet, but its objects are files
        bucket = settings().data_dir / "s3" / EMBEDDED_BUCKET
        return bool(key and (bucket / key).is_file()) or any(
            path.is_file() for path in (bucket / PREFIX).rglob("*")
        )
    return _ask_store(lambda: _bucket_holds_videos(key))


def _ask_store(question: Callable[[], bool]) -> bool | None:
    """The answer of an external store; None if it does not answer in time."""
    from videovault.services.admin.health import SharedRun  # 0.2 s, like the S3 client

    try:
        return SharedRun[bool]("store").start(question).result(TIMEOUT_SECONDS)
    except (StorageError, TimeoutError) as error:
        log.warning(
            "the bucket could not be compared with the database", reason=str(error) or "no answer in time"
        )
        return None


def _bucket_holds_videos(key: str | None) -> bool:
    from videovault.gateways import storage

    vault = storage.connected()
    return bool(key and vault.info(key)) or next(iter(vault.keys(PREFIX)), None) is not None
