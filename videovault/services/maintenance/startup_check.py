"""A database without accounts beside stored videos, or the reverse, is a part that was lost, not a new installation."""

from sqlmodel import col, func, select

from videovault import logs
from videovault.config import EMBEDDED_BUCKET, settings
from videovault.db import reading
from videovault.errors import ConfigurationError, StorageError
from videovault.gateways import storage
from videovault.models import Status, User, Video
from videovault.services.admin.health import SharedRun

PREFIX = "videos/"
# A store that does not answer in time is not waited for: its own health check reports it.
PATIENCE_SECONDS = 3.0
NEW = "python -m videovault run --new"

log = logs.get(__name__)


def check_data_is_complete() -> None:
    """Raises ConfigurationError with what to do when one of database and store is empty and the other is not.

    A store that cannot be reached raises nothing. Looks at one object where all is well.
    """
    with reading() as session:
        has_accounts = session.exec(select(User.id).limit(1)).first() is not None
        is_stored = Video.status == Status.READY
        stored = session.exec(select(func.count()).select_from(Video).where(is_stored)).one()
        newest = select(Video.s3_key).where(is_stored).order_by(col(Video.created_at).desc()).limit(1)
        key = session.exec(newest).first()
    if not has_accounts and _holds_videos() is True:
        raise ConfigurationError(
            f"The database has no accounts, but {_place()} holds videos. If the database was lost, restore it from a "
            "backup, or make its rows from the stored videos: `python -m videovault reconcile --rebuild`, then "
            "`python -m videovault create-admin`. If this is a new installation beside those videos, whose first "
            f"visitor becomes its admin: `{NEW}`."
        )
    if stored and _holds_videos(key) is False:
        raise ConfigurationError(
            f"The database lists {stored:,} stored videos, but {_place()} holds none. Check AWS_S3_BUCKET_NAME, "
            f"AWS_ENDPOINT_URL_S3 and DATA_DIR, or restore the stored videos from a backup. To start without them: "
            f"`{NEW}`."
        )


def _place() -> str:
    chosen = settings()
    if chosen.uses_embedded_s3:
        return f"the embedded S3 ({chosen.data_dir / 's3'})"
    return f"the bucket {chosen.aws_s3_bucket_name}"


def _holds_videos(key: str | None = None) -> bool | None:
    """Whether the object ``key``, or any video, is there; None when the store does not tell."""
    if settings().uses_embedded_s3:  # which does not run yet: its objects are files
        bucket = settings().data_dir / "s3" / EMBEDDED_BUCKET
        return bool(key and (bucket / key).is_file()) or any(
            path.is_file() for path in (bucket / PREFIX).rglob("*")
        )
    outcome = SharedRun[bool]("store").ask(lambda: _bucket_holds_videos(key))
    try:
        return outcome.result(PATIENCE_SECONDS)
    except (StorageError, TimeoutError) as error:
        log.warning(
            "the bucket could not be compared with the database", reason=str(error) or "no answer in time"
        )
        return None


def _bucket_holds_videos(key: str | None) -> bool:
    vault = storage.connected()
    return bool(key and vault.info(key)) or next(iter(vault.keys(PREFIX)), None) is not None
