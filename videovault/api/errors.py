"""The one shape of every answer under ``/api``, good or bad, and how routes document it."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from videovault.config import EMBEDDED_BUCKET

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


class ProblemAnswer(JSONResponse):
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
    return ProblemAnswer(body, status_code=status, headers=headers)


def request_id(scope: Scope) -> str:
    """The id that ``harden`` gave the request; empty without it."""
    return str(scope.get(REQUEST_ID, ""))


def failing(*statuses: int) -> Responses:
    """OpenAPI's words for the failures a route may answer with, beside those that any may."""
    said: Responses = {
        status: {"model": Problem, "description": REASONS[status]} for status in sorted({*statuses, *ANY_MAY})
    }
    return {303: {"description": TO_A_PAGE}, **said}
