"""Every response under ``/api``: its JSON shape, how routes document it, and which error gives which status."""

import html
import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlencode

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from videovault import errors, logs
from videovault.config import EMBEDDED_BUCKET
from videovault.db import is_unavailable

REQUEST_ID = "videovault.request_id"
IDENTITY = "videovault.identity"  # caller and credential, for the request's log line
NOT_FOUND = "There is nothing at this address."
INTERNAL_ERROR = "Something went wrong here. Please try again. If it happens again, quote the requestId."
FAILURES = {
    400: "A field is missing or wrong",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "The body arrived too slowly",
    409: "Not possible in the current state",
    413: "Too large",
    414: "Address too long",
    421: "Unknown host name; set PUBLIC_URL",
    422: "The address gave no video",
    429: "Too many attempts; retry after the seconds in Retry-After",
    431: "Too many or too large headers",
    500: "Internal error; quote the requestId",
    502: "S3 or the webhook failed",
    503: "The database does not answer; retry after the seconds in Retry-After",
    507: "The disk is full; reading, signing in and deleting still work",
}
COMMON_FAILURES = (408, 413, 414, 421, 431, 500, 503, 507)
HTML_REDIRECT = "Instead of a failure, where Accept prefers HTML to JSON: to a page that explains it"

T = TypeVar("T")
log = logs.get(__name__)
Responses = dict[int | str, dict[str, Any]]


class Success(BaseModel, Generic[T]):
    success: Literal[True] = True
    message: str
    data: T


class Nothing(BaseModel):
    """An empty object."""


