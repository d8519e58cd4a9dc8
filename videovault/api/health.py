"""For whoever runs the installation: is it alive, and can it do its work."""

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
    """Database and disk can be written, S3 and queue can be reached; looked at every few seconds at most."""
    looks = {
        name: asyncio.wrap_future(found) for name, found in health.start({"queue": _jobs_waiting}).items()
    }
    await asyncio.wait(looks.values(), timeout=health.TIMEOUT_SECONDS)
    checks = {
        name: look.result() if look.done() else health.timeout_message(name) for name, look in looks.items()
    }
    failing = any(said != health.OK for said in checks.values())
    response.status_code = 503 if failing else 200
    return Ready(status="failing" if failing else "ok", checks=checks)


def _jobs_waiting() -> int:
    return int(queue().huey.pending_count())
