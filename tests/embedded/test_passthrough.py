"""Downloads through the app's port, from the real embedded S3."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from tests.embedded.passthrough_client import BODY, KEY, PUBLIC, PassThroughClient, error_of, link_to
from tests.support.app import free_port
from tests.support.embedded_s3 import EmbeddedS3, running_s3
from tests.support.waiting import HANG_SECONDS
from videovault import installation
from videovault.config import settings
from videovault.embedded.passthrough import signed_host


def test_a_signed_link_answers_with_the_whole_video(client: PassThroughClient, link: str) -> None:
    answer = client.get(link)
    assert answer.status_code == 200
    assert answer.content == BODY
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(BODY))


def test_a_video_is_served_in_a_sandbox(client: PassThroughClient, link: str) -> None:
    headers = client.get(link).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "allow-scripts" not in headers["content-security-policy"]
    assert headers["cache-control"] == "private"
    assert "access-control-allow-origin" not in headers
    assert not [name for name in headers if name.startswith("x-amz-")]


def test_head_answers_with_the_same_headers(
    client: PassThroughClient, embedded_s3: EmbeddedS3, link: str
) -> None:
    answer = client.request("HEAD", link_to(embedded_s3, KEY, "head_object"), headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["etag"] == client.get(link).headers["etag"]


@pytest.mark.usefixtures("link")
def test_the_file_name_and_type_in_the_link_are_used(
    client: PassThroughClient, embedded_s3: EmbeddedS3
) -> None:
    disposition = "attachment; filename=\"clip.mp4\"; filename*=UTF-8''clip%C3%A9.mp4"
    named = link_to(
        embedded_s3,
        KEY,
        ResponseContentDisposition=disposition,
        ResponseContentType="application/octet-stream",
        ResponseCacheControl="no-store",
    )
    headers = client.get(named, headers={"Range": "bytes=0-0"}).headers
    assert headers["content-disposition"] == disposition
    assert headers["content-type"] == "application/octet-stream"
    assert headers["cache-control"] == "no-store"


def test_a_link_that_was_changed_or_has_expired_is_refused(
    client: PassThroughClient, embedded_s3: EmbeddedS3, link: str
) -> None:
    signature = link.rsplit("=", 1)[1]
    for wrong in (
        link.replace(signature, "0" * 64),
        link.replace("users/7", "users/8"),
        link + "&response-content-type=text/html",
        link.partition("?")[0] + "?X-Amz-Signature=" + signature,
        link_to(embedded_s3, KEY, seconds=-5),
        link_to(embedded_s3, KEY, "put_object"),
        link_to(embedded_s3, KEY, "head_object"),
    ):
        answer = client.get(wrong)
        assert answer.status_code == 403
        assert error_of(answer) == "FORBIDDEN"
        assert answer.headers["cache-control"] == "no-store"


def test_other_methods_than_get_and_head_are_refused(
    client: PassThroughClient, embedded_s3: EmbeddedS3
) -> None:
    answer = client.request("PUT", link_to(embedded_s3, "new.mp4", "put_object"))
    assert answer.status_code == 405
    assert error_of(answer) == "METHOD_NOT_ALLOWED"
    assert not (embedded_s3.folder / "new.mp4").exists()


def test_an_unknown_key_is_404(client: PassThroughClient, embedded_s3: EmbeddedS3) -> None:
    for key in ("users/7/none.mp4", "users/7", f"{KEY}/beneath.mp4"):
        answer = client.get(link_to(embedded_s3, key))
        assert answer.status_code == 404
        assert error_of(answer) == "NOT_FOUND"


def test_the_bucket_cannot_be_listed(client: PassThroughClient, embedded_s3: EmbeddedS3) -> None:
    listing = embedded_s3.client(PUBLIC).generate_presigned_url(
        "list_objects_v2", Params={"Bucket": embedded_s3.bucket}
    )
    path = listing.removeprefix(PUBLIC)
    assert client.get(path.replace("?", "/?", 1)).status_code == 403
    assert client.get(path).text == "a page"


def test_a_symbolic_link_does_not_lead_out_of_the_bucket(
    client: PassThroughClient, embedded_s3: EmbeddedS3, tmp_path: Path
) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    folder = embedded_s3.folder / "linked"
    folder.symlink_to(tmp_path)
    (embedded_s3.folder / "linked.mp4").symlink_to(tmp_path / "secret.mp4")
    for key in ("linked/secret.mp4", "linked.mp4"):
        assert client.get(link_to(embedded_s3, key)).status_code == 404


def test_all_other_requests_go_to_the_app(client: PassThroughClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/gallery").text == "a page"
    assert client.get("/videovaults/x").text == "a page"
    monkeypatch.setenv("AWS_S3_BUCKET_NAME", "elsewhere")
    settings.cache_clear()
    assert client.get("/videovault/x?X-Amz-Signature=1").text == "a page"


@pytest.mark.process
def test_a_stopped_s3_is_502_until_it_is_restarted(tmp_path: Path, public_url: pytest.MonkeyPatch) -> None:
    public_url.setenv("DATA_DIR", str(tmp_path))
    client = PassThroughClient()
    with running_s3(tmp_path) as server:
        server.client().put_object(**server.at("clip.mp4"), Body=b"video")
        link = link_to(server, "clip.mp4")
        assert client.get(link).content == b"video"
    answer = client.get(link)
    assert answer.status_code == 502
    assert error_of(answer) == "STORAGE_FAILED"
    with running_s3(tmp_path):
        assert client.get(link).content == b"video"


@pytest.fixture
def served(embedded_s3: EmbeddedS3, tmp_path: Path, public_url: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a real server with only the pass-through in it."""
    public_url.setenv("DATA_DIR", str(embedded_s3.data_dir))
    source = "from videovault.embedded.passthrough import PassThrough\napp = PassThrough(None)\n"
    (tmp_path / "served.py").write_text(source)
    port = free_port()
    program = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port)]
    root = Path(__file__).parents[2]
    server = subprocess.Popen([*program, "--working-dir", str(tmp_path), "served:app"], cwd=root)
    _wait_for(port, server)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + HANG_SECONDS
    while server.poll() is None and time.monotonic() < until:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("granian did not start")


