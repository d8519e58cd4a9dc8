"""The shop floor: renders job after job in processes of their own, then reports to whoever ordered."""

import asyncio
import json
import logging
import secrets
import sys
import time
from pathlib import Path

import httpx

from videovault.embedded.studio.jobs import Job, JobStore, new_job
from videovault.embedded.studio.requests import VideoRequest
from videovault.gateways.studio import file_code

RENDERS_AT_ONCE = 2
RENDER_SECONDS = 300
REPORT_FOR_SECONDS = 300
LONGEST_PAUSE_SECONDS = 20
CLEAN_EVERY_SECONDS = 1800
EARLIER_CODE_LENGTH = 8

_log = logging.getLogger(__name__)


class RenderQueue:
    """Runs on one event loop; every job is a task, and only ``RENDERS_AT_ONCE`` of them render.

    Reports go to ``callback_url`` whatever address an order names, and nowhere if it is empty. ``key`` is what the
    studio and its callers share.
    """

    def __init__(
        self,
        store: JobStore,
        client: httpx.AsyncClient,
        base_url: str,
        delay: float,
        callback_url: str,
        key: str,
    ) -> None:
        self._store = store
        self._client = client
        self._base_url = base_url
        self._delay = delay
        self._callback_url = callback_url
        self._key = key
        self._rendering = asyncio.Semaphore(RENDERS_AT_ONCE)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._made: dict[str, asyncio.Event] = {}
        self._cleaner: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take up what an earlier process left unfinished."""
        self._cleaner = asyncio.create_task(self._clean())
        for job in self._store.unfinished():
            self._begin(job)

    async def stop(self) -> None:
        """End all renders; their jobs stay on disk for the next start."""
        tasks = [*self._running.values(), *([self._cleaner] if self._cleaner else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def order(self, video: VideoRequest, key: str) -> Job:
        """The job for this order: the one there is when the key is known, else a new one, saved and begun."""
        job = new_job(video, key, self._delay, file_code(self._key, video.video_id))
        known = self._store.get(job.id)
        if known:
            return known
        self._store.save(job)
        self._begin(job)
        return job

    async def made(self, job: Job) -> Job:
        """The same job once it is rendered or has failed."""
        if job.id in self._made:
            await self._made[job.id].wait()
        return self._store.get(job.id) or job

    def video_url(self, job: Job) -> str:
        """The code is not in the last part, of which other names are made: objects in S3, downloads."""
        slug, _, code = job.file_name.removesuffix(".mp4").rpartition("-")
        # The version before ended the name with 8 digits, and its addresses are in rows that are still to be stored.
        path = f"{code}/{slug}.mp4" if len(code) > EARLIER_CODE_LENGTH else job.file_name
        return f"{self._base_url}/files/{path}"

    def _begin(self, job: Job) -> None:
        self._made[job.id] = asyncio.Event()
        task = asyncio.create_task(self._produce(job), name=f"job {job.id}")
        self._running[job.id] = task
        task.add_done_callback(lambda _: self._forget(job.id))

    def _forget(self, identity: str) -> None:
        self._running.pop(identity, None)
        self._made.pop(identity).set()

    async def _produce(self, job: Job) -> None:
        if not job.is_made or (job.size and not (self._store.files / job.file_name).exists()):
            async with self._rendering:
                job = await self._rendered(job)
            self._store.save(job)
        self._made[job.id].set()
        await asyncio.sleep(max(0.0, job.ready_at - time.time()))
        if not self._callback_url or not job.video.callback_url or await self._report(job):
            self._store.save(job.model_copy(update={"reported": True}))

    async def _rendered(self, job: Job) -> Job:
        path = self._store.files / job.file_name
        # Of this render only: one that a killed studio left behind may still be writing its own.
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

    async def _report(self, job: Job) -> bool:
        """Whether the callback was answered for good; connection errors and 5xx are tried again for a while."""
        pause, give_up_at = 0.5, time.monotonic() + REPORT_FOR_SECONDS
        while not await self._answered(job):
            if time.monotonic() + pause > give_up_at:
                _log.error("job %s: the callback was never answered", job.id)
                return False
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 2)
        return True

    async def _answered(self, job: Job) -> bool:
        headers = {"Authorization": f"Bearer {job.video.callback_token}"}
        try:
            answer = await self._client.put(self._callback_url, json=self._news(job), headers=headers)
        except httpx.TransportError as error:
            _log.warning("job %s: the callback failed, trying again: %r", job.id, error)
            return False
        _log.info("job %s: the callback was answered with %d", job.id, answer.status_code)
        return not answer.is_server_error

    def _news(self, job: Job) -> dict[str, object]:
        about = {"userId": job.video.user_id, "videoId": job.video.video_id}
        if job.error:
            return {**about, "status": "failed", "error": job.error}
        metadata = {"duration": job.duration, "size": job.size, "format": "mp4"}
        return {**about, "status": "ready", "videoUrl": self.video_url(job), "metadata": metadata}

    async def _clean(self) -> None:
        while True:
            self._store.delete_old()
            await asyncio.sleep(CLEAN_EVERY_SECONDS)


async def _render(video: VideoRequest, path: Path) -> float:
    """The length in seconds; RuntimeError or TimeoutError when the renderer failed.

    A process of its own can be ended at once, gives its memory back, and cannot slow this one's answers.
    """
    command = (sys.executable, "-m", "videovault.embedded.studio.render", str(path))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        order = video.model_dump_json(by_alias=True).encode()
        output, errors = await asyncio.wait_for(process.communicate(order), RENDER_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(
            f"the renderer ended with {process.returncode}: {errors.decode(errors='replace')[-2000:]}"
        )
    return float(json.loads(output)["duration"])
