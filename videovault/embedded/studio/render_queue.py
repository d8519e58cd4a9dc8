"""Renders jobs in separate processes and reports them by callback."""

import asyncio
import json
import logging
import secrets
import sys
import time
from pathlib import Path

import httpx

from videovault.embedded.studio.jobs import Job, JobStore, new_job
from videovault.embedded.studio.options import Options
from videovault.embedded.studio.requests import VideoRequest
from videovault.gateways.studio import file_code

RENDERS_AT_ONCE = 2
RENDER_SECONDS = 300
CALLBACK_SECONDS = 300
MAX_BACKOFF_SECONDS = 20
CLEANUP_SECONDS = 1800
LEGACY_CODE_LENGTH = 8

_log = logging.getLogger(__name__)


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
        output, errors = await asyncio.wait_for(process.communicate(request), RENDER_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(
            f"the renderer ended with {process.returncode}: {errors.decode(errors='replace')[-2000:]}"
        )
    return float(json.loads(output)["duration"])
