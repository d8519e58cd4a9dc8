"""Liveness and readiness of the installation, for load balancers and monitoring."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from videovault.services.admin import health
from videovault.worker import queue

router = APIRouter(tags=["Operations"])


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
