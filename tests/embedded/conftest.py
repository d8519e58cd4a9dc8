"""Settings of the test's own for everything that is embedded, and a browser that fetches from the S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.passthrough_client import BODY, KEY, PUBLIC, PassThroughClient, link_to
from tests.support.embedded_s3 import EmbeddedS3
from videovault.config import Settings, settings


@pytest.fixture
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Nothing is set but DATA_DIR, which is empty; with what this gives, other settings can be set first."""
    monkeypatch.chdir(tmp_path)  # away from the developer's .env
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.fixture
def public_url(own_settings: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The address that links are signed for is not the one a browser comes by."""
    own_settings.setenv("PUBLIC_URL", PUBLIC)
    return own_settings


@pytest.fixture
def browser(embedded_s3: EmbeddedS3, public_url: pytest.MonkeyPatch) -> PassThroughClient:
    public_url.setenv("DATA_DIR", str(embedded_s3.data_dir))
    return PassThroughClient()


@pytest.fixture
def link(embedded_s3: EmbeddedS3) -> str:
    embedded_s3.client().put_object(**embedded_s3.at(KEY), Body=BODY, ContentType="video/mp4")
    return link_to(embedded_s3, KEY)
