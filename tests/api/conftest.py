"""What several tests of the API begin with."""

import pytest

from tests.api.requests import store
from tests.fixtures.generator import Generator
from tests.fixtures.people import Person


@pytest.fixture
def stored(ada: Person, generator: Generator, jobs: None) -> str:
    """The id of a stored video of Ada's."""
    del jobs
    return str(store(ada, generator.video_url).json()["data"]["videoId"])
