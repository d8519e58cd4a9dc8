"""Downloads through the app's own port, with the real embedded S3 behind it."""

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
from tests.support.embedded_s3 import EmbeddedS3, running_s3
from tests.support.waiting import HANG_SECONDS
from videovault import installation
from videovault.config import settings
from videovault.embedded.passthrough import signed_host


def test_a_signed_link_answers_with_the_whole_video(browser: PassThroughClient, link: str) -> None:
    answer = browser.get(link)
    assert answer.status_code == 200
    assert answer.content == BODY
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(BODY))


def test_a_video_can_do_no_more_than_be_looked_at(browser: PassThroughClient, link: str) -> None:
    headers = browser.get(link).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "allow-scripts" not in headers["content-security-policy"]
    assert headers["cache-control"] == "private"
    assert "access-control-allow-origin" not in headers
    assert not [name for name in headers if name.startswith("x-amz-")]


def test_head_tells_the_same_without_the_video(
    browser: PassThroughClient, embedded_s3: EmbeddedS3, link: str
) -> None:
    answer = browser.request("HEAD", link_to(embedded_s3, KEY, "head_object"), headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["etag"] == browser.get(link).headers["etag"]


@pytest.mark.usefixtures("link")
def test_the_file_name_and_type_in_the_link_are_used(
    browser: PassThroughClient, embedded_s3: EmbeddedS3
) -> None:
    disposition = "attachment; filename=\"clip.mp4\"; filename*=UTF-8''clip%C3%A9.mp4"
    named = link_to(
        embedded_s3,
        KEY,
        ResponseContentDisposition=disposition,
        ResponseContentType="application/octet-stream",
        ResponseCacheControl="no-store",
    )
    headers = browser.get(named, headers={"Range": "bytes=0-0"}).headers
    assert headers["content-disposition"] == disposition
    assert headers["content-type"] == "application/octet-stream"
    assert headers["cache-control"] == "no-store"


def test_a_link_that_was_changed_or_has_expired_is_refused(
    browser: PassThroughClient, embedded_s3: EmbeddedS3, link: str
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
        answer = browser.get(wrong)
        assert answer.status_code == 403
        assert error_of(answer) == "FORBIDDEN"
        assert answer.headers["cache-control"] == "no-store"


def test_only_looking_is_allowed(browser: PassThroughClient, embedded_s3: EmbeddedS3) -> None:
    answer = browser.request("PUT", link_to(embedded_s3, "new.mp4", "put_object"))
    assert answer.status_code == 405
    assert error_of(answer) == "METHOD_NOT_ALLOWED"
    assert not (embedded_s3.folder / "new.mp4").exists()


def test_what_is_not_there_is_404(browser: PassThroughClient, embedded_s3: EmbeddedS3) -> None:
    for key in ("users/7/none.mp4", "users/7", f"{KEY}/beneath.mp4"):
        answer = browser.get(link_to(embedded_s3, key))
        assert answer.status_code == 404
        assert error_of(answer) == "NOT_FOUND"


def test_listing_the_bucket_is_not_passed_on(browser: PassThroughClient, embedded_s3: EmbeddedS3) -> None:
    listing = embedded_s3.client(PUBLIC).generate_presigned_url(
        "list_objects_v2", Params={"Bucket": embedded_s3.bucket}
    )
    path = listing.removeprefix(PUBLIC)
    assert browser.get(path.replace("?", "/?", 1)).status_code == 403
    assert browser.get(path).text == "a page"


def test_a_symbolic_link_does_not_lead_out_of_the_bucket(
    browser: PassThroughClient, embedded_s3: EmbeddedS3, tmp_path: Path
) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    folder = embedded_s3.folder / "linked"
    folder.symlink_to(tmp_path)
    (embedded_s3.folder / "linked.mp4").symlink_to(tmp_path / "secret.mp4")
    for key in ("linked/secret.mp4", "linked.mp4"):
        assert browser.get(link_to(embedded_s3, key)).status_code == 404


def test_everything_else_goes_to_the_app(browser: PassThroughClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert browser.get("/gallery").text == "a page"
    assert browser.get("/videovaults/x").text == "a page"
    monkeypatch.setenv("AWS_S3_BUCKET_NAME", "elsewhere")
    settings.cache_clear()
    assert browser.get("/videovault/x?X-Amz-Signature=1").text == "a page"


@pytest.mark.process
def test_a_stopped_s3_is_502_and_a_restarted_one_is_used_again(
    tmp_path: Path, public_url: pytest.MonkeyPatch
) -> None:
    public_url.setenv("DATA_DIR", str(tmp_path))
    browser = PassThroughClient()
    with running_s3(tmp_path) as server:
        server.client().put_object(**server.at("clip.mp4"), Body=b"video")
        link = link_to(server, "clip.mp4")
        assert browser.get(link).content == b"video"
    answer = browser.get(link)
    assert answer.status_code == 502
    assert error_of(answer) == "STORAGE_FAILED"
    with running_s3(tmp_path):
        assert browser.get(link).content == b"video"


@pytest.fixture
def served(embedded_s3: EmbeddedS3, tmp_path: Path, public_url: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a real server with nothing but the pass-through in it."""
    public_url.setenv("DATA_DIR", str(embedded_s3.data_dir))
    source = "from videovault.embedded.passthrough import PassThrough\napp = PassThrough(None)\n"
    (tmp_path / "served.py").write_text(source)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
    """Stands where the S3 stands, and writes down what reaches it."""

    heard: list[dict[str, str]]

    def do_GET(self) -> None:
        self.heard.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture
def heard(tmp_path: Path, public_url: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """The headers of every request that reaches the place of the S3."""
    _Listener.heard = []
    with HTTPServer(("127.0.0.1", 0), _Listener) as server:
        made = replace(installation.load_or_create(tmp_path), s3_port=server.server_port)
        public_url.setattr(installation, "load_or_create", lambda _folder: made)
        public_url.setenv("DATA_DIR", str(tmp_path))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield _Listener.heard
        server.shutdown()
        thread.join()


def test_cookies_and_tokens_of_the_app_stay_in_the_app(heard: list[dict[str, str]]) -> None:
    browser = PassThroughClient()
    private = {"Cookie": "videovault_session=1", "Authorization": "Bearer 1", "X-Amz-Meta-Owner": "me"}
    browser.get("/videovault/clip.mp4?X-Amz-Signature=1", headers=private)
    (headers,) = heard
    assert headers["host"] == "videos.example.org:8443"
    assert not headers.keys() & {"cookie", "authorization", "x-amz-meta-owner", "x-forwarded-for"}


def test_a_request_without_a_signature_never_reaches_the_s3(heard: list[dict[str, str]]) -> None:
    browser = PassThroughClient()
    answer = browser.get("/videovault/clip.mp4?X-Amz-Expires=900")
    assert answer.status_code == 403
    assert error_of(answer) == "FORBIDDEN"
    assert heard == []


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
    browser: PassThroughClient,
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
    assert browser.get(signed[signed.index("/videovault/") :]).content == b"video"
