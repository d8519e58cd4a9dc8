"""Settings for tests of the embedded parts, and a client of the pass-through."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.passthrough_client import BODY, KEY, PUBLIC, PassThroughClient, link_to
from tests.support.embedded_s3 import EmbeddedS3
from videovault.config import Settings, settings


@pytest.fixture
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Only DATA_DIR is set, to an empty folder; more settings can be set on the result."""
    monkeypatch.chdir(tmp_path)  # away from the developer's .env
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.fixture
def public_url(own_settings: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Links are signed for another address than the one that requests come to."""
    own_settings.setenv("PUBLIC_URL", PUBLIC)
    return own_settings


@pytest.fixture
def client(embedded_s3: EmbeddedS3, public_url: pytest.MonkeyPatch) -> PassThroughClient:
    public_url.setenv("DATA_DIR", str(embedded_s3.data_dir))
    return PassThroughClient()


@pytest.fixture
def link(embedded_s3: EmbeddedS3) -> str:
    embedded_s3.client().put_object(**embedded_s3.at(KEY), Body=BODY, ContentType="video/mp4")
    return link_to(embedded_s3, KEY)