@pytest.mark.process
def test_a_real_server_sends_the_whole_video_and_parts_of_it(served: str, link: str) -> None:
    whole = httpx.get(served + link)
    assert (whole.status_code, whole.content) == (200, BODY)
    part = httpx.get(served + link, headers={"Range": "bytes=500000-"})
    assert (part.status_code, part.content) == (206, BODY[500_000:])
    with httpx.stream("GET", served + link, headers={"Range": "bytes=1-"}) as cut_short:
        next(cut_short.iter_raw(1000))
    assert httpx.head(served + link).status_code == 403


class _Listener(BaseHTTPRequestHandler):
    """Listens on the port of the S3 and records the headers of requests."""

    received: list[dict[str, str]]

    def do_GET(self) -> None:
        self.received.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def received(tmp_path: Path, public_url: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """The headers of every request to the port of the S3."""
    _Listener.received = []
    with HTTPServer(("127.0.0.1", 0), _Listener) as server:
        made = replace(installation.load_or_create(tmp_path), s3_port=server.server_port)
        public_url.setattr(installation, "load_or_create", lambda _folder: made)
        public_url.setenv("DATA_DIR", str(tmp_path))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield _Listener.received
        server.shutdown()
        thread.join()


def test_cookies_and_tokens_are_not_passed_on(received: list[dict[str, str]]) -> None:
    client = PassThroughClient()
    private = {"Cookie": "videovault_session=1", "Authorization": "Bearer 1", "X-Amz-Meta-Owner": "me"}
    client.get("/videovault/clip.mp4?X-Amz-Signature=1", headers=private)
    (headers,) = received
    assert headers["host"] == "videos.example.org:8443"
    assert not headers.keys() & {"cookie", "authorization", "x-amz-meta-owner", "x-forwarded-for"}


def test_a_request_without_a_signature_never_reaches_the_s3(received: list[dict[str, str]]) -> None:
    client = PassThroughClient()
    answer = client.get("/videovault/clip.mp4?X-Amz-Expires=900")
    assert answer.status_code == 403
    assert error_of(answer) == "FORBIDDEN"
    assert received == []


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        ("http://localhost:3000", "localhost:3000"),
        ("http://Videos.Example.org", "videos.example.org"),
        ("http://videos.example.org:80", "videos.example.org"),
        ("https://videos.example.org:443", "videos.example.org"),
        ("https://videos.example.org:80", "videos.example.org:80"),
        ("http://[::1]:3000", "[::1]:3000"),
    ],
)
def test_the_host_is_the_one_that_boto3_signs(
    embedded_s3: EmbeddedS3,
    client: PassThroughClient,
    monkeypatch: pytest.MonkeyPatch,
    base_url: str,
    host: str,
) -> None:
    assert signed_host(base_url) == host
    monkeypatch.setenv("PUBLIC_URL", base_url)
    settings.cache_clear()
    embedded_s3.client().put_object(**embedded_s3.at("host.mp4"), Body=b"video")
    signed = embedded_s3.client(base_url).generate_presigned_url(
        "get_object", Params=embedded_s3.at("host.mp4")
    )
    assert client.get(signed[signed.index("/videovault/") :]).content == b"video"


