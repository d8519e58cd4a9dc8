"""What monitoring asks: whether the installation lives and is ready, and the metrics of the web process."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from videovault import metrics
from videovault.api.responses import failures
from videovault.config import settings
from videovault.errors import NotFound, NotSignedIn
from videovault.services.admin import health
from videovault.services.admin import statistics as gauges
from videovault.services.admin.health import SharedRun
from videovault.worker import queue

FORMATS = ("text/plain", "application/openmetrics-text")
LAG_INTERVAL_SECONDS = 0.5
Exposition = tuple[bytes, str]

router = APIRouter(tags=["Operations"])
_bearer = HTTPBearer(auto_error=False, scheme_name="metricsToken", description="`METRICS_TOKEN`.")


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """``checks`` says ``ok`` or what is wrong, by the name of the part."""

    status: Literal["ok", "failing"]
    checks: dict[str, str]


@router.get("/healthz")
async def healthz() -> Alive:
    """The process answers."""
    return Alive()


@router.get("/readyz", responses={503: {"model": Ready, "description": "A part fails"}})
async def readyz(response: Response) -> Ready:
    """Database and disk are writable, S3 and queue reachable. Results are shared for a few seconds."""
    running = {name: asyncio.wrap_future(run) for name, run in health.start({"queue": _pending_jobs}).items()}
    await asyncio.wait(running.values(), timeout=health.TIMEOUT_SECONDS)
    checks = {
        name: run.result() if run.done() else health.timeout_message(name) for name, run in running.items()
    }
    is_failing = any(result != health.OK for result in checks.values())
    response.status_code = 503 if is_failing else 200
    return Ready(status="failing" if is_failing else "ok", checks=checks)


def _pending_jobs() -> int:
    return int(queue().huey.pending_count())


@lru_cache(maxsize=2)
def _shared_run(accept: str) -> SharedRun[Exposition]:
    """A thread of its own: a scrape must not wait for a free one of the requests."""
    return SharedRun(f"metrics-{accept}")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {name: {} for name in FORMATS}}, **failures(400, 401, 404)},
)
async def read_metrics(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    accept: Annotated[str, Header()] = "",
) -> Response:
    """The metrics of this process and of the installation, with `METRICS_TOKEN` as Bearer; absent without that setting."""
    token = settings().metrics_token.get_secret_value()
    if not token:
        raise NotFound("There are no metrics: METRICS_TOKEN is not set.")
    if bearer is None or not hmac.compare_digest(bearer.credentials.encode(), token.encode()):
        raise NotSignedIn("The metrics need METRICS_TOKEN as Bearer token.")
    name = "openmetrics" if "application/openmetrics-text" in accept else "text"
    run = _shared_run(name).start(partial(metrics.exposition, accept))
    body, content_type = await asyncio.wrap_future(run)
    return Response(body, media_type=content_type)


@asynccontextmanager
async def collecting(open_pages: Callable[[], int]) -> AsyncIterator[None]:
    """Count and measure in the block, if METRICS_TOKEN is set."""
    if not settings().metrics_token.get_secret_value():
        yield
        return

    def pages() -> dict[metrics.Gauge, metrics.Reading]:
        return {metrics.OPEN_PAGES: open_pages()}

    metrics.enable("web", gauges.installation, gauges.connections, pages)
    measuring = asyncio.create_task(_measure_lag(), name="event loop lag")
    try:
        yield
    finally:
        measuring.cancel()
        await asyncio.wait([measuring])


async def _measure_lag() -> None:
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + LAG_INTERVAL_SECONDS
        await asyncio.sleep(LAG_INTERVAL_SECONDS)
        metrics.LOOP_LAG_SECONDS.observe(max(0.0, clock() - due))
