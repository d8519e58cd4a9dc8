"""From errors to answers: the one place that knows status codes."""

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

from videovault import errors
from videovault.config import EMBEDDED_BUCKET

# The one shape of every answer under ``/api``, good or bad, and how routes document it.

# Failures for programs and for browsers: JSON, or a page that explains it where HTML is preferred.

NO_PAGES = ("/api", f"/{EMBEDDED_BUCKET}/")  # where these begin an address, no page is
PLAIN_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>VideoVault</title></head>
<body><main><h1>This did not work</h1><p>{message}</p></main></body>
</html>
"""
WEIGHT = re.compile(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)")


class ProblemResponse(JSONResponse):
    """A failure. A browser that follows a link or sends a form is led to a page, and never left with JSON."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = super().__call__
        if scope["type"] == "http" and prefers_html(Headers(scope=scope).get("accept", "")):
            answer = self._for_people(scope)
        await answer(scope, receive, send)

    def _for_people(self, scope: Scope) -> Response:
        said = json.loads(bytes(self.body))
        if not scope["path"].startswith(NO_PAGES):  # a page is refused, so that one would be, too
            text = PLAIN_PAGE.format(message=html.escape(said["message"]))
            kept = {name: value for name, value in self.headers.items() if name in ("retry-after", "allow")}
            return HTMLResponse(text, self.status_code, {**kept, "Vary": "Accept"})
        code, video_id = said["error"]["code"], said["error"].get("videoId", "")
        if code == "NOT_SIGNED_IN":
            gallery = f"/gallery?{urlencode({'video': video_id})}" if video_id else "/gallery"
            leads_to = f"/login?{urlencode({'next': gallery})}"
        else:
            leads_to = f"/problem?{urlencode({'code': code})}"
        return RedirectResponse(leads_to, 303, {"Vary": "Accept", "Cache-Control": "no-store"})


def prefers_html(accept: str) -> bool:
    """Whether an Accept header ranks HTML above JSON (RFC 9110, 12.5.1); without one nothing is preferred."""
    ranks = dict(_media_range(part) for part in accept.lower().split(","))
    return _rank(ranks, "text/html") > _rank(ranks, "application/json")


def _media_range(part: str) -> tuple[str, float]:
    kind, *parameters = (each.strip() for each in part.split(";"))
    weights = [each.partition("=")[2].strip() for each in parameters if each.partition("=")[0].strip() == "q"]
    if not weights:
        return kind, 1.0
    return kind, float(weights[0]) if WEIGHT.fullmatch(weights[0]) else 0.0


def _rank(ranks: Mapping[str, float], kind: str) -> float:
    """That of the most specific range that covers it."""
    ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
    return next((ranks[each] for each in ranges if each in ranks), 0.0)


REQUEST_ID = "videovault.request_id"
NOTHING_HERE = "There is nothing at this address."
IDENTITY = "videovault.identity"  # who is calling and by what proof, for the line in the log
OUR_FAULT = "Something went wrong here. Please try again; if it stays so, quote the requestId."
REASONS = {
    400: "A field is missing or wrong",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not there",
    405: "Not this method",
    408: "The body came too slowly",
    409: "The state does not allow it",
    413: "Too large",
    414: "Address too long",
    421: "Not a name of this installation; set PUBLIC_URL",
    422: "The address gave no video",
    429: "Too often; try again after the seconds in Retry-After",
    431: "Too many or too large headers",
    500: "Our fault; quote the requestId",
    502: "S3 or the webhook failed",
    507: "The disk is full; reading, signing in and deleting still work",
}
TO_A_PAGE = "Instead of a failure, where Accept prefers HTML to JSON: to a page that explains it"
ANY_MAY = (408, 413, 414, 421, 431, 500, 507)

T = TypeVar("T")
Responses = dict[int | str, dict[str, Any]]


class Success(BaseModel, Generic[T]):
    """What went well, and what came of it."""

    success: Literal[True] = True
    message: str
    data: T


class Nothing(BaseModel):
    """An empty object: there is nothing to tell."""


