"""The responses of a source: status, size, encoding, ranges and file names, each refusal with its message."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateways.conftest import MakeSource, failure_of, read_all
from tests.support.misbehaving_server import MIB, MisbehavingServer, ServerBehaviour, payload
from videovault.gateways.source import RangesUnreliable, Source, SourceChanged, SourceUnavailable
from videovault.gateways.source_response import MAX_CHARS, filename_hint, safe_name, title_from_url


@pytest.mark.parametrize(
    ("status", "sentence", "retryable"),
    [
        (401, "wants a sign-in", False),
        (403, "expired or is not public", False),
        (404, "no longer at this address, or not there yet", False),
        (409, "not there yet", False),
        (425, "not there yet", False),
        (410, "no longer at this address", False),
        (400, "HTTP 400", False),
        (451, "HTTP 451", False),
        (204, "HTTP 204", False),
        (304, "HTTP 304", False),
        (202, "right now", True),
        (408, "right now", True),
        (429, "slow down", True),
        (500, "right now", True),
        (502, "right now", True),
        (503, "right now", True),
    ],
)
def test_a_refusal_says_what_it_means(
    server: MisbehavingServer, source: Source, status: int, sentence: str, retryable: bool
) -> None:
    url = server.serve(f"/status/{status}", ServerBehaviour(status=status, body=b"<script>alert(1)</script>"))
    failure = failure_of(source, url)
    assert sentence in failure.public_message
    assert "script" not in failure.public_message
    assert failure.retryable is retryable


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        (formatdate(usegmt=True, timeval=4e9), 1e6, 4e9),
        (formatdate(usegmt=True, timeval=0), 0, 0),
    ],
)
def test_retry_after_is_passed_on(
    server: MisbehavingServer, source: Source, header: str, least: float, most: float
) -> None:
    url = server.serve("/busy", ServerBehaviour(status=503, body=b"", headers={"Retry-After": header}))
    failure = failure_of(source, url)
    assert isinstance(failure, SourceUnavailable)
    assert failure.retry_after is not None
    assert least <= failure.retry_after <= most


@pytest.mark.parametrize(
    "header",
    [
        "soon",
        "Wed, 01 Jan 2020 99999999999999999999:00:00 GMT",
        "Wed, 01 Jan 2020 00:00:00 +9999999999999",
        "Wed, 99999999999999999999 Jan 2020 00:00:00 GMT",
    ],
)
def test_a_malformed_retry_after_is_ignored(server: MisbehavingServer, source: Source, header: str) -> None:
    url = server.serve("/busy", ServerBehaviour(status=429, body=b"", headers={"Retry-After": header}))
    failure = failure_of(source, url)
    assert isinstance(failure, SourceUnavailable)
    assert failure.retry_after is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"<!DOCTYPE html><title>Please sign in</title>", "a web page, not a video"),
        (b'{"error": "expired"}', "JSON data"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b"no such file", "plain text"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "a streaming playlist"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "an image (PNG)"),
        (b"\x00\x01\x02\x03" * 50, "something that is not a video"),
        (b"", "an empty file"),
    ],
)
def test_other_files_are_recognized_regardless_of_their_content_type(
    server: MisbehavingServer, source: Source, body: bytes, sentence: str
) -> None:
    failure = failure_of(source, server.serve("/page.mp4", ServerBehaviour(body=body)))
    assert sentence in failure.public_message
    assert not failure.retryable


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "GZIP"])
def test_an_encoded_body_is_refused_unread(server: MisbehavingServer, source: Source, encoding: str) -> None:
    url = server.serve("/bomb", ServerBehaviour(headers={"Content-Encoding": encoding}))
    assert "compressed" in failure_of(source, url).public_message


@pytest.mark.parametrize(
    "encoding",
    ["aws-chunked", "none", "utf-8", "UTF-8", "binary", "identity", "aws-chunked, identity", "", "mp4"],
)
def test_an_unknown_content_encoding_is_ignored(
    server: MisbehavingServer, source: Source, encoding: str
) -> None:
    with source.open(
        server.serve("/said.mp4", ServerBehaviour(headers={"Content-Encoding": encoding}))
    ) as stream:
        assert read_all(stream) == payload(MIB)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 226])
def test_the_bytes_decide_and_not_the_success_status(
    server: MisbehavingServer, source: Source, status: int
) -> None:
    with source.open(server.serve("/success.mp4", ServerBehaviour(status=status))) as stream:
        assert (stream.info.total, stream.info.partial) == (MIB, False)
        assert read_all(stream) == payload(MIB)


@pytest.mark.parametrize("total", [str(MIB), "*"])
def test_a_206_with_the_whole_video_is_accepted(
    server: MisbehavingServer, source: Source, total: str
) -> None:
    behaviour = ServerBehaviour(status=206, content_range=f"bytes 0-{MIB - 1}/{total}")
    with source.open(server.serve("/whole-part.mp4", behaviour)) as stream:
        assert (stream.info.total, stream.info.partial) == (MIB, False)
        assert read_all(stream) == payload(MIB)


@pytest.mark.parametrize(
    ("status", "page", "headers", "sentence"),
    [
        (403, b"<html><title>Just a moment...</title>", {}, "bot protection, HTTP 403"),
        (
            503,
            b"<title>Just a moment...</title><script src=/cdn-cgi/challenge-platform/x>",
            {},
            "bot protection",
        ),
        (429, b"<title>Attention Required! | Cloudflare</title>", {}, "bot protection"),
        (403, b"<H1>Access Denied</H1> Reference&#32;&#35;18.a1b2", {}, "bot protection"),
        (403, b"<H1>Access Denied</H1>", {"Server": "AkamaiGHost"}, "bot protection"),
        (202, b"", {"x-amzn-waf-action": "challenge"}, "bot protection"),
        (405, b"<html>", {"x-amzn-waf-action": "captcha"}, "bot protection"),
        (403, b"", {"cf-mitigated": "challenge"}, "bot protection"),
        (200, b"<html><title>Just a moment...</title>", {}, "bot protection)"),
        (403, b"<html><h1>403 Forbidden</h1>nginx", {}, "expired or is not public"),
        (503, b"<html><h1>Back soon</h1>", {}, "right now"),
        (202, b'{"status": "processing"}', {}, "right now (HTTP 202)"),
    ],
)
def test_a_challenge_page_is_distinguished_from_a_refusal(
    server: MisbehavingServer,
    source: Source,
    status: int,
    page: bytes,
    headers: dict[str, str],
    sentence: str,
) -> None:
    url = server.serve("/challenge.mp4", ServerBehaviour(status=status, body=page, headers=headers))
    assert sentence in failure_of(source, url).public_message


def test_a_refusal_without_its_page_is_reported_by_its_status(
    server: MisbehavingServer, source: Source
) -> None:
    url = server.serve("/half.mp4", ServerBehaviour(status=403, body=b"<html>" * 99, drop_after=100))
    assert "HTTP 403" in failure_of(source, url).public_message


def test_a_video_over_the_limit_is_refused_before_it_is_read(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    url = server.serve("/large", ServerBehaviour(size=64 * MIB))
    failure = failure_of(make_source(max_bytes=2 * MIB), url)
    assert failure.public_message == "The video is larger than the limit of 2.1 MB."
    assert not failure.retryable
    assert server.bytes_sent("/large") < 32 * MIB


def test_a_part_of_a_video_over_the_limit_is_refused_too(
    server: MisbehavingServer, make_source: MakeSource
) -> None:
    url = server.serve("/large-part", ServerBehaviour(size=4 * MIB))
    assert "2.1 MB" in failure_of(make_source(max_bytes=2 * MIB), url, start=10, end=20).public_message


@pytest.mark.parametrize(
    "behaviour",
    [ServerBehaviour(size=8 * MIB, chunked=True), ServerBehaviour(size=8 * MIB, until_close=True)],
)
def test_a_video_of_unknown_length_is_cut_off_at_the_limit(
    server: MisbehavingServer, make_source: MakeSource, behaviour: ServerBehaviour
) -> None:
    failure = failure_of(make_source(max_bytes=2 * MIB), server.serve("/endless", behaviour))
    assert "larger than the limit" in failure.public_message
    assert server.bytes_sent("/endless") < 16 * MIB


def test_a_part_is_requested_with_its_validator(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/part.mp4", ServerBehaviour(size=MIB))
    with source.open(url, start=1000, end=300_000, validator='"v1"') as stream:
        assert read_all(stream) == payload(MIB, start=1000, end=300_000)
    info = stream.info
    assert (info.partial, info.start, info.length, info.total) == (True, 1000, 299_000, MIB)
    assert info.container is None
    seen = server.seen("/part.mp4")[0]
    assert (seen.range, seen.if_range) == ("bytes=1000-299999", '"v1"')


def test_the_rest_of_a_video_is_requested_without_an_end(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/rest.mp4", ServerBehaviour(size=MIB))
    with source.open(url, start=MIB - 5) as stream:
        assert read_all(stream) == payload(MIB)[-5:]
    assert server.ranges("/rest.mp4") == [f"bytes={MIB - 5}-"]


def test_a_part_from_the_beginning_is_identified(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/first.mp4", ServerBehaviour(size=MIB))
    with source.open(url, end=MIB // 2) as stream:
        assert stream.info.container == "mp4"
        assert read_all(stream) == payload(MIB, end=MIB // 2)
    with source.open(url, end=1) as stream:
        assert stream.info.container is None
        assert read_all(stream) == b"\x00"


def test_a_source_without_ranges_sends_the_whole(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/whole.mp4", ServerBehaviour(size=MIB, ranges=False))
    with source.open(url, start=1000, validator='"v1"') as stream:
        assert (stream.info.partial, stream.info.start, stream.info.accepts_ranges) == (False, 0, False)
        assert read_all(stream) == payload(MIB)


def test_a_changed_source_sends_the_whole_with_its_new_validator(
    server: MisbehavingServer, source: Source
) -> None:
    url = server.serve("/new.mp4", ServerBehaviour(size=MIB, etag='"v2"'))
    with source.open(url, start=1000, validator='"v1"') as stream:
        assert (stream.info.partial, stream.info.validator) == (False, '"v2"')


@pytest.mark.parametrize("etag", ['"v2"', None, 'W/"v1"'])
def test_a_part_of_another_version_is_never_returned(
    server: MisbehavingServer, source: Source, etag: str | None
) -> None:
    url = server.serve("/mixed.mp4", ServerBehaviour(size=MIB, etag=etag, if_range=False))
    failure = failure_of(source, url, start=1000, validator='"v1"')
    assert isinstance(failure, SourceChanged)
    assert failure.retryable


def test_a_source_that_has_become_shorter_has_changed(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/shorter.mp4", ServerBehaviour(size=1000))
    assert isinstance(failure_of(source, url, start=5000), SourceChanged)


@pytest.mark.parametrize("etag", [None, 'W/"weak"', "unquoted", '"with\u00e4"', f'"{"x" * 500}"'])
def test_only_a_strong_etag_is_a_validator(
    server: MisbehavingServer, source: Source, etag: str | None
) -> None:
    with source.open(server.serve("/etag.mp4", ServerBehaviour(size=5000, etag=etag))) as stream:
        assert stream.info.validator is None


@pytest.mark.parametrize(
    "behaviour",
    [
        ServerBehaviour(content_range="bytes 0-1047575/1048576"),  # of the same length as the right one
        ServerBehaviour(content_range="bytes 1001-1048575/1048576"),
        ServerBehaviour(content_range="bytes 1000-1048576/1048576"),
        ServerBehaviour(content_range="bytes 1000-1048575/1000"),
        ServerBehaviour(content_range="bytes 1000-999/1048576"),
        ServerBehaviour(content_range="bytes */1048576"),
        ServerBehaviour(content_range="1000-1048575/1048576"),
        ServerBehaviour(content_range=""),
        ServerBehaviour(status=206, ranges=False),  # without Content-Range
        ServerBehaviour(declared=500),
    ],
)
def test_another_part_than_the_requested_one_is_refused(
    server: MisbehavingServer, source: Source, behaviour: ServerBehaviour
) -> None:
    failure = failure_of(source, server.serve("/wrong-part.mp4", behaviour), start=1000)
    assert isinstance(failure, RangesUnreliable)
    assert not failure.retryable


def test_more_than_the_requested_part_is_refused(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/more.mp4", ServerBehaviour(content_range="bytes 0-999/1048576"))
    assert isinstance(failure_of(source, url, end=500), RangesUnreliable)


@pytest.mark.parametrize("end", [None, 5000, 2 * MIB])
def test_less_than_the_requested_part_is_refused(
    server: MisbehavingServer, source: Source, end: int | None
) -> None:
    """HTTP allows it, but the end of the response could not be distinguished from the end of the video."""
    less = ServerBehaviour(size=MIB, declared=500, content_range=f"bytes 1000-1499/{MIB}")
    failure = failure_of(source, server.serve("/less.mp4", less), start=1000, end=end)
    assert isinstance(failure, RangesUnreliable)


def test_a_part_that_ends_with_the_video_is_accepted(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/last.mp4", ServerBehaviour(size=MIB))
    with source.open(url, start=1000, end=2 * MIB) as stream:
        assert read_all(stream) == payload(MIB)[1000:]


def test_a_part_without_the_total_is_accepted(server: MisbehavingServer, source: Source) -> None:
    url = server.serve("/star.mp4", ServerBehaviour(size=MIB, content_range=f"bytes 1000-{MIB - 1}/*"))
    with source.open(url, start=1000) as stream:
        assert stream.info.total is None
        assert read_all(stream) == payload(MIB)[1000:]


@pytest.mark.parametrize("content_range", ["bytes 0-99/1048576", "bytes 1-1048575/1048576", "bytes */9", "x"])
def test_a_part_that_was_not_requested_is_refused(
    server: MisbehavingServer, source: Source, content_range: str
) -> None:
    url = server.serve("/unasked.mp4", ServerBehaviour(status=206, content_range=content_range))
    assert "HTTP 206" in failure_of(source, url).public_message


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 5), (5, 4)])
def test_a_request_for_no_bytes_is_an_error(
    source: Source, server: MisbehavingServer, start: int, end: int | None
) -> None:
    with pytest.raises(ValueError, match="no bytes"), source.open(server.origin, start=start, end=end):
        pass


FORBIDDEN = set('/\\:*?"<>|\x00\n\r\u202e\u2066\u200e')


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://h.example/a/video.mp4?X-Sig=1#t", "video"),
        ("https://h.example/My%20Video%20%C3%BC.final.webm", "My Video \u00fc.final"),
        ("https://h.example/v1.2", "v1.2"),
        ("https://h.example/The%20end.%20Really", "The end. Really"),
        ("https://h.example/no-ending", "no-ending"),
        ("https://h.example/a.tar.gz", "a.tar"),
        ("https://h.example/", "video"),
        ("https://h.example", "video"),
        ("https://h.example/folder/", "video"),
        ("https://h.example/.mp4", "video"),
        ("https://h.example/..", "video"),
        ("https://h.example/%2e%2e%2fetc%2fpasswd", "passwd"),
        ("https://h.example/a%5C..%5Cb.mp4", "b"),
        ("https://h.example/%00%0a%e2%80%ae.mp4", "video"),
        ("https://h.example/gnp%E2%80%AE4pm.exe", "gnp4pm"),
        ("https://h.example/%F0%9F%8E%AC%ff.mp4", "\U0001f3ac"),
        ("https://h.example/" + "x" * 300 + ".mp4", "x" * MAX_CHARS),
        ("https://[broken/video.mp4", "video"),
        ("", "video"),
    ],
)
def test_a_title_is_the_file_name_without_its_extension(url: str, title: str) -> None:
    assert title_from_url(url) == title


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="my film.mp4"', "my film.mp4"),
        ("attachment; filename=film.mp4", "film.mp4"),
        ("attachment; filename*=UTF-8''na%C3%AFve.mp4", "na\u00efve.mp4"),
        ("attachment; filename=\"plain.mp4\"; filename*=UTF-8''real%20name.mp4", "real name.mp4"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\film.mp4"', "film.mp4"),
        ("attachment; filename*=UTF-8''..%2F..%2Fsecret.mp4", "secret.mp4"),
        ("attachment; filename*=UTF-8''a%0D%0ASet-Cookie:%20b.mp4", "a Set-Cookie_ b.mp4"),
        ("attachment; filename*=nonsense''%ff.mp4", "\u00ff.mp4"),
        ("attachment;filename = film.mp4 ; size=1", "film.mp4"),
        ("attachment; filename=my film, the 2nd.mp4", "my film, the 2nd.mp4"),
        ('attachment; filename="my%20film.mp4"', "my film.mp4"),
        ('attachment; filename="100% mine.mp4"', "100% mine.mp4"),
        ('attachment; filename="%ff.mp4"', "%ff.mp4"),
        ('attachment; filename="a \\"quoted\\"; film.mp4"', "a _quoted_; film.mp4"),
        ('attachment; filename="no end.mp4', "no end.mp4"),
        ('attachment; filename="no end.mp4\\', "no end.mp4"),
        ("attachment; filename*=idna''%ff.mp4", "\u00ff.mp4"),
        ("attachment; filename*=unicode_escape''%5Cud800.mp4", "ud800.mp4"),
        ("attachment; FILENAME*=utf-8'en'a%20b.mp4", "a b.mp4"),
        ("attachment; filename*=ISO-8859-1''%fc.mp4", "\u00fc.mp4"),
        ('attachment; filename*=""; filename="plain.mp4"', "plain.mp4"),
        ("attachment; filename=first.mp4; filename=second.mp4", "first.mp4"),
        ("attachment; xfilename=film.mp4", "from-url.mp4"),
        ("attachment; filename*=", "from-url.mp4"),
        ("attachment", "from-url.mp4"),
        ("", "from-url.mp4"),
        ("\u0000;;;==", "from-url.mp4"),
        ("x" * 100_000, "from-url.mp4"),
    ],
)
def test_a_hint_comes_from_the_header_or_the_url(header: str, name: str) -> None:
    assert filename_hint(header, "https://h.example/from-url.mp4") == name


@given(st.text())
def test_a_safe_name_is_short_and_harmless(text: str) -> None:
    name = safe_name(text)
    assert len(name) <= MAX_CHARS
    assert not FORBIDDEN & set(name)
    assert name == name.strip(" .")
    assert safe_name(name) == name


@given(st.text())
def test_any_header_and_any_url_yield_a_name(text: str) -> None:
    assert filename_hint(text, text)
    assert title_from_url(text)