@pytest.mark.parametrize(
    ("range_", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=300000-", 300_000, len(BODY) - 1),
        ("bytes=-5", len(BODY) - 5, len(BODY) - 1),
        ("bytes=1048570-99999999", 1_048_570, len(BODY) - 1),
        ("bytes=-99999999", 0, len(BODY) - 1),
    ],
)
def test_a_range_is_answered_with_206(
    client: PassThroughClient, link: str, range_: str, first: int, last: int
) -> None:
    answer = client.get(link, headers={"Range": range_})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(BODY)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.content == BODY[first : last + 1]
    assert answer.headers["content-type"] == "video/mp4"


def test_a_range_beyond_the_end_is_416_with_the_size(client: PassThroughClient, link: str) -> None:
    answer = client.get(link, headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(BODY)}"


@pytest.mark.parametrize("range_", ["bytes=abc", "frames=1-2", "bytes=", "1-2"])
def test_an_invalid_range_is_ignored(client: PassThroughClient, link: str, range_: str) -> None:
    answer = client.get(link, headers={"Range": range_})
    assert answer.status_code == 200
    assert answer.content == BODY


def test_if_range_continues_only_the_same_video(client: PassThroughClient, link: str) -> None:
    etag = client.get(link).headers["etag"]
    same = client.get(link, headers={"Range": "bytes=10-19", "If-Range": etag})
    assert (same.status_code, same.content) == (206, BODY[10:20])
    other = client.get(link, headers={"Range": "bytes=10-19", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, BODY)


def test_a_cached_video_is_not_sent_again(client: PassThroughClient, link: str) -> None:
    first = client.get(link).headers
    for condition in (
        {"If-None-Match": first["etag"]},
        {"If-None-Match": f'"x", W/{first["etag"]}'},
        {"If-Modified-Since": first["last-modified"]},
    ):
        answer = client.get(link, headers=condition)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == first["etag"]


@pytest.mark.parametrize(
    "condition",
    [
        {"If-None-Match": '"another"'},
        {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"If-Modified-Since": "some day"},
        {"If-Unmodified-Since": "some day"},
        {"If-Match": "*"},
    ],
)
def test_conditions_that_are_met_or_invalid_change_nothing(
    client: PassThroughClient, link: str, condition: dict[str, str]
) -> None:
    assert client.get(link, headers=condition).content == BODY


@pytest.mark.parametrize(
    "condition", [{"If-Match": '"another"'}, {"If-Unmodified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}]
)
def test_a_failed_precondition_is_412(
    client: PassThroughClient, link: str, condition: dict[str, str]
) -> None:
    answer = client.get(link, headers=condition)
    assert answer.status_code == 412
    assert error_of(answer) == "PRECONDITION_FAILED"
