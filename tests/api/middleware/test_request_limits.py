"""What the head of a request may bring and name, and how deep its JSON goes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.api.middleware.test_stack import ask, opens_websocket
from tests.support.installation import Configure
from tests.support.waiting import HANG_SECONDS
from videovault.api.middleware import body_limit
from videovault.api.middleware.body_limit import MAX_HEADER_BYTES, MAX_HEADERS, MAX_TARGET_BYTES
from videovault.untrusted_json import MAX_DEPTH


@pytest.mark.parametrize(("size", "is_let_in"), [(MAX_HEADER_BYTES - 1000, True), (MAX_HEADER_BYTES, False)])
def test_a_websocket_brings_no_more_headers_than_others(size: int, is_let_in: bool) -> None:
    assert opens_websocket((b"origin", b"http://x"), (b"x-long", b"x" * size)) == is_let_in


@pytest.mark.parametrize(("number", "is_let_in"), [(MAX_HEADERS - 1, True), (MAX_HEADERS, False)])
def test_a_websocket_brings_no_more_headers_by_number(number: int, is_let_in: bool) -> None:
    assert opens_websocket(*[(b"x-a", b"")] * number) == is_let_in


@pytest.mark.parametrize("hosts", [[b"x"], [b"evil.example"]], ids=["the same", "another"])
def test_a_second_host_opens_no_websocket(hosts: list[bytes]) -> None:
    assert not opens_websocket(*[(b"host", host) for host in hosts])


def test_headers_over_the_limit_are_refused_in_the_apis_own_words() -> None:
    answer = ask("GET", "/api/any", headers={"X-Long": "x" * MAX_HEADER_BYTES})
    assert answer.status_code == 431
    assert answer.json()["error"]["code"] == "TOO_LARGE"
    assert ask("GET", "/api/any", headers={"X-Long": "x" * (MAX_HEADER_BYTES - 1000)}).status_code == 200


def test_more_headers_than_the_limit_are_refused_whatever_their_size() -> None:
    few = dict.fromkeys((f"x-{number}" for number in range(MAX_HEADERS - 10)), "")
    assert ask("GET", "/api/any", headers=few).status_code == 200
    many = dict.fromkeys((f"x-{number}" for number in range(MAX_HEADERS)), "")
    assert ask("GET", "/api/any", headers=many).status_code == 431


@pytest.mark.parametrize("address", ["/api/any?{}", "/api/{}", "/{}"])
def test_an_address_over_the_limit_is_refused(address: str) -> None:
    length = MAX_TARGET_BYTES - len(address) + 3
    assert ask("GET", address.format("x" * (length - 1))).status_code in (200, 307, 404)
    answer = ask("GET", address.format("x" * (length + 1)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (414, "TOO_LARGE")


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json; charset=utf-8"])
def test_json_deeper_than_the_limit_reaches_no_route(kind: str) -> None:
    for most in (MAX_DEPTH, MAX_DEPTH + 1):
        body = b"[" * most + b"]" * most
        answer = ask("POST", "/echo", content=body, headers={"Content-Type": kind})
        assert answer.status_code == (200 if most == MAX_DEPTH else 400)
    assert answer.json()["error"]["fields"]["body"]


def test_brackets_in_another_body_than_json_are_only_text() -> None:
    assert (
        ask("POST", "/echo", content=b"[" * 1000, headers={"Content-Type": "text/plain"}).status_code == 200
    )


def test_long_json_is_read_one_after_another_and_short_json_meanwhile() -> None:
    """Each holds the event loop while it is read."""

    async def read(size: int) -> object:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b'"' + b"x" * (size - 2) + b'"', "more_body": False}

        headers = [(b"content-type", b"application/json")]
        return await body_limit.read_body({"type": "http", "headers": headers}, receive)

    async def try_both() -> None:
        async with body_limit._long_json:
            long = asyncio.create_task(read(body_limit.LONG_JSON_BYTES + 1))
            await asyncio.wait_for(read(body_limit.LONG_JSON_BYTES), HANG_SECONDS)
            assert not long.done()
        await asyncio.wait_for(long, HANG_SECONDS)

    asyncio.run(try_both())


@pytest.mark.parametrize("path", ["/a%0ab", "/api/a%0ab", "/api/any%0a", "/%00", "/api/%7f", "/a%1b[2J"])
def test_a_path_with_control_characters_leads_nowhere(path: str) -> None:
    answer = ask("GET", path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


def test_a_second_host_is_refused_even_if_a_proxy_names_a_third(configure: Configure) -> None:
    configure(FORWARDED_ALLOW_IPS="127.0.0.1")
    headers = [("Host", "x"), ("Host", "evil.example"), ("X-Forwarded-Host", "x")]
    answer = ask("GET", "/api/any", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_INPUT")


@pytest.mark.parametrize("scheme", ["Basic YTpi", "Digest a=b", "Negotiate x", "Bearer", "Bearer  ", "x"])
def test_a_cookie_needs_its_origin_whatever_a_browser_adds_by_itself(scheme: str) -> None:
    headers = {"Cookie": "videovault_session=x", "Authorization": scheme}
    assert ask("POST", "/echo", content=b"x", headers=headers).status_code == 403
    assert ask("POST", "/echo", content=b"x", headers=headers | {"Origin": "http://x"}).status_code == 200


def test_a_program_that_shows_its_token_may_keep_cookies() -> None:
    headers = {"Cookie": "videovault_session=x", "Authorization": "Bearer x"}
    assert ask("POST", "/echo", content=b"x", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/folder", "/folder/"),
        ("/folder?a=b&c=%2F", "/folder/?a=b&c=%2F"),
        ("//evil.example", "/evil.example/"),
        ("/%5Cevil.example", "/%5Cevil.example/"),
    ],
)
def test_a_redirect_for_a_slash_does_not_repeat_the_host(path: str, location: str) -> None:
    answer = ask("GET", f"http://x{path}")
    assert (answer.status_code, answer.headers["location"]) == (307, location)


def test_any_other_redirect_leads_where_the_application_says() -> None:
    assert ask("GET", "/away").headers["location"] == "https://s3.example/away?X-Amz-Signature=a"


def test_a_body_that_does_not_come_in_time_is_refused_and_its_connection_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(body_limit, "BODY_SECONDS", 0.05)

    async def begun() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(HANG_SECONDS)

    answer = ask("POST", "/echo", content=begun())
    assert (answer.status_code, answer.json()["error"]["code"]) == (408, "TOO_SLOW")
    assert answer.headers["connection"] == "close"
