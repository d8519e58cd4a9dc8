"""Videos and callers that several tests of the API start with."""

import httpx
import pytest

from tests.api.requests import AT_ONCE, generate, store
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault.gateways import media
from videovault.gateways.media import ProbeResult
from videovault.services.generation import orders
from videovault.services.transfer import pipeline

_probe_results: dict[bytes, ProbeResult] = {}


@pytest.fixture
def probed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each content is probed once in a test process: most tests store the same film."""
    probe_video = media.probe_video

    def probe_once(url: str, container: str) -> ProbeResult | None:
        content = httpx.get(url).content
        if content not in _probe_results:
            if (found := probe_video(url, container)) is None:
                return None
            _probe_results[content] = found
        return _probe_results[content]

    monkeypatch.setattr(media, "probe_video", probe_once)


@pytest.fixture
def stored(ada: Person, generator: Generator, probed_once: None) -> str:
    """The id of a stored video of Ada's."""
    del probed_once
    video_id = str(store(ada, generator.video_url, headers=AT_ONCE).json()["data"]["videoId"])
    pipeline.produce(video_id, stopping=lambda: False)
    return video_id


@pytest.fixture
def generating(ada: Person, generator: Generator, configure: Configure) -> str:
    """The id of a video of Ada's that its generator is rendering."""
    generator.mode = "processing"
    configure(GENERATE_WAIT_SECONDS=0)
    video_id = str(generate(ada).json()["data"]["videoId"])
    orders.send_order(video_id)
    return video_id


@pytest.fixture
def callback(generating: str, generator: Generator, make_client: MakeClient) -> httpx.Client:
    """The generator, with the token that it was given for this video."""
    assert generator.requests[0]["videoId"] == generating
    return make_client(headers={"Authorization": f"Bearer {generator.requests[0]['callbackToken']}"})
