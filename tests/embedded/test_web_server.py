"""The web server: how long it may take to stop."""

import pytest

from tests.support.installation import Configure
from videovault.config import settings
from videovault.embedded.web_server import STOP_SECONDS, stop_seconds


@pytest.mark.parametrize(("workers", "seconds"), [(4, STOP_SECONDS + 3600), (0, STOP_SECONDS)])
def test_only_an_embedded_worker_has_time_for_calls_of_generators(
    workers: int, seconds: int, configure: Configure
) -> None:
    configure(WORKERS=workers, WEBHOOK_TIMEOUT_SECONDS=3600)
    assert stop_seconds(settings()) == seconds
