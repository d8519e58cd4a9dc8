"""The HTTP API as one FastAPI application, with its OpenAPI document and the page that shows it."""

import re
from collections import Counter
from functools import cached_property, partial
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from videovault.api import accounts, admin, callbacks, generation, monitoring, responses, sharing, videos
from videovault.api.long_polling import VideoWatcher
from videovault.errors import InvalidInput, VideoVaultError

OPENAPI_URL = "/api/openapi.json"
SWAGGER_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>VideoVault API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
# In a file, because the Content Security Policy allows no inline script.
DOCS_SCRIPT = f'SwaggerUIBundle({{url: "{OPENAPI_URL}", dom_id: "#docs", deepLinking: true}});\n'


def create_api(watcher: VideoWatcher | None = None) -> "Api":
    """``watcher`` holds the calls that wait for a video; close it when the server stops."""
    api = Api(
        title="VideoVault",
        version="1",
        summary="Make avatar videos by webhook and keep them safe in your own S3 bucket",
        openapi_url=OPENAPI_URL,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.state.watcher = watcher or VideoWatcher()
    for router in (
        accounts.router,
        generation.router,
        generation.avatar_router,
        callbacks.status_router,
        callbacks.report_url_router,
        videos.router,
        sharing.link_router,
        sharing.share_router,
        admin.router,
        monitoring.router,
        _docs_router(),
    ):
        api.include_router(router, dependencies=[Depends(_refuse_repeated_parameters)])
    api.add_exception_handler(VideoVaultError, responses.on_error)
    api.add_exception_handler(SQLAlchemyError, responses.on_database_error)
    api.add_exception_handler(RequestValidationError, responses.on_validation_error)
    api.add_exception_handler(HTTPException, responses.on_http_error)
    api.add_exception_handler(Exception, responses.on_unexpected_error)
    return api


class Api(FastAPI):
    """Answers everything under ``/api``, even where pages are mounted behind its routes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = self._allowed_methods(scope) if _is_under_api(scope) else None
        if allowed is None or scope["method"] in allowed:
            await super().__call__(scope, receive, send)
        else:
            await _not_found(allowed)(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """Without the framework's own 422, which this API never sends."""
        if self.openapi_schema is None:
            schema = get_openapi(
                title=self.title, version=self.version, summary=self.summary, routes=self.routes
            )
            for operations in schema["paths"].values():
                for operation in operations.values():
                    if "HTTPValidationError" in str(operation["responses"].get("422")):
                        del operation["responses"]["422"]
            schemas = schema["components"]["schemas"]
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            schema["components"]["schemas"] = dict(sorted({**schemas, **responses.problem_schemas()}.items()))
            self.openapi_schema = schema
        return self.openapi_schema

    def _allowed_methods(self, scope: Scope) -> set[str]:
        """The methods of all routes at this path; the framework names those of the first one only."""
        matching = (methods for pattern, methods in self._patterns if pattern.match(scope["path"]))
        return set().union(*matching)

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], set[str]]]:
        routes = iter_route_contexts(self.routes)
        return [(route.path_regex, route.methods) for route in routes if route.methods and route.path_regex]


async def _refuse_repeated_parameters(request: Request) -> None:
    """Raises InvalidInput for a query parameter that is given twice: readers differ on which one counts."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise InvalidInput(
            "Please check the marked fields.", dict.fromkeys(repeated, "This may be given only once.")
        )


def _is_under_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return scope["type"] == "http" and (path == "/api" or path.startswith("/api/"))


def _not_found(allowed: set[str]) -> Response:
    """405 where other methods are allowed, else 404."""
    if not allowed:
        return responses.problem(404, "NOT_FOUND", responses.NOT_FOUND)
    message = "This address does not support this method."
    return responses.problem(
        405, "METHOD_NOT_ALLOWED", message, headers={"Allow": ", ".join(sorted(allowed))}
    )


def _docs_router() -> APIRouter:
    """Swagger UI, served from here so that the page needs no other host."""
    router = APIRouter(prefix="/api/docs", include_in_schema=False)
    router.add_api_route("", lambda: HTMLResponse(DOCS_PAGE))
    router.add_api_route("/start.js", lambda: Response(DOCS_SCRIPT, media_type="text/javascript"))
    for name in SWAGGER_FILES:
        router.add_api_route(f"/{name}", partial(_swagger_file, name))
    return router


def _swagger_file(name: str) -> Response:
    content = (files("fastapi_swagger") / "resources" / name).read_bytes()
    headers = {"Cache-Control": "public, max-age=86400"}  # it changes only with the requirements
    return Response(content, media_type=SWAGGER_FILES[name], headers=headers)
