"""Callers of the API, in process. Every response is validated against the OpenAPI document."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from jsonschema_rs import Draft202012Validator
from starlette.types import ASGIApp

from videovault.api.app import create_api
from videovault.api.middleware.stack import wrap_in_middleware
from videovault.embedded.passthrough import PassThrough

BASE = "http://localhost:3000"
PASSWORD = "correct horse"


class Promise:
    """What the OpenAPI document promises."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._validators: dict[int, Draft202012Validator] = {}
        self._paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), item)
            # Written-out paths come before those with an id in them, as in the application.
            for path, item in sorted(document["paths"].items(), key=lambda entry: "{" in entry[0])
        ]

    def check(self, request: httpx.Request, answer: httpx.Response) -> None:
        """Fails on a response that the operation's document does not describe."""
        operation = self._operation(request)
        if operation is None:
            return
        documented = operation["responses"].get(str(answer.status_code))
        where = f"{request.method} {request.url.path} answered {answer.status_code}"
        assert documented, f"{where}, which is not documented: {answer.text}"
        content = documented.get("content", {}).get("application/json")
        if content and answer.headers.get("content-type") == "application/json":
            self._validator(content["schema"]).validate(answer.json())

    def _validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        if id(schema) not in self._validators:  # ids are unique, because the document keeps all schemas
            whole = {**schema, "components": self._document["components"]}
            self._validators[id(schema)] = Draft202012Validator(whole)
        return self._validators[id(schema)]

    def _operation(self, request: httpx.Request) -> dict[str, Any] | None:
        known = (item for path, item in self._paths if path.fullmatch(request.url.path))
        item: dict[str, dict[str, Any]] = next(known, {})
        return item.get(request.method.lower())


class InProcess(httpx.BaseTransport):
    """A transport to an ASGI application in this process."""

    def __init__(self, app: ASGIApp, portal: BlockingPortal, promise: Promise) -> None:
        self._app = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._portal = portal
        self._promise = promise

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        stream = _Stream(request.stream)  # type: ignore[arg-type] # the client is a synchronous one
        sent = httpx.Request(request.method, request.url, headers=request.headers, stream=stream)
        answer = self._portal.call(self._answer, sent)
        self._promise.check(request, answer)
        return answer

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._app.handle_async_request(request)
        return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())


class _Stream(httpx.AsyncByteStream):
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


@dataclass(frozen=True)
class Person:
    """A user; ``api`` is a client that sends this user's token."""

    user_id: str
    email: str
    token: str
    api: httpx.Client


MakeClient = Callable[..., httpx.Client]
MakeUser = Callable[[str], Person]


@pytest.fixture(scope="session")
def api() -> FastAPI:
    """The API, which has no state of its own, so that all tests may share it."""
    return create_api()


@pytest.fixture(scope="session")
def in_process(api: FastAPI) -> Iterator[InProcess]:
    """The running application."""
    with start_blocking_portal() as portal:
        yield InProcess(wrap_in_middleware(PassThrough(api)), portal, Promise(api.openapi()))


@pytest.fixture
def make_client(in_process: InProcess) -> MakeClient:
    """Clients of the whole application, each with cookies of its own; arguments are httpx.Client's."""

    def make(**options: Any) -> httpx.Client:
        return httpx.Client(transport=in_process, base_url=BASE, **options)

    return make


@pytest.fixture
def client(make_client: MakeClient) -> httpx.Client:
    """A client that is not signed in."""
    return make_client()


@pytest.fixture
def make_user(installation: Path, make_client: MakeClient) -> MakeUser:
    """Create accounts through the API; the first one is the installation's admin."""
    del installation

    def make(email: str) -> Person:
        body = {"email": email, "password": PASSWORD}
        answer = make_client().post("/api/auth/register", json=body)
        data = answer.json()["data"]
        headers = {"Authorization": f"Bearer {data['token']}"}
        return Person(data["user"]["userId"], email, data["token"], make_client(headers=headers))

    return make


@pytest.fixture
def admin(make_user: MakeUser) -> Person:
    return make_user("admin@example.com")


@pytest.fixture
def ada(admin: Person, make_user: MakeUser) -> Person:
    """A user who is no admin."""
    del admin
    return make_user("ada@example.com")


@pytest.fixture
def bob(ada: Person, make_user: MakeUser) -> Person:
    """Another such user."""
    del ada
    return make_user("bob@example.com")
