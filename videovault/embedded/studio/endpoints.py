"""The studio's HTTP side: two webhooks, the state of a job, and the finished files."""

import asyncio
import hmac
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from videovault import untrusted_json
from videovault.embedded.studio.jobs import Job, JobStore
from videovault.embedded.studio.render_queue import RenderQueue
from videovault.embedded.studio.requests import ScriptRequest, VideoRequest
from videovault.embedded.studio.script_writer import write_script
from videovault.gateways.studio import bearer_header

Mode = Literal["callback", "direct"]
AnyOrder = TypeVar("AnyOrder", ScriptRequest, VideoRequest)
MOST_BODY_BYTES = 1024 * 1024
ESTIMATED_MINUTES = 1
# Their names cannot be guessed, and those who fetch files send no credentials.
OPEN_PATHS = re.compile(r"/healthz|/files/.+")


@dataclass(frozen=True)
class Access:
    """Who is answered: requests to ``host`` (name and port) that show ``key``."""

    host: str
    key: str


def create_app(
    production: RenderQueue, store: JobStore, access: Access, mode: Mode, bytes_per_second: int = 0
) -> ASGIApp:
    """``bytes_per_second`` slows down each download; 0 does not."""
    studio = _Studio(production, store, f"http://{access.host}", mode, bytes_per_second)
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
    return _Guarded(app, access)


class _Guarded:
    """Refuses what another name leads to (a browser whose DNS was turned against it), and callers without the key."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        if request.headers.getlist("host") != [self._access.host]:
            return _rejection(421, f"This server is {self._access.host} only.")
        shown = request.headers.get("authorization", "").encode()
        expected = bearer_header(self._access.key)["Authorization"].encode()
        if OPEN_PATHS.fullmatch(request.url.path) or hmac.compare_digest(shown, expected):
            return None
        return _rejection(401, "The studio's key is missing or wrong.")


class _Studio:
    def __init__(
        self, production: RenderQueue, store: JobStore, base_url: str, mode: Mode, bytes_per_second: int
    ) -> None:
        self._production = production
        self._store = store
        self._base_url = base_url
        self._mode = mode
        self._bytes_per_second = bytes_per_second

    async def script(self, request: Request) -> Response:
        brief = _read(ScriptRequest, await _body(request))
        if not brief.topic:
            raise HTTPException(400, "A script needs a topic.")
        return JSONResponse(write_script(brief)._asdict())

    async def video(self, request: Request) -> Response:
        order = _read(VideoRequest, await _body(request))
        if order.problem:
            raise HTTPException(400, order.problem)
        job = self._production.order(order, request.headers.get("idempotency-key", ""))
        if self._mode == "direct":
            job = await self._production.made(job)
        return JSONResponse(self._state(job))

    async def status(self, request: Request) -> Response:
        job = self._store.get(request.path_params["identity"])
        if job is None:
            raise HTTPException(404, "There is no such video.")
        return JSONResponse(self._state(job))

    async def file(self, request: Request) -> Response:
        name, code = request.path_params["name"], request.path_params.get("code")
        path = self._store.files / (f"{name.removesuffix('.mp4')}-{code}.mp4" if code else name)
        # The names this studio gives, and nothing else: neither dots nor slashes lead anywhere.
        if not re.fullmatch(r"[a-z0-9-]+\.mp4", path.name) or not path.is_file():
            raise HTTPException(404, "There is no such file.")
        response = _PacedFile(path, self._bytes_per_second)
        if _is_known(request.headers.get("if-none-match", ""), response.headers["etag"]):
            kept = {name: response.headers[name] for name in ("etag", "last-modified")}
            return Response(status_code=304, headers=kept)
        return response

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def _state(self, job: Job) -> dict[str, Any]:
        shown = job.is_made if self._mode == "direct" else job.is_ready
        if not shown:
            status_url = f"{self._base_url}/status/{job.id}"
            return {"status": "processing", "estimatedTime": ESTIMATED_MINUTES, "statusUrl": status_url}
        if job.error:
            return {"status": "failed", "message": job.error}
        return {"status": "ready", "videoUrl": self._production.video_url(job)}


class _PacedFile(FileResponse):
    """A file that arrives no faster than wanted, for seeing how slow sources are borne."""

    def __init__(self, path: Path, bytes_per_second: int) -> None:
        super().__init__(path, media_type="video/mp4", stat_result=path.stat())
        self._bytes_per_second = bytes_per_second
        if bytes_per_second:
            self.chunk_size = max(1, min(FileResponse.chunk_size, bytes_per_second // 10))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def paced(message: MutableMapping[str, Any]) -> None:
            await asyncio.sleep(len(message.get("body", b"")) / self._bytes_per_second)
            await send(message)

        if not self._bytes_per_second:
            await super().__call__(scope, receive, send)
            return
        # Without extensions the server cannot send the file by itself, past the brake.
        await super().__call__({**scope, "extensions": {}}, receive, paced)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise HTTPException(413, "The request is too large.")
    return bytes(body)


def _read(model: type[AnyOrder], body: bytes) -> AnyOrder:
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


def _is_known(if_none_match: str, etag: str) -> bool:
    known = {entry.strip().removeprefix("W/") for entry in if_none_match.split(",")}
    return etag in known or "*" in known
