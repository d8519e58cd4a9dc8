"""Calls that wait for the worker keep nobody else from being served."""

import asyncio

import httpx

from tests.api.requests import DOWNLOAD
from tests.fixtures.generator import Generator
from tests.fixtures.people import BASE, Person
from videovault.api.app import create_api
from videovault.api.hardening import harden

CALLERS = 200  # five times the threads that serve everything else


async def _wait_together(person: Person, url: str) -> list[httpx.Response]:
    """All ask for the same video to be stored and wait, until somebody else's requests have stopped it."""
    headers = {"Authorization": f"Bearer {person.token}"}
    transport = httpx.ASGITransport(harden(create_api()))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, timeout=120) as api:
        body = {"videoUrl": url, "userEmail": person.email}
        waiting = [asyncio.create_task(api.post(DOWNLOAD, json=body)) for _ in range(CALLERS)]
        while not all(task.done() for task in waiting):
            await asyncio.sleep(0.5)
            # Callers that came after a cancellation have a new video.
            await _cancel_all(api, person)
        return [task.result() for task in waiting]


async def _cancel_all(api: httpx.AsyncClient, person: Person) -> None:
    query = {"userId": person.user_id, "status": "processing"}
    videos = (await api.get("/api/auth/video/gallery", params=query)).json()["data"]["videos"]
    for video in videos:
        await api.post(f"/api/auth/video/{video['videoId']}/cancel")


def test_two_hundred_callers_wait_and_others_are_served_meanwhile(ada: Person, generator: Generator) -> None:
    """Without a worker nothing is ever stored: they end only because other requests are served."""
    answers = asyncio.run(_wait_together(ada, generator.video_url))
    assert [answer.status_code for answer in answers] == [409] * CALLERS
