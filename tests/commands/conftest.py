"""Installations that the commands find."""

from pathlib import Path

import pytest

from videovault.db import transaction
from videovault.models import Status
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle
from videovault.services.maintenance import keys


@pytest.fixture
def in_use(installation: Path) -> Path:
    """An installation with an owner and a stored video; returns its DATA_DIR."""
    owner = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    with transaction() as session:
        session.add(lifecycle.new_video(owner.user_id, Status.READY, "Launch"))
    keys.verify_keys()
    return installation / "var"
