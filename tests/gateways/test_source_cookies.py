"""Cookies that a source sets on a redirect: returned to its host, and to no other."""

from collections.abc import Callable

import httpx
import pytest

from tests.gateways.conftest import read_all, source_answered_by
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from videovault.gateways.source import MAX_COOKIE_BYTES, MAX_COOKIES, CookieJar, Source
from videovault.gateways.ssrf import WebAddress, parse

HERE = "https://video.example/a/b/c.mp4"


def sent(to: str, *headers: str, at: str = HERE) -> str:
    """The Cookie header for ``to`` after ``at`` has set these cookies."""
    cookies = CookieJar()
    cookies.store(parse(at), list(headers))
    return cookies.header_for(parse(to))


@pytest.mark.parametrize(
    ("header", "to", "back"),
    [
        ("a=b", HERE, "a=b"),
        ("a=b; HttpOnly; SameSite=Strict", HERE, "a=b"),
        ("a=b; Path=/", "https://video.example/", "a=b"),
        ("a=b; Path=/", "http://video.example/", "a=b"),
        ("a=b", "https://video.example/a/b", "a=b"),
        ("a=b", "https://video.example/a/bc", ""),
        ("a=b", "https://video.example/a/", ""),
        ("a=b; path=/x", HERE, ""),
        ("a=b; Path=x", HERE, "a=b"),
        ("a=b; Secure", HERE, "a=b"),
        ("a=b; Secure; Path=/", "http://video.example/", ""),
        ("a=b; Path=/", "https://other.example/", ""),
        ("a=b; Path=/; Domain=example", "https://other.example/", ""),
        ("a=b; Path=/; Domain=video.example", "https://www.video.example/", ""),
        ("a=b; Path=/", "https://video.example:8443/", ""),
        ("a=b; Max-Age=60", HERE, "a=b"),
        ("a=b; Max-Age=0", HERE, ""),
        ("a=b; Max-Age=-1", HERE, ""),
        ("a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", HERE, ""),
        ("a=b; Expires=Fri, 01 Jan 2100 00:00:00 GMT", HERE, "a=b"),
        ("a=b; Expires=soon", HERE, "a=b"),
        ("__Host-a=b; Path=/", HERE, ""),
        ("__Host-a=b; Secure; Path=/", HERE, "__Host-a=b"),
        ("a=", HERE, "a="),
        ("a=b=c", HERE, "a=b=c"),
        ('a="b c"', HERE, 'a="b c"'),
        ("a", HERE, ""),
        ("=b", HERE, ""),
        ("a=\u00e4", HERE, ""),
        ("a=b\tc", HERE, ""),
        ("", HERE, ""),
    ],
)
def test_a_cookie_is_returned_where_it_belongs(header: str, to: str, back: str) -> None:
    assert sent(to, header) == back


def test_a_cookie_set_over_http_cannot_be_secure() -> None:
    assert sent(HERE, "a=b; Secure", at="http://video.example/a/b/x") == ""


def test_a_later_cookie_replaces_and_ends_an_earlier_one() -> None:
    assert sent(HERE, "a=b", "c=d", "a=e") == "a=e; c=d"
    assert sent(HERE, "a=b", "c=d", "a=; Max-Age=0") == "c=d"


def test_the_number_and_size_of_cookies_are_limited() -> None:
    many = sent(HERE, *(f"n{number}=v" for number in range(10 * MAX_COOKIES)))
    assert len(many.split("; ")) == MAX_COOKIES
    large = sent(HERE, *(f"n{number}={'v' * 4000}" for number in range(MAX_COOKIES)))
    assert len(large) <= MAX_COOKIE_BYTES
    assert sent(HERE, f"n={'v' * 5000}") == ""


def test_a_video_behind_a_cookie_and_its_parts_are_fetched(server: MisbehavingServer, source: Source) -> None:
    url = server.redirect("/gate", "/gate/v.mp4")
    server.serve(
        "/gate",
        ServerBehaviour(status=302, body=b"", headers={"Location": "/gate/v.mp4", "Set-Cookie": "pass=1"}),
    )
    server.serve("/gate/v.mp4", ServerBehaviour(refuses=lambda seen: seen.headers.get("cookie") != "pass=1"))
    with source.open(url) as stream:
        assert read_all(stream) == payload(MIB)
        assert stream.info.final_url == url  # so that requests for parts start there, too
        assert stream.send_next(5, 10) is None
    with source.open(url, start=1000, end=2000) as stream:
        assert read_all(stream) == payload(MIB, start=1000, end=2000)


def _answering(
    way: dict[str, tuple[str, list[str]]], asked: list[httpx.Request]
) -> Callable[..., httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if str(request.url) not in way:
            return httpx.Response(200, content=payload(5000))
        location, cookies = way[str(request.url)]
        headers = [("Location", location), *(("Set-Cookie", cookie) for cookie in cookies)]
        return httpx.Response(302, headers=headers)

    return answer


def test_other_hosts_and_later_fetches_get_no_cookie() -> None:
    asked: list[httpx.Request] = []
    way = {
        "https://a.example/": ("https://b.example/", ["a=1; Domain=example; Path=/"]),
        "https://b.example/": ("https://a.example/v.mp4", ["b=2; Domain=a.example; Path=/"]),
    }
    source = source_answered_by(_answering(way, asked))
    for _ in range(2):
        asked.clear()
        with source.open("https://a.example/"):
            pass
        assert [request.headers.get("cookie") for request in asked] == [None, None, "a=1"]


def test_hosts_are_compared_case_insensitively() -> None:
    assert isinstance(parse("https://VIDEO.example/"), WebAddress)
    assert sent("https://VIDEO.example/a/b/x", "a=b") == "a=b"
