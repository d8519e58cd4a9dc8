"""The SSRF guard: only public addresses are ever contacted."""

import socket
from collections.abc import Iterator, Sequence
from threading import Event
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateways.url_corpus import NORMALISED, REFUSED, RELATIVE
from tests.support.canary import Canary
from videovault.errors import SourceError, UnsafeUrl
from videovault.gateways.source import Source, SourcePolicy
from videovault.gateways.ssrf import AddressGuard, is_global, parse, system_resolver

PUBLIC = "93.184.216.34"
POLICY = SourcePolicy(max_bytes=1, connect_seconds=10)


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with Canary() as listening:
        yield listening


def _never_asked(host: str, port: int) -> Sequence[str]:
    raise AssertionError(f"{host}:{port} was looked up")


def _fetch(source: Source, url: str) -> None:
    with source.open(url):
        raise AssertionError(f"{url!r} was fetched")


def test_the_corpus_is_large() -> None:
    assert len(set(REFUSED)) == len(REFUSED) >= 80


@pytest.mark.parametrize("form", REFUSED)
def test_is_refused_without_a_lookup_or_a_byte(form: str, canary: Canary) -> None:
    url = form.replace("PORT", str(canary.port))
    source = Source(POLICY, resolver=_never_asked)
    with pytest.raises(UnsafeUrl):
        source.check(url)
    with pytest.raises(UnsafeUrl):
        _fetch(source, url)
    assert canary.callers() == 0


@pytest.mark.parametrize("form", REFUSED)
def test_the_message_has_a_reason_without_internals(form: str) -> None:
    with pytest.raises(UnsafeUrl) as refusal:
        AddressGuard(frozenset()).vet(form.replace("PORT", "8080"))
    sentence = refusal.value.public_message
    assert sentence.startswith("The address ")
    assert sentence.endswith(".")
    assert "127" not in sentence


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        ["not an address"],
    ],
)
def test_a_name_is_refused_if_any_of_its_addresses_is_not_global(answer: list[str], canary: Canary) -> None:
    source = Source(POLICY, resolver=lambda _host, _port: answer)
    url = f"http://video.example:{canary.port}/v.mp4"
    with pytest.raises(UnsafeUrl):
        source.check(url)
    with pytest.raises(UnsafeUrl):
        _fetch(source, url)
    assert canary.callers() == 0


def test_a_name_that_changes_its_address_after_the_check_reaches_nothing(canary: Canary) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]])
    source = Source(POLICY, resolver=lambda _host, _port: next(answers))
    url = f"http://rebind.example:{canary.port}/v.mp4"
    source.check(url)
    with pytest.raises(UnsafeUrl):
        _fetch(source, url)
    assert canary.callers() == 0


def test_allowing_one_port_of_loopback_opens_no_other_and_no_other_name(canary: Canary) -> None:
    policy = SourcePolicy(max_bytes=1, allow=frozenset({"127.0.0.1:1234", f"127.0.0.2:{canary.port}"}))
    source = Source(policy, resolver=lambda _host, _port: ["127.0.0.1"])
    for host in ("127.0.0.1", "localhost", "127.1", "evil.example", "[::ffff:127.0.0.1]"):
        with pytest.raises(UnsafeUrl):
            _fetch(source, f"http://{host}:{canary.port}/")
    assert canary.callers() == 0


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("minio", "http://minio:9000/v.mp4"),
        ("minio:9000", "http://MINIO:9000/v.mp4"),
        ("localhost:80", "http://localhost/v.mp4"),
        ("10.0.0.7", "http://10.0.0.7:22/v.mp4"),
        ("::1", "http://[::1]:8080/v.mp4"),
        ("[::1]:8080", "http://[0::1]:8080/v.mp4"),
    ],
)
def test_an_allowed_host_may_be_private(entry: str, url: str) -> None:
    guard = AddressGuard(frozenset({entry}), lambda _host, _port: ["192.168.0.9"])
    address = guard.vet(url)
    assert guard.resolve(address.host, address.port, 1, lambda: None)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM/V.mp4", "https://example.com/V.mp4"),
        ("https://example.com:443/v.mp4", "https://example.com/v.mp4"),
        ("http://example.com:/v.mp4", "http://example.com/v.mp4"),
        ("http://example.com:443/v.mp4", "http://example.com:443/v.mp4"),
        ("https://example.com:8443?a=1", "https://example.com:8443/?a=1"),
        ("https://example.com/v.mp4#t=10", "https://example.com/v.mp4"),
        ("https://h.example/v.mp4?X-Sig=a%2Fb%3D&u=http://127.0.0.1/@", None),
        ("https://my_bucket.s3.example.com/v.mp4", None),
        ("https://r3---sn-abc.example.com/v.mp4", None),
        ("https://m\u00fcnchen.example/\u00e4.mp4", "https://xn--mnchen-3ya.example/%C3%A4.mp4"),
        ("https://M\u00dcNCHEN.example/", "https://xn--mnchen-3ya.example/"),
        ("https://xn--mnchen-3ya.example/", None),
        ("http://93.184.216.34/v.mp4", None),
        ("http://[2606:4700:0::1111]/v.mp4", "http://[2606:4700::1111]/v.mp4"),
    ],
)
def test_an_ordinary_address_keeps_its_meaning(url: str, normal: str | None) -> None:
    assert parse(url).url == (normal or url)


