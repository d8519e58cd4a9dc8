"""The HTTP API as one FastAPI application; pages may be mounted behind its routes."""

import re
from collections import Counter
from collections.abc import Collection
from functools import cached_property
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from videovault.api import (
    accounts,
    admin,
    avatars,
    callbacks,
    docs,
    generation,
    health,
    passwords,
    sharing,
    users,
    videos,
    webhook_log,
)
from videovault.api import responses as api_responses
from videovault.api.responses import NOTHING_HERE, problem
from videovault.api.video_watcher import VideoWatcher
from videovault.errors import InvalidInput, VideoVaultError

# Query strings that can be understood in two ways are refused.


async def refuse_repeated(request: Request) -> None:
    """Raises InvalidInput for a parameter given twice: readers differ on which one counts."""
    counted = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [name for name, times in counted.items() if times > 1]
    if repeated:
        raise InvalidInput(
            "Please check the marked fields.", dict.fromkeys(repeated, "This may be given only once.")
        )


class Api(FastAPI):
    """Answers for everything under ``/api``, the pages that are mounted behind its routes notwithstanding."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self._methods(scope) if _is_under_api(scope) else None
        if methods is None or scope["method"] in methods:
            await super().__call__(scope, receive, send)
        else:
            await _nothing_here(methods)(scope, receive, send)

    def _methods(self, scope: Scope) -> set[str]:
        """What the routes at this address take; the framework itself names those of the first one only."""
        found: set[str] = set()
        for pattern, methods in self._known:
            if pattern.match(scope["path"]):
                found |= methods
        return found

    @cached_property
    def _known(self) -> list[tuple[re.Pattern[str], set[str]]]:
        routes = iter_route_contexts(self.routes)
        return [(route.path_regex, route.methods) for route in routes if route.methods and route.path_regex]


def create_api(watch: VideoWatcher | None = None) -> Api:
    """The API with all its routes.

    Callers that wait are in ``watch``, to be closed when the server ends.
    """
    api = Api(
        title="VideoVault",
        version="1",
        summary="Make avatar videos by webhook and keep them safe in your own S3 bucket",
        openapi_url=docs.OPENAPI_URL,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.watch = watch or VideoWatcher()
    for router in (
        accounts.router,
        passwords.router,
        generation.router,
        avatars.router,
        callbacks.status_router,
        callbacks.callback_router,
        videos.router,
        sharing.share_link_router,
        sharing.share_page_router,
        admin.router,
        users.router,
        webhook_log.router,
        health.router,
        docs.router,
    ):
        api.include_router(router, dependencies=[Depends(refuse_repeated)])
    api.add_exception_handler(VideoVaultError, api_responses.on_error)
    api.add_exception_handler(RequestValidationError, api_responses.on_validation_error)
    api.add_exception_handler(HTTPException, api_responses.on_http_error)
    api.add_exception_handler(Exception, api_responses.on_unexpected_error)
    api.openapi = lambda: _described(api)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return api


def _is_under_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["type"] == "http" and (path == "/api" or path.startswith("/api/"))


def _nothing_here(allowed: Collection[str]) -> Response:
    """404, or 405 where other methods are taken."""
    if allowed:
        headers = {"Allow": ", ".join(sorted(allowed))}
        return problem(405, "METHOD_NOT_ALLOWED", "This address does not take this method.", headers=headers)
    return problem(404, "NOT_FOUND", NOTHING_HERE)


def _described(api: FastAPI) -> dict[str, Any]:
    """OpenAPI without the framework's own 422, which is never answered here."""
    if api.openapi_schema is None:
        schema = get_openapi(title=api.title, version=api.version, summary=api.summary, routes=api.routes)
        for operations_of_path in schema["paths"].values():
            for operation in operations_of_path.values():
                _drop_default_422(operation["responses"])
        for unused in ("HTTPValidationError", "ValidationError"):
            schema["components"]["schemas"].pop(unused, None)
        api.openapi_schema = schema
    return api.openapi_schema


def _drop_default_422(responses: dict[str, Any]) -> None:
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
