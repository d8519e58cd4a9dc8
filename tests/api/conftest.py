"""Videos and callers that several tests of the API start with."""

import httpx
import pytest

from tests.api.requests import generate, store
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault.services.generation import orders


@pytest.fixture
def stored(ada: Person, generator: Generator, jobs: None) -> str:
    """The id of a stored video of Ada's."""
    del jobs
    return str(store(ada, generator.video_url).json()["data"]["videoId"])


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
