"""Settings of the test's own for everything that is embedded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
