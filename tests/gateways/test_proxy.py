"""A configured proxy is used, and does not change which addresses are allowed."""

import base64

import pytest

from tests.gateways.conftest import MakeSource, read_all
from tests.gateways.test_transport import NAME, Names
from tests.support.connect_proxy import ConnectProxy
from tests.support.installation import Configure
from tests.support.listeners import RawAnswer
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour, payload
from videovault.config import settings
from videovault.errors import ConfigurationError, SourceError, UnsafeUrl
from videovault.gateways import source as sources
from videovault.gateways.proxy import Proxy


def through(port: int, userinfo: str = "") -> Proxy:
    return Proxy(f"http://{userinfo}127.0.0.1:{port}")


def test_the_proxy_is_given_the_checked_address(server: MisbehavingServer, make_source: MakeSource) -> None:
    url = server.serve("/by-proxy.mp4", ServerBehaviour(size=5000)).replace("127.0.0.1", NAME)
    with ConnectProxy() as proxy:
        inject = {"proxy": through(proxy.port), "resolver": Names(["127.0.0.1"])}
        source = make_source(allow=frozenset({f"{NAME}:{server.port}"}), inject=inject)
        with source.open(url) as stream:
            assert read_all(stream) == payload(5000)
        source.close()
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
    assert server.seen("/by-proxy.mp4")[0].headers["host"] == f"{NAME}:{server.port}"
    assert len(proxy.heads) == len({seen.connection for seen in server.seen("/by-proxy.mp4")}) == 1


def test_a_forbidden_address_is_refused_before_the_proxy_is_contacted(make_source: MakeSource) -> None:
    with ConnectProxy() as proxy:
        source = make_source(inject={"proxy": through(proxy.port), "resolver": Names(["10.0.0.1"])})
        for url in ("http://127.0.0.1/a.mp4", "http://video.example/a.mp4", "http://[::1]/a.mp4"):
            with pytest.raises(UnsafeUrl), source.open(url):
                raise AssertionError
    assert proxy.heads == []


def test_the_proxy_gets_our_credentials_and_ipv6_addresses_in_brackets(make_source: MakeSource) -> None:
    with ConnectProxy(refuses=503) as proxy:
        inject = {"proxy": through(proxy.port, "anna:p%40ss@"), "resolver": Names(["2606:4700::1111"])}
        with (
            pytest.raises(SourceError) as failure,
            make_source(inject=inject).open("https://video.example/a.mp4"),
        ):
            raise AssertionError
    assert failure.value.retryable
    assert proxy.heads[0].startswith("CONNECT [2606:4700::1111]:443 HTTP/1.1\r\n")
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'anna:p@ss').decode()}" in proxy.heads[0]


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(407, "another user or password"), (403, "does not allow access"), (502, "could not reach the source")],
)
def test_a_refusal_has_a_message_without_the_password(
    make_source: MakeSource, status: int, sentence: str
) -> None:
    with ConnectProxy(refuses=status) as proxy:
        inject = {"proxy": through(proxy.port, "anna:hidden@"), "resolver": Names(["93.184.216.34"])}
        source = make_source(inject=inject)
        with pytest.raises(SourceError, match=sentence) as failure, source.open("http://v.example/a.mp4"):
            raise AssertionError
    assert "hidden" not in str(failure.value)


def test_the_next_address_is_tried_when_the_proxy_cannot_reach_one(make_source: MakeSource) -> None:
    with ConnectProxy(refuses=502) as proxy:
        inject = {"proxy": through(proxy.port), "resolver": Names(["2606:4700::1111", "93.184.216.34"])}
        with pytest.raises(SourceError), make_source(inject=inject).open("http://video.example/a.mp4"):
            raise AssertionError
    assert [head.split(" ")[1] for head in proxy.heads] == ["[2606:4700::1111]:80", "93.184.216.34:80"]


def test_a_proxy_that_is_absent_silent_or_no_proxy_is_reported(make_source: MakeSource) -> None:
    with ConnectProxy() as gone:
        port = gone.port
    inject = {"proxy": through(port), "resolver": Names(["93.184.216.34"])}
    with (
        pytest.raises(SourceError, match="SOURCE_PROXY"),
        make_source(inject=inject).open("http://v.example/a.mp4"),
    ):
        raise AssertionError
    for answer in (b"", b"SSH-2.0-OpenSSH\r\n\r\n"):
        with RawAnswer(answer, at_once=True) as port:
            inject = {"proxy": through(port), "resolver": Names(["93.184.216.34"])}
            source = make_source(inject=inject, connect_seconds=1.0)
            with pytest.raises(SourceError, match="SOURCE_PROXY"), source.open("http://v.example/a.mp4"):
                raise AssertionError


def test_only_the_setting_counts_and_not_the_environment(
    configure: Configure, server: MisbehavingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.serve("/set.mp4", ServerBehaviour(size=5000))
    with ConnectProxy() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        configure(SOURCE_ALLOW_HOSTS=f"127.0.0.1:{server.port}")
        with sources.connected().open(url) as stream:
            assert read_all(stream) == payload(5000)
        assert proxy.heads == []
        configure(SOURCE_PROXY=f"http://127.0.0.1:{proxy.port}")
        with sources.connected().open(url) as stream:
            assert read_all(stream) == payload(5000)
        assert len(proxy.heads) == 1
        sources.connected().close()


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "https://proxy.example", "proxy.example:3128"])
def test_another_kind_of_proxy_is_refused_at_the_start(configure: Configure, url: str) -> None:
    configure(SOURCE_PROXY=url)
    with pytest.raises(ConfigurationError, match="SOURCE_PROXY"):
        settings()
