"""Fetching a video: every byte, over several connections and redirects, without leaking anything."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.gateways.conftest import MakeSource, failure_of, read_all, source_answered_by
from tests.support.canary import Canary
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from videovault.errors import UnsafeUrl
from videovault.gateways.source import Source


def test_returns_every_byte_and_what_the_source_announced(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/a/My%20video.mp4", ServerBehaviour(size=3 * MIB + 17, seed=5))
    with source.open(url) as stream:
        assert read_all(stream) == payload(3 * MIB + 17, seed=5)
    info = stream.info
    assert (info.total, info.length, info.start) == (3 * MIB + 17, 3 * MIB + 17, 0)
    assert (info.partial, info.accepts_ranges, info.validator) == (False, True, '"v1"')
    assert (info.container, info.content_type, info.filename_hint) == ("mp4", "video/mp4", "My video.mp4")
    assert info.final_url == url
    assert url not in repr(info)


def test_requests_unencoded_bytes_and_reveals_nothing_about_us(
    server: MisbehavingServer, source: Source
) -> None:
    with source.open(server.serve("/asks.mp4", ServerBehaviour(size=5000))):
        pass
    headers = server.seen("/asks.mp4")[0].headers
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"].startswith("Mozilla/5.0 (compatible; VideoVault")
    assert "*/*" in headers["accept"]
    assert set(headers) == {"host", "user-agent", "accept", "accept-encoding"}


def test_sends_no_credentials_and_uses_no_proxy(
    server: MisbehavingServer, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Canary() as canary:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
        with source.open(server.serve("/direct.mp4", ServerBehaviour(headers={"Set-Cookie": "a=b"}))):
            pass
        with source.open(server.origin + "/direct.mp4"):
            pass
        assert canary.callers() == 0
    assert "cookie" not in server.seen("/direct.mp4")[1].headers


def test_eight_threads_read_parts_over_reused_connections(server: MisbehavingServer, source: Source) -> None:
    part, parts = 150_000, 40
    url = server.serve("/parallel.mp4", ServerBehaviour(size=part * parts))

    def fetch(number: int) -> bytes:
        with source.open(url, start=number * part, end=(number + 1) * part, validator='"v1"') as stream:
            return read_all(stream)

    with ThreadPoolExecutor(8) as pool:
        received = b"".join(pool.map(fetch, range(parts)))
    assert received == payload(part * parts)
    connections = {seen.connection for seen in server.seen("/parallel.mp4")}
    assert len(connections) <= 8


def test_follows_redirects_to_the_video(server: MisbehavingServer, source: Source) -> None:
    video = server.serve("/target.mp4", ServerBehaviour(size=5000))
    statuses = (301, 302, 303, 307, 308)
    urls = [
        server.redirect(f"/r/{status}", "/target.mp4" if status == 301 else f"/r/{status - 1}", status)
        for status in statuses[:3]
    ]
    urls += [
        server.redirect("/r/307", "../r/303", 307),
        server.redirect("/r/308", f"//127.0.0.1:{server.port}/r/307", 308),
    ]
    with source.open(urls[-1]) as stream:
        assert read_all(stream) == payload(5000)
        assert stream.info.final_url == video


def test_a_redirect_may_contain_blanks_and_letters_of_any_language(
    server: MisbehavingServer, source: Source
) -> None:
    server.serve("/a%20%C3%BC.mp4", ServerBehaviour(size=5000))
    with source.open(server.redirect("/lax", "/a \u00fc.mp4".encode().decode("latin-1"))) as stream:
        assert stream.info.filename_hint == "a \u00fc.mp4"


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ("http://127.0.0.1:{port}/a b/\u00fc.mp4", "/a%20b/%C3%BC.mp4"),
        ("http:\\\\127.0.0.1:{port}\\a\\..\\b.mp4", "/b.mp4"),
        (" http://127.0.0.1:{port}\\@example.com/v.mp4\n", "/@example.com/v.mp4"),
        ("ht\ntp://127.0.0\t.1:{port}/v.mp4#@example.com/", "/v.mp4"),
        ("http://127.0.0.1:{port}?@example.com/", "/?@example.com/"),
    ],
)
def test_the_checked_host_is_the_one_that_is_requested(
    server: MisbehavingServer, source: Source, form: str, path: str
) -> None:
    """Only this server is allowed, so that any other reading of the URL would be refused or fail."""
    server.serve(path, ServerBehaviour(size=5000))
    before = len(server.seen(path))
    with source.open(form.format(port=server.port)) as stream:
        assert read_all(stream) == payload(5000)
    assert len(server.seen(path)) == before + 1


def test_fails_after_five_redirects(server: MisbehavingServer, source: Source) -> None:
    for number in range(7):
        server.redirect(f"/chain/{number}", f"/chain/{number + 1}")
    assert "too many times" in failure_of(source, server.origin + "/chain/0").public_message
    assert not server.seen("/chain/6")


def test_fails_on_a_redirect_loop(server: MisbehavingServer, source: Source) -> None:
    server.redirect("/loop/a", "/loop/b")
    server.redirect("/loop/b", "/loop/a")
    failure = failure_of(source, server.origin + "/loop/a")
    assert "too many times" in failure.public_message
    assert not failure.retryable
    assert len(server.seen("/loop/a")) + len(server.seen("/loop/b")) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:PORT/",
        "//127.0.0.1:PORT/",
        "http://localhost:PORT/",
        "http://[::1]:PORT/",
        "http://2130706433:PORT/",
        "http://rebound.example:PORT/",
        "http://user@rebound.example:PORT/",
        "http://169.254.169.254/latest/meta-data/",
        "http://93.184.216.34:25/",
        "http://[::1",
        "file:///etc/passwd",
        "ftp://example.com/v.mp4",
        "\\\\127.0.0.1\\v.mp4",
    ],
)
def test_a_redirect_into_a_private_network_is_refused(
    server: MisbehavingServer, make_source: MakeSource, target: str
) -> None:
    source = make_source(inject={"resolver": lambda _host, _port: ["127.0.0.1"]})
    with Canary() as canary:
        server.redirect("/inwards", target.replace("PORT", str(canary.port)))
        url = server.redirect("/innocent", "/inwards")
        with pytest.raises(UnsafeUrl), source.open(url):
            pass
        assert canary.callers() == 0


def test_a_redirect_without_a_target_is_refused(server: MisbehavingServer, source: Source) -> None:
    assert (
        "HTTP 302"
        in failure_of(source, server.serve("/nowhere", ServerBehaviour(status=302, body=b""))).public_message
    )


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("https://drive.google.com/file/d/1/view", "Google Drive"),
        ("https://www.dropbox.com/scl/fi/x/v.mp4?dl=0", "dl=1"),
        ("https://1drv.ms/v/s!x", "OneDrive"),
        ("https://we.tl/t-x", "WeTransfer"),
        ("https://www.youtube.com/watch?v=x", "YouTube"),
        ("https://youtu.be/x", "YouTube"),
        ("https://vimeo.com/1", "Vimeo"),
        ("https://www.loom.com/share/x", "Loom"),
        ("https://app.heygen.com/share/x", "HeyGen"),
    ],
)
@pytest.mark.parametrize("led_on", [False, True])
def test_a_share_page_says_what_to_do(url: str, advice: str, led_on: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if led_on and request.url.host != "sign-in.example":
            return httpx.Response(302, headers={"Location": "https://sign-in.example/"})
        return httpx.Response(200, content=b"<!doctype html><title>Sign in</title>")

    sentence = failure_of(source_answered_by(answer), url).public_message
    assert advice in sentence
    assert "direct download link" in sentence


def test_a_page_of_another_host_is_a_web_page() -> None:
    source = source_answered_by(lambda _request: httpx.Response(200, content=b"<html>"))
    for host in ("notdropbox.com", "dropbox.com.example"):
        assert "a web page" in failure_of(source, f"https://{host}/").public_message


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe.mp4; filename=x.mp4", "Gr\u00fc\u00dfe.mp4"),
        ('attachment; filename="Gr\u00fc\u00dfe.mp4"', "Gr\u00fc\u00dfe.mp4"),
        ("inline", ""),
        ("attachment; filename*=UTF-8''" + "%E6%97%A5" * 90 + ".mp4", "\u65e5" * 90 + ".mp4"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_the_sources_file_name_is_returned(header: str, name: str, encoding: str) -> None:
    headers = [(b"Content-Disposition", header.encode(encoding)), (b"X-Other", "\u00e4".encode("latin-1"))]
    source = source_answered_by(lambda _request: httpx.Response(200, headers=headers, content=payload(5000)))
    with source.open("https://example.com/a.mp4") as stream:
        assert stream.info.header_name == name


def test_a_redirect_from_https_to_http_is_refused() -> None:
    source = source_answered_by(
        lambda _request: httpx.Response(302, headers={"Location": "http://example.com/v.mp4"})
    )
    with pytest.raises(UnsafeUrl, match="encrypted"), source.open("https://example.com/v.mp4"):
        pass


def test_any_httpx_transport_can_be_used() -> None:
    body = payload(300_000)
    source = source_answered_by(lambda _request: httpx.Response(200, content=body))
    with source.open("https://example.com/v.mp4") as stream:
        assert read_all(stream) == body


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (httpx.ConnectError("x"), "cannot be reached"),
        (httpx.ConnectTimeout("x"), "cannot be reached"),
        (httpx.ReadTimeout("x"), "nothing for too long"),
        (httpx.ReadError("x"), "connection to the source was lost"),
        (httpx.RemoteProtocolError("x"), "could not be understood"),
    ],
)
def test_a_network_error_is_retryable(error: httpx.HTTPError, sentence: str) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error

    failure = failure_of(source_answered_by(fail), "https://example.com/v.mp4")
    assert sentence in failure.public_message
    assert failure.retryable


def test_headers_of_a_host_go_to_it_at_every_hop_and_to_no_other(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    """Another port is another server: it redirects back to the first one, which gets its headers again."""
    with MisbehavingServer() as other:
        here, there = f"127.0.0.1:{server.port}", f"127.0.0.1:{other.port}"
        video = server.serve("/guarded.mp4", ServerBehaviour(size=5000))
        back = other.redirect("/back", video)
        url = server.redirect("/begin", back)
        headers = {here: {"X-Key": "my-source-key", "User-Agent": "Acme"}, "127.0.0.2": {"X-Other": "b"}}
        source = make_source(allow=frozenset({there}), inject={"headers": headers})
        with source.open(url, start=10, end=20) as stream:
            assert read_all(stream) == payload(5000)[10:20]
        for path in ("/begin", "/guarded.mp4"):
            sent = server.seen(path)[0].headers
            assert (sent["x-key"], sent["user-agent"], sent["range"]) == (
                "my-source-key",
                "Acme",
                "bytes=10-19",
            )
            assert "x-other" not in sent
        assert not {"x-key", "x-other"} & set(other.seen("/back")[0].headers)
        assert other.seen("/back")[0].headers["user-agent"].endswith("VideoVault)")
