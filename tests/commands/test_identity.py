"""`python -m videovault reseal`: output and exit status."""

import pytest

from tests.support.installation import Configure
from tests.support.keys import ONE_KEY, OTHER_KEY
from videovault.__main__ import main
from videovault.db import transaction
from videovault.models import Status
from videovault.services.accounts import accounts
from videovault.services.core import lifecycle


@pytest.fixture
def old_video(configure: Configure) -> None:
    """A video whose key is sealed with the old SECRET_KEY."""
    configure(SECRET_KEY=ONE_KEY)
    token = accounts.register("anna@example.com", "correct horse").token
    owner = accounts.authenticate(token)
    with transaction() as session:
        session.add(lifecycle.new_video(owner.user_id, Status.READY, "Launch"))


@pytest.mark.usefixtures("old_video")
def test_old_keys_are_resealed(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure(SECRET_KEY=OTHER_KEY, SECRET_KEY_OLD=ONE_KEY)
    assert main(["reseal"]) == 0
    output = capsys.readouterr().out
    assert "Secret keys of videos: 1 resealed, 0 already current, 0 cannot be opened." in output
    assert "SECRET_KEY_OLD is no longer needed" in output


@pytest.mark.usefixtures("old_video")
def test_unopened_keys_are_reported(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure(SECRET_KEY=OTHER_KEY)
    assert main(["reseal"]) == 1
    output = capsys.readouterr().out
    assert "1 cannot be opened" in output
    assert "add the previous SECRET_KEY to SECRET_KEY_OLD" in output