class ErrorDetail(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    code: str
    fields: dict[str, str] | None = Field(None, description="What is wrong, by the name of the field.")
    request_id: str | None = Field(None, description="To quote when it was our fault.")
    video_id: str | None = Field(None, description="The video that the call has made or is about.")


class Problem(BaseModel):
    """Any failure: a sentence for a person and a code for a program."""

    success: Literal[False] = False
    message: str
    error: ErrorDetail


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
    """The answer for a failure: JSON for programs, a page that explains it for clients that prefer HTML."""
    error = {"code": code, "fields": dict(fields or {}), "requestId": request_id, "videoId": video_id}
    given = {name: value for name, value in error.items() if value}
    body = {"success": False, "message": message, "error": given}
    return ProblemResponse(body, status_code=status, headers=headers)


def request_id(scope: Scope) -> str:
    """The id that ``harden`` gave the request; empty without it."""
    return str(scope.get(REQUEST_ID, ""))


def failures(*statuses: int) -> Responses:
    """OpenAPI's words for the failures a route may answer with, beside those that any may."""
    said: Responses = {
        status: {"model": Problem, "description": REASONS[status]} for status in sorted({*statuses, *ANY_MAY})
    }
    return {303: {"description": TO_A_PAGE}, **said}


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
    errors.DiskFull: 507,
    errors.VideoVaultError: 500,
}
CODES = {
    401: "NOT_SIGNED_IN",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "TOO_LARGE",
    429: "RATE_LIMITED",
}
# Whether there is such a video is just what these do not tell.
UNKNOWN = (errors.VideoNotFound, errors.WrongSecretKey)
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NOTHING = errors.NotFound("There is nothing by this id.")
MISSING = {"videoId": errors.VideoNotFound(), "userId": errors.UserNotFound()}
NOT_JSON = "The body must be a JSON object, sent as application/json."
SENTENCES = {
    "missing": "This field is missing.",
    "string_type": "This must be text.",
    "string_unicode": "This contains characters that cannot be shown.",
    "string_pattern_mismatch": "This is not an id that was given out here.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_parsing_size": "This number is too large.",
    "int_from_float": "This must be a whole number.",
    "float_type": "This must be a number.",
    "float_parsing": "This must be a number.",
    "finite_number": "This must be a number.",
    "bool_parsing": "This must be true or false.",
    "list_type": "This must be a list.",
    "model_attributes_type": "This must be an object.",
    "model_type": "This must be an object.",
    "dict_type": "This must be an object.",
}
WITH_LIMITS = {
    "string_too_long": "This is too long: at most {max_length:,} characters are possible.",
    "string_too_short": "This field is missing.",
    "too_long": "This is too long: at most {max_length:,} entries are possible.",
    "too_short": "This needs at least one entry.",
    "literal_error": "This must be one of {expected}.",
    "greater_than_equal": "This must be at least {ge:,}.",
    "less_than_equal": "This must be at most {le:,}.",
    "value_error": "{error}",
}


def on_error(request: Request, error: Exception) -> Response:
    """Any of our own errors."""
    assert isinstance(error, errors.VideoVaultError)  # noqa: S101 - it is registered for these only
    return problem(
        status_of(error),
        error.code,
        error.public_message,
        fields=error.fields if isinstance(error, errors.InvalidInput) else None,
        request_id=request_id(request.scope) if status_of(error) == 500 else None,
        video_id=error.video_id or (None if isinstance(error, UNKNOWN) else _video_of(request)),
        headers=_headers(error),
    )


def on_validation_error(request: Request, error: Exception) -> Response:
    """What pydantic found wrong with a request."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for these only
    wrong = error.errors()
    ids = [str(entry["loc"][-1]) for entry in wrong if entry["loc"][0] == "path"]
    if ids:  # no id looks like that, so nothing is there
        missing = MISSING.get(ids[0], NOTHING)
        return problem(404, missing.code, missing.public_message)
    message, fields = "Please check the marked fields.", _fields(wrong)
    if any(entry["type"] == "json_invalid" for entry in wrong):
        message, fields = "The body is not valid JSON.", {"body": NOT_JSON}
    elif any(len(entry["loc"]) == 1 for entry in wrong):
        message, fields = NOT_JSON, {"body": NOT_JSON}
    video_id = _video_of(request) or _named(error.body)
    return problem(400, "INVALID_INPUT", message, fields=fields, video_id=video_id)


def on_http_error(request: Request, error: Exception) -> Response:
    """What the framework refused before a route was reached."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these only
    status = error.status_code
    if status == 400:  # a body that could not be read
        fields = {"body": NOT_JSON}
        return problem(400, "INVALID_INPUT", NOT_JSON, fields=fields, video_id=_video_of(request))
    message, code = f"{HTTPStatus(status).phrase}.", CODES.get(status, "INVALID_INPUT")
    return problem(status, code, message, headers=error.headers, video_id=_video_of(request))


def on_unexpected_error(request: Request, _error: Exception) -> Response:
    """A fault of ours: nothing of it is shown, ``harden`` logs it under the same id."""
    quoted, video_id = request_id(request.scope), _video_of(request)
    return problem(500, "INTERNAL_ERROR", OUR_FAULT, request_id=quoted, video_id=video_id)


def set_video_id(request: Request, video_id: str | None) -> None:
    """Note the video that the call has made or is about, so that every error from now on names it."""
    request.state.video_id = video_id


def _video_of(request: Request) -> str | None:
    """The one noted by ``concerns``, else the one in the address."""
    noted = getattr(request.state, "video_id", None) or request.path_params.get("videoId")
    return noted if isinstance(noted, str) and VIDEO_ID.fullmatch(noted) else None


def _named(body: Any) -> str | None:
    """The video that a body names although the rest of it is wrong."""
    named = body.get("videoId") if isinstance(body, Mapping) else None
    return named if isinstance(named, str) and VIDEO_ID.fullmatch(named) else None


def status_of(error: errors.VideoVaultError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def _headers(error: errors.VideoVaultError) -> dict[str, str] | None:
    if isinstance(error, errors.NotSignedIn):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.RateLimited | errors.RequestInProgress):
        return {"Retry-After": str(error.retry_after)}
    return None


def _fields(wrong: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The first fault of each field, by its name in JSON."""
    fields: dict[str, str] = {}
    for entry in wrong:
        fields.setdefault(".".join(str(part) for part in entry["loc"][1:]), _sentence(entry))
    return fields


def _sentence(entry: Mapping[str, Any]) -> str:
    kind = entry["type"]
    if kind in WITH_LIMITS:
        return WITH_LIMITS[kind].format(**entry["ctx"])
    return SENTENCES.get(kind) or f"{entry['msg']}."
