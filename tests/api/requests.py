"""The guide's request bodies, and frequent calls."""

from collections.abc import Callable, Iterable
from typing import Any

import httpx

from tests.support.people import BASE, Person
from tests.support.waiting import eventually

BRIEF = {
    "topic": "Our new kettle",
    "company_name": "Company Name",
    "social_handles": "@handle",
    "license": "License Info",
    "avatar": "Avatar Name",
}
SCRIPT = {
    "hook": "Video prompt",
    "body": "Video description",
    "conclusion": "Video conclusion",
    "company_name": "Company Name",
    "social_handles": "@handle",
    "license": "License Info",
    "avatar": "Avatar Name",
}
GENERATE = "/api/auth/create-video/generate-video"
DOWNLOAD = "/api/auth/video/download"
STATUS = "/api/auth/video/status"
DELETE = "/api/auth/video/delete"
AT_ONCE = {"Prefer": "respond-async"}
SAME_ORIGIN = {"Origin": BASE}


def draft(person: Person) -> str:
    """The id of a new draft."""
    answer = person.api.post("/api/auth/create-video", json={**BRIEF, "email": person.email})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["videoId"])


def generate(person: Person, **more: Any) -> httpx.Response:
    return person.api.post(GENERATE, json={**SCRIPT, "email": person.email, **more})


def store(person: Person, url: str, *, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    body = {"videoUrl": url, "userEmail": person.email, **more}
    return person.api.post(DOWNLOAD, json=body, headers=headers)


def report(caller: httpx.Client, owner: Person, video_id: str, status: str, **more: Any) -> httpx.Response:
    body = {"userId": owner.user_id, "videoId": video_id, "status": status, **more}
    return caller.put(STATUS, json=body)


def delete(person: Person, video_id: str, *, owner: Person | None = None) -> httpx.Response:
    body = {"userId": (owner or person).user_id, "videoId": video_id}
    return person.api.request("DELETE", DELETE, json=body)


def gallery(person: Person, **query: Any) -> dict[str, Any]:
    answer = person.api.get("/api/auth/video/gallery", params={"userId": person.user_id, **query})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and error code of a failure, whose shape is checked."""
    body = answer.json()
    assert body["success"] is False, body
    assert body["message"]
    return answer.status_code, body["error"]["code"]


def with_sidecar(keys: Callable[[], Iterable[str]]) -> list[str]:
    """The stored keys, once they include the sidecar: it is written after the video is ready."""
    eventually(lambda: any(key.endswith("video.json") for key in keys()), lambda: list(keys()))
    return list(keys())
