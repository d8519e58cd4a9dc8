"""`python -m videovault reseal`: what a person reads, and the exit status."""

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
    """One whose key the old SECRET_KEY sealed."""
    configure(SECRET_KEY=ONE_KEY)
    token = accounts.register("anna@example.com", "correct horse").token
    owner = accounts.authenticate(token)
    with transaction() as session:
        session.add(lifecycle.new_video(owner.user_id, Status.READY, "Launch"))


@pytest.mark.usefixtures("old_video")
def test_old_keys_are_sealed_anew(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure(SECRET_KEY=OTHER_KEY, SECRET_KEY_OLD=ONE_KEY)
    assert main(["reseal"]) == 0
    said = capsys.readouterr().out
    assert "Secret keys of videos: 1 sealed anew, 0 were already, 0 cannot be opened." in said
    assert "SECRET_KEY_OLD is needed no more" in said


@pytest.mark.usefixtures("old_video")
def test_what_no_key_opens_is_told(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure(SECRET_KEY=OTHER_KEY)
    assert main(["reseal"]) == 1
    said = capsys.readouterr().out
    assert "1 cannot be opened" in said
    assert "set the earlier SECRET_KEY in SECRET_KEY_OLD" in said
