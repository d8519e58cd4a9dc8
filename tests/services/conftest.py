"""Callers and videos for tests that call services directly."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.media import HEIGHT, SECONDS, WIDTH
from tests.support.misbehaving_server import MisbehavingServer, ServerBehaviour
from tests.support.s3_proxy import S3Proxy, s3_proxy
from videovault.db import reading
from videovault.gateways import media
from videovault.gateways.storage import Storage
from videovault.models import Status, Video
from videovault.services.accounts import accounts
from videovault.services.core.access import Caller
from videovault.services.generation import orders
from videovault.services.videos import gallery

SCRIPT = {"hook": "Look", "body": "It is a thing.", "conclusion": "Buy it.", "avatar": "Anna"}

Row = Callable[[str], Video]
Queued = Callable[[ServerBehaviour], str]


@pytest.fixture
def anna(installation: object) -> Caller:
    del installation
    signed_in = accounts.register("anna@example.com", "correct horse")
    return accounts.authenticate(signed_in.token)


@pytest.fixture
def bert(anna: Caller) -> Caller:
    del anna
    signed_in = accounts.register("bert@example.com", "correct horse")
    return accounts.authenticate(signed_in.token)


@pytest.fixture
def row() -> Row:
    """Reads the current row of a video."""

    def read(video_id: str) -> Video:
        with reading() as session:
            found = session.get(Video, video_id)
            assert found, "the row is gone"
            return found

    return read


@pytest.fixture
def fixed_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stored videos get the media info of `mp4` without a child process; tests/gateways/test_media.py tests that one."""
    found = media.ProbeResult(
        duration=SECONDS,
        width=WIDTH,
        height=HEIGHT,
        video_codec="h264",
        video_profile="High",
        video_level=10,
        pixel_format="yuv420p",
        bit_depth=8,
        rotation=0,
        frame_rate=10,
        poster=b"a poster",
        is_complete=True,
    )
    monkeypatch.setattr(media, "probe_video", lambda *_: found)


@pytest.fixture
def generating(anna: Caller, row: Row) -> Callable[[], Video]:
    """A requested video that waits for its worker."""

    def request() -> Video:
        enqueued: list[str] = []
        view = orders.request(anna, SCRIPT, enqueue=enqueued.append)
        assert enqueued == [view.video_id]
        video = row(view.video_id)
        assert video.status == Status.GENERATING
        return video

    return request


@pytest.fixture
def waiting(generator: Generator, generating: Callable[[], Video]) -> Video:
    """A video whose generator is rendering it."""
    generator.mode = "processing"
    video = generating()
    orders.send_order(video.id)
    return video


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def proxy(
    moto_s3: Storage, moto_server: str, server: MisbehavingServer, configure: Configure
) -> Iterator[S3Proxy]:
    del moto_s3
    with s3_proxy(moto_server) as between:
        configure(
            AWS_ENDPOINT_URL_S3=between.url,
            SOURCE_ALLOW_HOSTS=f"127.0.0.1:{server.port}",
            SOURCE_IDLE_SECONDS=3600,  # no time-out for a source that a test keeps silent
        )
        yield between


@pytest.fixture
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No probe, whose process takes a tenth of a second of CPU time: it finds nothing in made-up bytes."""
    monkeypatch.setattr(media, "probe_video", lambda _url, _container: None)


@pytest.fixture
def queued(request: pytest.FixtureRequest, anna: Caller, server: MisbehavingServer, proxy: S3Proxy) -> Queued:
    """A queued video at ``/video.mp4``."""
    del proxy

    def queue(behaviour: ServerBehaviour) -> str:
        if behaviour.body is None:
            request.getfixturevalue("unprobed")
        url = server.serve("/video.mp4", behaviour)
        return gallery.store_link(anna, url, anna.email, enqueue=lambda _video_id: None).video_id

    return queue
