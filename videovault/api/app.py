"""The HTTP API as one FastAPI application; pages may be mounted behind its routes."""

from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException

from videovault.api import (
    accounts,
    admin,
    answers,
    docs,
    generation,
    inbox,
    operations,
    own_account,
    passwords,
    people,
    share,
    sharing,
    status,
    videos,
)
from videovault.api.envelope import problem
from videovault.api.query import refuse_repeated
from videovault.api.waiting import Watch
from videovault.errors import VideoVaultError

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


def create_api(watch: Watch | None = None) -> FastAPI:
    """The API with all its routes; the last one answers for everything else under ``/api``.

    Callers that wait are in ``watch``, to be closed when the server ends.
    """
    api = FastAPI(
        title="VideoVault",
        version="1",
        summary="Make avatar videos by webhook and keep them safe in your own S3 bucket",
        openapi_url=docs.OPENAPI_URL,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.watch = watch or Watch()
    for module in (
        accounts,
        passwords,
        own_account,
        generation,
        status,
        videos,
        sharing,
        share,
        admin,
        people,
        inbox,
        operations,
        docs,
    ):
        api.include_router(module.router, dependencies=[Depends(refuse_repeated)])
    for path in ("/api", "/api/{path:path}"):
        api.add_api_route(path, _nothing_here, methods=METHODS, include_in_schema=False)
    api.add_exception_handler(VideoVaultError, answers.for_error)
    api.add_exception_handler(RequestValidationError, answers.for_invalid)
    api.add_exception_handler(HTTPException, answers.for_http)
    api.add_exception_handler(Exception, answers.for_unknown)
    api.openapi = lambda: _described(api)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return api


def _nothing_here(request: Request) -> Response:
    """404, or 405 for a route that knows other methods: this route would hide that from the framework."""
    path = request.url.path
    allowed: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.endpoint is not _nothing_here and route.methods and route.path_regex.match(path):
            allowed |= route.methods
    if allowed:
        headers = {"Allow": ", ".join(sorted(allowed))}
        return problem(405, "METHOD_NOT_ALLOWED", "This address does not take this method.", headers=headers)
    return problem(404, "NOT_FOUND", "There is nothing at this address.")


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
