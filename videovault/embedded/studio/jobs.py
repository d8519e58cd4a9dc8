"""Jobs on disk, written before the response, so that a restarted studio continues them."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from videovault.embedded.studio.requests import VideoRequest

# Like the links of other generators, which expire.
RETENTION_SECONDS = 24 * 3600


class Job(BaseModel):
    """One video to render; times in seconds since 1970, ``duration`` in seconds, ``size`` in bytes."""

    model_config = ConfigDict(frozen=True)

    id: str
    video: VideoRequest
    file_name: str
    created_at: float
    ready_at: float
    duration: float | None = None
    size: int | None = None
    error: str = ""
    reported: bool = False

    @property
    def is_finished(self) -> bool:
        """Rendered or failed."""
        return bool(self.error) or self.size is not None

    @property
    def is_ready(self) -> bool:
        """Finished, and not sooner than with the configured delay."""
        return self.is_finished and time.time() >= self.ready_at


def new_job(video: VideoRequest, key: str, delay: float, code: str) -> Job:
    """A job whose id is derived from the idempotency key, or random without one; ``code`` ends its file name."""
    identity = hashlib.sha256(key.encode()).hexdigest()[:24] if key else secrets.token_hex(12)
    slug = re.sub(r"[^a-z0-9]+", "-", video.hook.lower())[:40].strip("-")
    now = time.time()
    return Job(
        id=identity,
        video=video,
        file_name=f"{slug or 'video'}-{code}.mp4",
        created_at=now,
        ready_at=now + delay,
    )


class JobStore:
    """The jobs and files in one folder, readable by its user only."""

    def __init__(self, data_dir: Path) -> None:
        self._jobs = data_dir / "jobs"
        self.files = data_dir / "files"
        for folder in (data_dir, self._jobs, self.files):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, identity: str) -> Job | None:
        """None when there is no such job, or its file is damaged."""
        if not re.fullmatch(r"[0-9a-f]{24}", identity):
            return None
        try:
            return Job.model_validate_json((self._jobs / f"{identity}.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def save(self, job: Job) -> None:
        """Replace the job's file atomically."""
        path = self._jobs / f"{job.id}.json"
        temporary = path.with_suffix(f".{secrets.token_hex(4)}.part")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(job.model_dump_json(by_alias=True))
        temporary.replace(path)

    def unfinished(self) -> Iterator[Job]:
        """Jobs to continue, oldest first."""
        jobs = [job for path in self._jobs.glob("*.json") if (job := self.get(path.stem))]
        yield from sorted((job for job in jobs if not job.reported), key=lambda job: job.created_at)

    def delete_old(self) -> None:
        """Delete jobs, videos and partial files that have not changed for ``RETENTION_SECONDS``."""
        oldest = time.time() - RETENTION_SECONDS
        for path in [*self._jobs.iterdir(), *self.files.iterdir()]:
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
