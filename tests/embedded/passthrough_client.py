"""A client of the pass-through in this process, and presigned links."""

import asyncio

import httpx
from starlette.responses import PlainTextResponse

from tests.support.embedded_s3 import EmbeddedS3
from videovault.embedded.passthrough import PassThrough

PUBLIC = "https://videos.example.org:8443"
KEY = "users/7/clip é+1.mp4"
BODY = bytes(range(256)) * 4096  # 1 MiB, four chunks of a response


class PassThroughClient:
    """Sends requests to another address than the one that links are signed for."""

    def __init__(self) -> None:
        self.app = PassThrough(PlainTextResponse("a page"))

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.request("GET", path, headers)

    def request(self, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return asyncio.run(self._request(method, path, headers))

    async def _request(self, method: str, path: str, headers: dict[str, str] | None) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://192.168.1.5:3000") as client:
            return await client.request(method, path, headers=headers)


def link_to(
    server: EmbeddedS3, key: str, method: str = "get_object", seconds: int = 900, **extra: str
) -> str:
    """Path and query of a link that is presigned for the public address."""
    signed = server.client(PUBLIC).generate_presigned_url(
        method, Params={**server.at(key), **extra}, ExpiresIn=seconds
    )
    return signed.removeprefix(PUBLIC)


def error_of(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["success"] is False
    assert body["message"]
    return str(body["error"]["code"])
