"""From loopback, only files that the embedded studio rendered for this video are fetched."""

import hashlib
from collections.abc import Callable

import pytest

from tests.support.installation import Configure
from videovault.config import settings
from videovault.errors import UnsafeUrl
from videovault.gateways import source, studio, webhooks
from videovault.gateways.studio import file_code

pytestmark = pytest.mark.usefixtures("installation")
ID, OTHER = "video_1703123456789_abc123def", "video_1703123456789_xyz987uvw"


def file_of(video_id: str) -> str:
    return f"{settings().studio_url}/files/{file_code(settings().installation.studio_key, video_id)}/hook.mp4"


def earlier_file_of(video_id: str, attempt: int) -> str:
    digest = hashlib.sha256(f"{video_id}:{attempt}".encode()).hexdigest()
    return f"{settings().studio_url}/files/hook-{digest[:8]}.mp4"


def test_a_file_is_fetched_for_its_own_video() -> None:
    assert source.for_video(ID, 1, file_of(ID)) is source.from_studio()
    source.for_video(ID, 1, file_of(ID)).check(file_of(ID))


def test_a_file_of_the_previous_version_is_fetched_for_its_own_video() -> None:
    assert studio.is_file_of(ID, 3, earlier_file_of(ID, 2))
    assert not studio.is_file_of(ID, 1, earlier_file_of(ID, 2))
    assert not studio.is_file_of(OTHER, 3, earlier_file_of(ID, 2))


@pytest.mark.parametrize(
    "url",
    [
        lambda: file_of(OTHER),
        lambda: file_of(ID) + "?x=1",
        lambda: file_of(ID) + "#x",
        lambda: file_of(ID).replace("/files/", "/files/../files/"),
        lambda: file_of(ID).replace("hook.mp4", "../../status/x.mp4"),
        lambda: file_of(ID).replace("127.0.0.1", "localhost"),
        lambda: file_of(ID).replace("http://", "http://x@"),
        lambda: f"{settings().studio_url}/healthz",
        lambda: f"{settings().studio_url}/status/{'0' * 24}",
        lambda: f"{settings().studio_url}/files/{'0' * 48}/hook.mp4",
        lambda: f"{settings().studio_url}0/files/hook.mp4",
        lambda: f"http://127.0.0.1:{settings().installation.s3_port}/videovault/videos/a.mp4",
        lambda: f"http://127.0.0.1:{settings().port}/healthz",
    ],
)
def test_no_other_loopback_url_is_fetched(url: Callable[[], str]) -> None:
    with pytest.raises(UnsafeUrl):
        source.for_video(ID, 1, url()).check(url())


def test_another_generator_ends_the_loopback_exception(configure: Configure) -> None:
    file = file_of(ID)
    configure(SCRIPT_WEBHOOK_URL="", VIDEO_WEBHOOK_URL="https://render.example/video")
    with pytest.raises(UnsafeUrl):
        source.for_video(ID, 1, file).check(file)


def test_the_key_is_sent_only_to_the_studio(configure: Configure) -> None:
    job = f"{settings().studio_url}/status/{'0' * 24}"
    key = settings().installation.studio_key
    bearer = {"Authorization": f"Bearer {key}"}
    assert webhooks.status_client_for(job)._headers == bearer
    for url in (f"{job}/x", job + "?a", f"{settings().studio_url}/video", "https://render.example/status/1"):
        assert "Authorization" not in webhooks.status_client_for(url)._headers
    both = {settings().script_webhook: bearer, settings().video_webhook: bearer}
    assert webhooks._extra_headers() == both
    configure(VIDEO_WEBHOOK_URL="https://render.example/video")
    assert webhooks._extra_headers() == {
        settings().script_webhook: bearer,
        "https://render.example/video": {},
    }


def test_other_studio_urls_are_not_status_urls() -> None:
    url = f"{settings().studio_url}/video"
    with pytest.raises(UnsafeUrl):
        webhooks.status_client_for(url).check(url)