class ErrorDetail(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    code: str
    fields: dict[str, str] | None = Field(None, description="What is wrong, by the name of the field.")
    request_id: str | None = Field(None, description="To quote after an internal error.")
    video_id: str | None = Field(None, description="The video that the call has made or is about.")


class Problem(BaseModel):
    """Any failure: a sentence for a person and a code for a program."""

    success: Literal[False] = False
    message: str
    error: ErrorDetail


SCHEMA_REFERENCE = "#/components/schemas/{model}"
PROBLEM_CONTENT = {"application/json": {"schema": {"$ref": SCHEMA_REFERENCE.format(model="Problem")}}}


def problem_schemas() -> dict[str, Any]:
    """The schemas to which ``failures`` refers, for OpenAPI's components."""
    schema = Problem.model_json_schema(ref_template=SCHEMA_REFERENCE)
    return {**schema.pop("$defs"), "Problem": schema}


def failures(*statuses: int) -> Responses:
    """OpenAPI's description of a route's own failures and of those that any route may have.

    By reference: FastAPI would build a model for each failure of each route, a sixth of the time of a start.
    """
    described: Responses = {
        status: {"content": PROBLEM_CONTENT, "description": FAILURES[status]}
        for status in sorted({*statuses, *COMMON_FAILURES})
    }
    return {303: {"description": HTML_REDIRECT}, **described}


def problem(
    status: int,
    code: str,
    message: str,
    *,
    fields: Mapping[str, str] | None = None,
    request_id: str | None = None,
    video_id: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response for a failure: JSON for programs, a page that explains it for clients that prefer HTML."""
    error = {"code": code, "fields": dict(fields or {}), "requestId": request_id, "videoId": video_id}
    present = {name: value for name, value in error.items() if value}
    body = {"success": False, "message": message, "error": present}
    return ProblemResponse(body, status_code=status, headers=headers)


# Content negotiation: JSON, or a page that explains the failure.

REDIRECTABLE = ("/api", f"/{EMBEDDED_BUCKET}/")  # no pages are at these addresses
PLAIN_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>VideoVault</title></head>
<body><main><h1>Something went wrong</h1><p>{message}</p></main></body>
</html>
"""
QUALITY = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")


class ProblemResponse(JSONResponse):
    """JSON, or a redirect to a page for a browser that follows a link or submits a form."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        respond = super().__call__
        if scope["type"] == "http" and prefers_html(Headers(scope=scope).get("accept", "")):
            respond = self._for_browser(scope)
        await respond(scope, receive, send)

    def _for_browser(self, scope: Scope) -> Response:
        failure = json.loads(bytes(self.body))
        if not scope["path"].startswith(
            REDIRECTABLE
        ):  # a page was refused; the problem page would be refused too
            text = PLAIN_PAGE.format(message=html.escape(failure["message"]))
            kept = {name: value for name, value in self.headers.items() if name in ("retry-after", "allow")}
            return HTMLResponse(text, self.status_code, {**kept, "Vary": "Accept"})
        code, video_id = failure["error"]["code"], failure["error"].get("videoId", "")
        if code == "NOT_SIGNED_IN":
            gallery = f"/gallery?{urlencode({'video': video_id})}" if video_id else "/gallery"
            target = f"/login?{urlencode({'next': gallery})}"
        else:
            target = f"/problem?{urlencode({'code': code})}"
        return RedirectResponse(target, 303, {"Vary": "Accept", "Cache-Control": "no-store"})


def prefers_html(accept: str) -> bool:
    """Whether an Accept header ranks HTML above JSON (RFC 9110, 12.5.1); False for an empty one."""
    qualities = dict(_media_range(part) for part in accept.lower().split(","))
    return _quality(qualities, "text/html") > _quality(qualities, "application/json")


def _media_range(part: str) -> tuple[str, float]:
    media_type, *parameters = (each.strip() for each in part.split(";"))
    qualities = [
        each.partition("=")[2].strip() for each in parameters if each.partition("=")[0].strip() == "q"
    ]
    if not qualities:
        return media_type, 1.0
    return media_type, float(qualities[0]) if QUALITY.fullmatch(qualities[0]) else 0.0


def _quality(qualities: Mapping[str, float], media_type: str) -> float:
    """The quality of the most specific range that covers the type."""
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((qualities[each] for each in ranges if each in qualities), 0.0)


# From errors to responses.

STATUS: dict[type[errors.VideoVaultError], int] = {
    errors.InvalidInput: 400,
    errors.NotSignedIn: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.SourceError: 422,
    errors.RateLimited: 429,
    errors.UpstreamError: 502,
    errors.DatabaseUnavailable: 503,
    errors.DiskFull: 507,
    errors.VideoVaultError: 500,
}
CODES = {status: error.code for error, status in STATUS.items()} | {405: "METHOD_NOT_ALLOWED"}
# These must not reveal whether the video exists.
UNNAMED = (errors.VideoNotFound, errors.WrongSecretKey)
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# By the parameter that holds an impossible id.
MISSING = {"videoId": errors.VideoNotFound(), "userId": errors.UserNotFound()}
MISSING_OTHER = errors.NotFound("There is nothing by this id.")
NOT_JSON = "The body must be a JSON object, sent as application/json."
# By pydantic's type of the error.
SENTENCES = {
    "missing": "This field is missing.",
    "string_type": "This must be text.",
    "string_unicode": "This contains characters that cannot be shown.",
    "string_pattern_mismatch": "This is not a valid id.",
    "string_too_long": "This is too long: the limit is {max_length:,} characters.",
    "string_too_short": "This field is missing.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_parsing_size": "This number is too large.",
    "int_from_float": "This must be a whole number.",
    "float_type": "This must be a number.",
    "float_parsing": "This must be a number.",
    "finite_number": "This must be a number.",
    "greater_than_equal": "This must be at least {ge:,}.",
    "less_than_equal": "This must be at most {le:,}.",
    "bool_parsing": "This must be true or false.",
    "list_type": "This must be a list.",
    "too_long": "This is too long: the limit is {max_length:,} entries.",
    "too_short": "This needs at least one entry.",
    "literal_error": "This must be one of {expected}.",
    "model_attributes_type": "This must be an object.",
    "model_type": "This must be an object.",
    "dict_type": "This must be an object.",
    "value_error": "{error}",
}


def status_of(error: errors.VideoVaultError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def set_video_id(request: Request, video_id: str | None) -> None:
    """Set the video that the call has made or is about, for every later error to name."""
    request.state.video_id = video_id


def on_error(request: Request, error: Exception) -> Response:
    """Any of our own errors."""
    assert isinstance(error, errors.VideoVaultError)  # noqa: S101 - it is registered for these only
    status = status_of(error)
    return problem(
        status,
        error.code,
        error.public_message,
        fields=error.fields if isinstance(error, errors.InvalidInput) else None,
        request_id=_request_id(request) if status == 500 else None,
        video_id=error.video_id or (None if isinstance(error, UNNAMED) else _video_id(request)),
        headers=_headers(error),
    )


def on_database_error(request: Request, error: Exception) -> Response:
    """An error of the database: 503 while it does not answer. Raises all others, which are internal."""
    if not is_unavailable(error):
        raise error
    log.warning("the database does not answer", reason=type(error).__name__)
    return on_error(request, errors.DatabaseUnavailable())


def on_validation_error(request: Request, error: Exception) -> Response:
    """A request that pydantic refused."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for these only
    faults = error.errors()
    ids = [str(fault["loc"][-1]) for fault in faults if fault["loc"][0] == "path"]
    if ids:  # an impossible id: nothing can be there
        missing = MISSING.get(ids[0], MISSING_OTHER)
        return problem(404, missing.code, missing.public_message)
    message, fields = "Please check the marked fields.", _fields(faults)
    if any(fault["type"] == "json_invalid" for fault in faults):
        message, fields = "The body is not valid JSON.", {"body": NOT_JSON}
    elif any(len(fault["loc"]) == 1 for fault in faults):
        message, fields = NOT_JSON, {"body": NOT_JSON}
    video_id = _video_id(request) or _video_id_in(error.body)
    return problem(400, "INVALID_INPUT", message, fields=fields, video_id=video_id)


def on_http_error(request: Request, error: Exception) -> Response:
    """A request that the framework refused before it reached a route."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these only
    status, video_id = error.status_code, _video_id(request)
    if status == 400:  # a body that cannot be parsed
        return problem(400, "INVALID_INPUT", NOT_JSON, fields={"body": NOT_JSON}, video_id=video_id)
    message, code = f"{HTTPStatus(status).phrase}.", CODES.get(status, "INVALID_INPUT")
    return problem(status, code, message, headers=error.headers, video_id=video_id)


def on_unexpected_error(request: Request, _error: Exception) -> Response:
    """An internal error: the response reveals nothing of it; the middleware logs it under the same request id."""
    return problem(
        500, "INTERNAL_ERROR", INTERNAL_ERROR, request_id=_request_id(request), video_id=_video_id(request)
    )


def _request_id(request: Request) -> str:
    """The id that the middleware gave the request; empty without it."""
    return str(request.scope.get(REQUEST_ID, ""))


def _video_id(request: Request) -> str | None:
    """The one from ``set_video_id``, else the one in the address."""
    video_id = getattr(request.state, "video_id", None) or request.path_params.get("videoId")
    return video_id if isinstance(video_id, str) and VIDEO_ID.fullmatch(video_id) else None


def _video_id_in(body: Any) -> str | None:
    """The video that a body names although the rest of it is wrong."""
    video_id = body.get("videoId") if isinstance(body, Mapping) else None
    return video_id if isinstance(video_id, str) and VIDEO_ID.fullmatch(video_id) else None


def _headers(error: errors.VideoVaultError) -> dict[str, str] | None:
    if isinstance(error, errors.NotSignedIn):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.RateLimited | errors.RequestInProgress | errors.DatabaseUnavailable):
        return {"Retry-After": str(error.retry_after)}
    return None


def _fields(faults: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The first fault of each field, by its name in JSON."""
    fields: dict[str, str] = {}
    for fault in faults:
        fields.setdefault(".".join(str(part) for part in fault["loc"][1:]), _sentence(fault))
    return fields


def _sentence(fault: Mapping[str, Any]) -> str:
    sentence = SENTENCES.get(fault["type"])
    return sentence.format(**fault.get("ctx", {})) if sentence else f"{fault['msg']}."