@pytest.mark.parametrize(("url", "normal"), NORMALISED)
def test_an_address_is_read_as_browsers_read_it(url: str, normal: str) -> None:
    assert parse(url).url == normal
    assert parse(normal).url == normal


@pytest.mark.parametrize(("location", "target"), RELATIVE)
def test_a_redirect_leads_where_browsers_go(location: str, target: str | None) -> None:
    guard = AddressGuard(frozenset())
    base = guard.vet("https://video.example/a/b/c.mp4?x=1")
    if target is None:
        with pytest.raises(UnsafeUrl):
            guard.vet(location, base)
    else:
        assert guard.vet(location, base).url == target


@given(st.text("ht:/\\@?#.%[]127lo \t\n\u0301\uff0e", max_size=30))
def test_the_request_goes_to_what_was_checked(text: str) -> None:
    """However other parsers read the text: the request's URL has the host and port that were checked."""
    try:
        address = AddressGuard(frozenset()).vet(f"http://{text}")
    except UnsafeUrl:
        return
    sent = httpx.URL(address.url)
    assert (sent.raw_host.decode(), sent.port or 80) == (address.host, address.port)
    assert sent.raw_path.decode() == address.target
    seen = urlsplit(address.url)
    assert (seen.hostname, seen.port or 80, seen.username) == (address.host, address.port, None)
    assert parse(address.url) == address


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001:81b::200e"]
)
def test_public_addresses_are_global(address: str) -> None:
    assert is_global(address)


def test_a_public_ip_literal_is_not_resolved() -> None:
    guard = AddressGuard(frozenset(), _never_asked)
    assert guard.resolve(PUBLIC, 80, 1, lambda: None) == [PUBLIC]


def test_addresses_keep_their_order_without_duplicates() -> None:
    guard = AddressGuard(frozenset(), lambda _host, _port: ["8.8.8.8", "1.1.1.1", "8.8.8.8"])
    assert guard.resolve("video.example", 80, 1, lambda: None) == ["8.8.8.8", "1.1.1.1"]


@pytest.mark.parametrize(("code", "may_pass"), [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True)])
def test_an_unresolvable_name_is_retryable_if_that_may_be_temporary(code: int, may_pass: bool) -> None:
    def fail(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(code, "no answer")

    with pytest.raises(SourceError, match="cannot be found") as failure:
        Source(POLICY, resolver=fail).check("https://video.example/v.mp4")
    assert failure.value.retryable is may_pass


def test_a_name_without_addresses_cannot_be_found() -> None:
    with pytest.raises(SourceError, match="cannot be found"):
        Source(POLICY, resolver=lambda _host, _port: []).check("https://video.example/v.mp4")


def test_a_hanging_lookup_ends_with_the_time_to_connect() -> None:
    answered = Event()

    def hang(_host: str, _port: int) -> Sequence[str]:
        answered.wait(10)
        return [PUBLIC]

    with pytest.raises(SourceError, match="cannot be found") as failure:
        AddressGuard(frozenset(), hang).resolve("video.example", 80, 0.1, lambda: None)
    answered.set()
    assert failure.value.retryable


def test_the_system_resolves_localhost() -> None:
    assert set(system_resolver("localhost", 80)) <= {"127.0.0.1", "::1"}
