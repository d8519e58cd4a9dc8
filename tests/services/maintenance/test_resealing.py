"""After SECRET_KEY was changed, what the old one sealed opens, and is sealed anew."""

import pytest
from sqlalchemy import update

from tests.services.conftest import Row
from tests.services.rows import put
from tests.support.installation import Configure
from tests.support.keys import ONE_KEY, OTHER_KEY
from videovault import security
from videovault.db import transaction
from videovault.models import IdempotencyKey, Status, Video, now
from videovault.services.core import access
from videovault.services.core.access import Caller
from videovault.services.maintenance import keys
from videovault.services.maintenance.keys import Resealed
from videovault.services.videos import gallery

Sealed = tuple[str, str]


@pytest.fixture
def sealed(configure: Configure, anna: Caller, row: Row) -> Sealed:
    """A video's id and key, sealed by what is the old SECRET_KEY now."""
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD="")
    video_id = put(anna, Status.READY)
    key = opened(row(video_id))
    configure(SECRET_KEY=OTHER_KEY, SECRET_KEY_OLD=f"older, {ONE_KEY}")
    assert key
    return video_id, key


def opened(video: Video) -> str | None:
    return security.open_sealed(video.sealed_key, owner_id=video.owner_id, video_id=video.id)


def test_reading_leaves_the_row_as_it_is(sealed: Sealed, anna: Caller, row: Row) -> None:
    before = row(sealed[0]).sealed_key
    assert gallery.stored(anna, sealed[0]).secret_key == sealed[1]
    assert row(sealed[0]).sealed_key == before


def test_changing_the_video_seals_its_key_anew(
    sealed: Sealed, anna: Caller, row: Row, configure: Configure
) -> None:
    gallery.rename(anna, sealed[0], "Another")
    configure(SECRET_KEY_OLD="")
    assert opened(row(sealed[0])) == sealed[1]
    assert row(sealed[0]).title == "Another"


def test_all_at_once_and_then_there_is_nothing_left_to_do(
    sealed: Sealed, anna: Caller, row: Row, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BATCH", 2)
    more = [put(anna, Status.READY) for _ in range(4)]
    assert keys.reseal_videos() == Resealed(anew=1, current=4)
    configure(SECRET_KEY_OLD="")
    assert keys.reseal_videos() == Resealed(current=5)
    assert opened(row(sealed[0])) == sealed[1]
    assert all(opened(row(video_id)) for video_id in more)


def test_what_no_key_opens_is_told_and_left_alone(sealed: Sealed, row: Row, configure: Configure) -> None:
    configure(SECRET_KEY_OLD="another")
    before = row(sealed[0]).sealed_key
    assert keys.reseal_videos() == Resealed(unopened=1)
    assert row(sealed[0]).sealed_key == before


def test_a_key_that_was_replaced_meanwhile_is_not_brought_back(sealed: Sealed, row: Row) -> None:
    with transaction() as session:
        video = session.get_one(Video, sealed[0])
        fresh = security.seal("fresh", owner_id=video.owner_id, video_id=video.id)
        # Behind the back of the row that was read.
        change = update(Video).values(sealed_key=fresh).execution_options(synchronize_session=False)
        session.execute(change)
        assert not access.seal_again(session, video)
    assert opened(row(sealed[0])) == "fresh"


def test_kept_answers_are_sealed_anew_too(sealed: Sealed, anna: Caller, configure: Configure) -> None:
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD="")
    box = security.seal("the answer", owner_id=anna.user_id, video_id=sealed[0])
    with transaction() as session:
        session.add(
            IdempotencyKey(
                user_id=anna.user_id,
                endpoint="download",
                key="one",
                request_hash="x",
                lease_until=now(),
                video_id=sealed[0],
                sealed_answer=box,
            )
        )
    configure(SECRET_KEY=OTHER_KEY, SECRET_KEY_OLD=ONE_KEY)
    assert keys.reseal_answers() == Resealed(anew=1)
    assert keys.reseal_answers() == Resealed(current=1)
