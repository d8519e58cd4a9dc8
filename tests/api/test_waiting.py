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
    """All ask for the same video to be stored and wait; then somebody else asks for it to be stopped."""
    headers = {"Authorization": f"Bearer {person.token}"}
    transport = httpx.ASGITransport(harden(create_api()))
    async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers, timeout=120) as api:
        body = {"videoUrl": url, "userEmail": person.email}
        waiting = [asyncio.create_task(api.post(DOWNLOAD, json=body)) for _ in range(CALLERS)]
        query = {"userId": person.user_id}
        videos: list[dict[str, str]] = []
        while not videos:
            videos = (await api.get("/api/auth/video/gallery", params=query)).json()["data"]["videos"]
        assert not any(task.done() for task in waiting)
        await api.post(f"/api/auth/video/{videos[0]['videoId']}/cancel")
        return await asyncio.gather(*waiting)


def test_two_hundred_callers_wait_for_one_video_and_others_are_served_meanwhile(
    ada: Person, generator: Generator
) -> None:
    answers = asyncio.run(_wait_together(ada, generator.video_url))
    assert {answer.status_code for answer in answers} <= {409, 202, 422}
    assert sum(answer.status_code == 409 for answer in answers) == CALLERS
