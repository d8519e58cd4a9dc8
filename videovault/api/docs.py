"""The API's description at ``/api/docs``, with Swagger UI served from here: no other host is asked."""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

OPENAPI_URL = "/api/openapi.json"
ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
PAGE = """<!doctype html>
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
# A file of its own: the content security policy allows no script inside a page.
START = f'SwaggerUIBundle({{url: "{OPENAPI_URL}", dom_id: "#docs", deepLinking: true}});\n'

router = APIRouter(prefix="/api/docs", include_in_schema=False)


@router.get("")
def page() -> HTMLResponse:
    return HTMLResponse(PAGE)


@router.get("/start.js")
def start() -> Response:
    return Response(START, media_type="text/javascript")


@router.get("/swagger-ui.css")
def style() -> Response:
    return _asset("swagger-ui.css")


@router.get("/swagger-ui-bundle.js")
def bundle() -> Response:
    return _asset("swagger-ui-bundle.js")


def _asset(name: str) -> Response:
    """One of the two files of the Swagger UI distribution, which changes only with the requirements."""
    content = (files("fastapi_swagger") / "resources" / name).read_bytes()
    return Response(content, media_type=ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})
