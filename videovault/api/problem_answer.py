"""Failures for programs and for browsers: JSON, or a page that explains it where HTML is preferred."""

import html
import json
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from videovault.config import EMBEDDED_BUCKET

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
