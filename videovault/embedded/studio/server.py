"""The studio's HTTP API: two webhooks, the state of a job, and the rendered files."""

import asyncio
import hmac
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from videovault import untrusted_json
from videovault.embedded.studio.render_queue import Job, Options, RenderQueue
from videovault.embedded.studio.requests import ScriptRequest, VideoRequest
from videovault.embedded.studio.script_writer import write_script
from videovault.gateways.studio import bearer_header

AnyRequest = TypeVar("AnyRequest", ScriptRequest, VideoRequest)
MAX_BODY_BYTES = 1024 * 1024
ESTIMATED_MINUTES = 1
# Names of files cannot be guessed, and sources are fetched without credentials.
OPEN_PATHS = re.compile(r"/healthz|/files/.+")


def create_app(queue: RenderQueue, options: Options) -> ASGIApp:
    studio = _Studio(queue, options)
    app = Starlette(
        routes=[
            Route("/script", studio.script, methods=["POST"]),
            Route("/video", studio.video, methods=["POST"]),
            Route("/status/{identity}", studio.status),
            Route("/files/{name}", studio.file),
            Route("/files/{code}/{name}", studio.file),
            Route("/healthz", studio.healthz),
        ],
        exception_handlers={HTTPException: _rejected},
    )
    return _AccessCheck(app, options)


class _AccessCheck:
    """Refuses other host names (DNS rebinding) and callers without the key."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self._app = app
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.getlist("host") != [self._options.address]:
            return _rejection(421, f"This server is {self._options.address} only.")
        token = request.headers.get("authorization", "").encode()
        expected = bearer_header(self._options.key)["Authorization"].encode()
        if OPEN_PATHS.fullmatch(request.url.path) or hmac.compare_digest(token, expected):
            return None
        return _rejection(401, "The studio's key is missing or wrong.")


class _Studio:
    def __init__(self, queue: RenderQueue, options: Options) -> None:
        self._queue = queue
        self._options = options

    async def script(self, request: Request) -> Response:
        brief = _read(ScriptRequest, await _body(request))
        if not brief.topic:
            raise HTTPException(400, "A script needs a topic.")
        return JSONResponse(write_script(brief)._asdict())

    async def video(self, request: Request) -> Response:
        video = _read(VideoRequest, await _body(request))
        if video.problem:
            raise HTTPException(400, video.problem)
        job = self._queue.submit(video, request.headers.get("idempotency-key", ""))
        if self._options.is_direct:
            job = await self._queue.wait_until_rendered(job)
        return JSONResponse(self._state(job))

    async def status(self, request: Request) -> Response:
        job = self._queue.store.get(request.path_params["identity"])
        if job is None:
            raise HTTPException(404, "There is no such video.")
        return JSONResponse(self._state(job))

    async def file(self, request: Request) -> Response:
        name, code = request.path_params["name"], request.path_params.get("code")
        path = self._queue.store.files / (f"{name.removesuffix('.mp4')}-{code}.mp4" if code else name)
        # Only names that this studio creates: without dots and slashes.
        if not re.fullmatch(r"[a-z0-9-]+\.mp4", path.name) or not path.is_file():
            raise HTTPException(404, "There is no such file.")
        response = _ThrottledFile(path, self._options.bytes_per_second)
        if _is_cached(request.headers.get("if-none-match", ""), response.headers["etag"]):
            headers = {name: response.headers[name] for name in ("etag", "last-modified")}
            return Response(status_code=304, headers=headers)
        return response

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def _state(self, job: Job) -> dict[str, Any]:
        is_shown = job.is_finished if self._options.is_direct else job.is_ready
        if not is_shown:
            status_url = f"http://{self._options.address}/status/{job.id}"
            return {"status": "processing", "estimatedTime": ESTIMATED_MINUTES, "statusUrl": status_url}
        if job.error:
            return {"status": "failed", "message": job.error}
        return {"status": "ready", "videoUrl": self._queue.video_url(job)}


class _ThrottledFile(FileResponse):
    """A file sent at limited speed, to test slow sources."""

    def __init__(self, path: Path, bytes_per_second: int) -> None:
        super().__init__(path, media_type="video/mp4", stat_result=path.stat())
        self._bytes_per_second = bytes_per_second
        if bytes_per_second:
            self.chunk_size = max(1, min(FileResponse.chunk_size, bytes_per_second // 10))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def throttled(message: MutableMapping[str, Any]) -> None:
            await asyncio.sleep(len(message.get("body", b"")) / self._bytes_per_second)
            await send(message)

        if not self._bytes_per_second:
            await super().__call__(scope, receive, send)
            return
        # Without extensions the server cannot send the file itself at full speed.
        await super().__call__({**scope, "extensions": {}}, receive, throttled)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, "The request is too large.")
    return bytes(body)


def _read(model: type[AnyRequest], body: bytes) -> AnyRequest:
    try:
        return model.model_validate(untrusted_json.loads(body))
    except (ValidationError, ValueError) as error:
        raise HTTPException(400, "The body must be a JSON object with the fields of this webhook.") from error


async def _rejected(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return _rejection(error.status_code, error.detail, error.headers)


def _rejection(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"status": "rejected", "message": message}, status, headers)


def _is_cached(if_none_match: str, etag: str) -> bool:
    tags = {entry.strip().removeprefix("W/") for entry in if_none_match.split(",")}
    return etag in tags or "*" in tags
