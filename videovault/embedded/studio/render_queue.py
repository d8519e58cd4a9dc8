"""Renders jobs in processes of their own and reports them by callback.

Jobs are written to disk before the response, so that a restarted studio continues them.
"""

import asyncio
import hashlib
import json
import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from videovault.embedded.studio.requests import VideoRequest
from videovault.gateways.studio import file_code

HOST = "127.0.0.1"
RENDERS_AT_ONCE = 2
RENDER_SECONDS = 300
CALLBACK_SECONDS = 300
MAX_BACKOFF_SECONDS = 20
CLEANUP_SECONDS = 1800
LEGACY_CODE_LENGTH = 8
# Like the links of other generators, which expire.
RETENTION_SECONDS = 24 * 3600

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """``delay`` in seconds; ``bytes_per_second`` limits each download, 0: no limit; ``key`` is shared with the callers.

    In direct mode ``/video`` responds with the rendered video. Callbacks go to ``callback``, never to the address in a
    request; if it is empty, there are none.
    """

    port: int
    data_dir: Path
    mode: str
    delay: float
    bytes_per_second: int
    callback: str
    key: str

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    @property
    def is_direct(self) -> bool:
        return self.mode == "direct"


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


class RenderQueue:
    """Runs on one event loop; every job is a task, and only ``RENDERS_AT_ONCE`` of them render."""

    def __init__(self, store: JobStore, client: httpx.AsyncClient, options: Options) -> None:
        self.store = store
        self._client = client
        self._options = options
        self._rendering = asyncio.Semaphore(RENDERS_AT_ONCE)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._rendered: dict[str, asyncio.Event] = {}
        self._cleanup: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Continue the unfinished jobs of an earlier process."""
        self._cleanup = asyncio.create_task(self._clean_up())
        for job in self.store.unfinished():
            self._start_job(job)

    async def stop(self) -> None:
        """End all renders; their jobs stay on disk for the next start."""
        tasks = [*self._running.values(), *([self._cleanup] if self._cleanup else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def submit(self, video: VideoRequest, key: str) -> Job:
        """The job with this idempotency key, or a new one, saved and started."""
        job = new_job(video, key, self._options.delay, file_code(self._options.key, video.video_id))
        known = self.store.get(job.id)
        if known:
            return known
        self.store.save(job)
        self._start_job(job)
        return job

    async def wait_until_rendered(self, job: Job) -> Job:
        """The job once it is rendered or has failed."""
        if job.id in self._rendered:
            await self._rendered[job.id].wait()
        return self.store.get(job.id) or job

    def video_url(self, job: Job) -> str:
        """The secret code is not in the last segment, from which object keys and download names are derived."""
        slug, _, code = job.file_name.removesuffix(".mp4").rpartition("-")
        # Earlier versions ended the name with 8 digits; videos that are not stored yet may have such URLs.
        path = f"{code}/{slug}.mp4" if len(code) > LEGACY_CODE_LENGTH else job.file_name
        return f"http://{self._options.address}/files/{path}"

    def _start_job(self, job: Job) -> None:
        self._rendered[job.id] = asyncio.Event()
        task = asyncio.create_task(self._produce(job), name=f"job {job.id}")
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._forget(job.id))

    def _forget(self, identity: str) -> None:
        self._running.pop(identity, None)
        self._rendered.pop(identity).set()

    async def _produce(self, job: Job) -> None:
        if not job.is_finished or (job.size and not (self.store.files / job.file_name).exists()):
            async with self._rendering:
                job = await self._render_job(job)
            self.store.save(job)
        self._rendered[job.id].set()
        await asyncio.sleep(max(0.0, job.ready_at - time.time()))
        if not self._options.callback or not job.video.callback_url or await self._call_back(job):
            self.store.save(job.model_copy(update={"reported": True}))

    async def _render_job(self, job: Job) -> Job:
        path = self.store.files / job.file_name
        # Unique, since a render that a killed studio left behind may still write its own file.
        temporary = path.with_suffix(f".{secrets.token_hex(4)}.part")
        try:
            duration = await _render(job.video, temporary)
            size = temporary.stat().st_size
            temporary.replace(path)
        except (OSError, ValueError, RuntimeError):
            _log.exception("job %s could not be rendered", job.id)
            return job.model_copy(update={"error": "The video could not be rendered."})
        finally:
            temporary.unlink(missing_ok=True)
        _log.info("job %s rendered: %.1f s, %d bytes", job.id, duration, size)
        return job.model_copy(update={"duration": duration, "size": size})

    async def _call_back(self, job: Job) -> bool:
        """Whether the callback was answered; connection errors and 5xx are retried with backoff."""
        backoff, deadline = 0.5, time.monotonic() + CALLBACK_SECONDS
        while not await self._is_answered(job):
            if time.monotonic() + backoff > deadline:
                _log.error("job %s: the callback was never answered", job.id)
                return False
            await asyncio.sleep(backoff)
            backoff = min(MAX_BACKOFF_SECONDS, backoff * 2)
        return True

    async def _is_answered(self, job: Job) -> bool:
        headers = {"Authorization": f"Bearer {job.video.callback_token}"}
        try:
            response = await self._client.put(
                self._options.callback, json=self._callback_body(job), headers=headers
            )
        except httpx.TransportError as error:
            _log.warning("job %s: the callback failed and is retried: %r", job.id, error)
            return False
        _log.info("job %s: the callback was answered with %d", job.id, response.status_code)
        return not response.is_server_error

    def _callback_body(self, job: Job) -> dict[str, object]:
        about = {"userId": job.video.user_id, "videoId": job.video.video_id}
        if job.error:
            return {**about, "status": "failed", "error": job.error}
        metadata = {"duration": job.duration, "size": job.size, "format": "mp4"}
        return {**about, "status": "ready", "videoUrl": self.video_url(job), "metadata": metadata}

    async def _clean_up(self) -> None:
        while True:
            self.store.delete_old()
            await asyncio.sleep(CLEANUP_SECONDS)


async def _render(video: VideoRequest, path: Path) -> float:
    """Render the video and return its length in seconds. Raises RuntimeError or TimeoutError.

    A separate process can be ended at once, returns its memory and does not delay responses.
    """
    command = (sys.executable, "-m", "videovault.embedded.studio.render", str(path))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        request = video.model_dump_json(by_alias=True).encode()
        async with asyncio.timeout(RENDER_SECONDS):
            output, errors = await process.communicate(request)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(
            f"the renderer ended with {process.returncode}: {errors.decode(errors='replace')[-2000:]}"
        )
    return float(json.loads(output)["duration"])
