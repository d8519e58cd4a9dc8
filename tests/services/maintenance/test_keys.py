"""The configured keys are checked against the database at the start, and can be replaced and changed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, update
from sqlmodel import delete, select

from tests.services.conftest import Row
from tests.support.installation import Configure
from tests.support.keys import ONE_KEY, OTHER_KEY
from tests.support.videos import insert_video
from videovault import security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import engine, reading, transaction
from videovault.errors import ConfigurationError
from videovault.models import Event, IdempotencyKey, KeyCanary, Status, Video
from videovault.services.accounts import accounts
from videovault.services.core import access
from videovault.services.core.access import Caller
from videovault.services.maintenance import keys
from videovault.services.maintenance.keys import Rekeyed, Resealed
from videovault.services.videos import gallery

pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("database")]
Lose = Callable[[], None]


@pytest.fixture
def lose() -> Lose:
    """Lose the key file, as after a restore of only the database."""

    def remove() -> None:
        (settings().data_dir / "installation.json").unlink()
        settings.cache_clear()

    return remove


@pytest.fixture
def stored(database: str) -> Caller:
    """An owner of two videos sealed with the installation's key."""
    del database
    owner = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    for _ in range(2):
        insert_video(owner, Status.READY)
    return owner


@pytest.fixture
def known(stored: Caller) -> Caller:
    """The same after a start, which added the canary."""
    keys.verify_keys()
    return stored


def delete_canaries() -> None:
    with transaction() as session:
        session.exec(delete(KeyCanary))


def canaries() -> list[str]:
    with reading() as session:
        return [canary.id for canary in session.exec(select(KeyCanary))]


def opening() -> int:
    """The number of videos whose keys open."""
    with reading() as session:
        return sum(keys._opens_video(video) for video in session.exec(select(Video)))


@pytest.mark.usefixtures("known")
def test_same_key_is_accepted_with_one_canary() -> None:
    before = canaries()
    keys.verify_keys()
    assert canaries() == before
    assert len(before) == 1


@pytest.mark.usefixtures("known")
def test_missing_key_is_refused_and_none_is_created(lose: Lose) -> None:
    lose()
    with pytest.raises(ConfigurationError, match="There is no secret key") as caught:
        keys.verify_keys()
    assert all(word in caught.value.public_message for word in ("SECRET_KEY_OLD", "Restore", "--rekey"))
    assert not (settings().data_dir / "installation.json").exists()


@pytest.mark.usefixtures("known")
def test_other_key_is_refused(configure: Configure) -> None:
    configure(SECRET_KEY=ONE_KEY)
    with pytest.raises(ConfigurationError, match="not the one that this database was used with"):
        keys.verify_keys()
    assert len(canaries()) == 1


@pytest.mark.usefixtures("known")
def test_old_key_that_opens_nothing_is_refused_as_wrong(configure: Configure) -> None:
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=OTHER_KEY)
    with pytest.raises(ConfigurationError, match="the present value does not open it"):
        keys.verify_keys()


@pytest.mark.usefixtures("known")
def test_changed_key_needs_the_old_one_until_everything_is_resealed(configure: Configure) -> None:
    old = settings().installation.secret_key
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=old)
    keys.verify_keys()
    configure(SECRET_KEY_OLD="")
    with pytest.raises(ConfigurationError):
        keys.verify_keys()
    configure(SECRET_KEY_OLD=old)
    assert keys.reseal_videos().unopened == 0
    keys.delete_old_canaries()
    configure(SECRET_KEY_OLD="")
    keys.verify_keys()
    assert opening() == 2


@pytest.mark.usefixtures("known")
def test_going_back_to_the_old_key_needs_the_new_one(configure: Configure) -> None:
    """Rows may have been sealed with the new one in the meantime."""
    old = settings().installation.secret_key
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=old)
    keys.verify_keys()
    configure(SECRET_KEY=old, SECRET_KEY_OLD="")
    with pytest.raises(ConfigurationError):
        keys.verify_keys()


@pytest.mark.usefixtures("stored")
def test_database_of_the_previous_version_is_accepted_with_its_key() -> None:
    delete_canaries()
    keys.verify_keys()
    assert len(canaries()) == 1


@pytest.mark.usefixtures("stored")
def test_database_of_the_previous_version_is_refused_with_another_key(configure: Configure) -> None:
    delete_canaries()
    configure(SECRET_KEY=ONE_KEY)
    with pytest.raises(ConfigurationError, match="2 of 2 videos"):
        keys.verify_keys()
    assert canaries() == []


@pytest.mark.usefixtures("known")
def test_guessable_old_key_is_refused(configure: Configure) -> None:
    configure(SECRET_KEY_OLD="changeme")
    with pytest.raises(ConfigurationError, match="reseal"):
        keys.verify_keys()


def test_admin_created_before_the_key_does_not_block_the_first_start() -> None:
    """As `create-admin` of the previous version left it."""
    accounts.create_admin("anna@example.com", "correct horse")
    assert keys._is_key_missing()
    keys.verify_keys()
    assert len(canaries()) == 1


def test_second_machine_with_another_key_is_refused_before_the_first_account(configure: Configure) -> None:
    keys.verify_keys()
    configure(SECRET_KEY=ONE_KEY)
    with pytest.raises(ConfigurationError, match="not the one"):
        keys.verify_keys()


def test_a_worker_of_a_shared_database_adds_no_key(configure: Configure) -> None:
    with pytest.raises(ConfigurationError, match="no secret key yet, and SECRET_KEY is not set here"):
        keys.compare_keys(is_shared=True)
    assert not (settings().data_dir / "installation.json").exists()
    configure(SECRET_KEY=ONE_KEY)
    keys.compare_keys(is_shared=True)
    assert canaries() == []


@pytest.mark.usefixtures("known")
def test_a_worker_with_another_key_is_refused(configure: Configure) -> None:
    configure(SECRET_KEY=ONE_KEY)
    for is_shared in (True, False):
        with pytest.raises(ConfigurationError, match="not the one that this database was used with"):
            keys.compare_keys(is_shared=is_shared)


def test_concurrent_starts_add_one_canary() -> None:
    assert settings().sealing_keys
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(keys.verify_keys) for _ in range(4)]:
            done.result()
    assert len(canaries()) == 1


@pytest.mark.usefixtures("known")
def test_rekey_replaces_keys_after_a_lost_key(lose: Lose) -> None:
    lose()
    assert keys.count_unopenable() == Rekeyed(replaced=2)
    assert keys.rekey() == Rekeyed(replaced=2)
    assert opening() == 2
    keys.verify_keys()
    with reading() as session:
        replaced = session.exec(select(Event.video_id).where(Event.kind == "key_replaced")).all()
    assert len(replaced) == 2
    assert keys.rekey() == Rekeyed(kept=2)


def test_rekey_keeps_keys_that_open(known: Caller) -> None:
    video_id = insert_video(known, Status.READY)
    with transaction() as session:
        session.get_one(Video, video_id).sealed_key = security.seal(
            "x", owner_id="another", video_id=video_id
        )
    assert keys.rekey() == Rekeyed(replaced=1, kept=2)
    assert opening() == 3


@pytest.mark.usefixtures("known")
def test_start_reads_only_one_small_table() -> None:
    statements: list[str] = []
    event.listen(engine(), "before_cursor_execute", lambda *found: statements.append(str(found[2])))
    keys.verify_keys()
    read = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(read) == 1
    assert not any("videos" in statement for statement in read)


# After a change of SECRET_KEY, rows of the old key still open and are resealed.

Sealed = tuple[str, str]


@pytest.fixture
def sealed(configure: Configure, anna: Caller, row: Row) -> Sealed:
    """A video's id and key, sealed with the now old SECRET_KEY."""
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD="")
    video_id = insert_video(anna, Status.READY)
    key = opened(row(video_id))
    configure(SECRET_KEY=OTHER_KEY, SECRET_KEY_OLD=f"older, {ONE_KEY}")
    assert key
    return video_id, key


def opened(video: Video) -> str | None:
    return security.unseal(video.sealed_key, owner_id=video.owner_id, video_id=video.id)


def test_reading_does_not_reseal(sealed: Sealed, anna: Caller, row: Row) -> None:
    before = row(sealed[0]).sealed_key
    assert gallery.get_stored(anna, sealed[0]).secret_key == sealed[1]
    assert row(sealed[0]).sealed_key == before


def test_changing_the_video_reseals_its_key(
    sealed: Sealed, anna: Caller, row: Row, configure: Configure
) -> None:
    gallery.rename(anna, sealed[0], "Another")
    configure(SECRET_KEY_OLD="")
    assert opened(row(sealed[0])) == sealed[1]
    assert row(sealed[0]).title == "Another"


def test_reseal_is_idempotent(
    sealed: Sealed, anna: Caller, row: Row, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BATCH", 2)
    more = [insert_video(anna, Status.READY) for _ in range(4)]
    assert keys.reseal_videos() == Resealed(resealed=1, current=4)
    configure(SECRET_KEY_OLD="")
    assert keys.reseal_videos() == Resealed(current=5)
    assert opened(row(sealed[0])) == sealed[1]
    assert all(opened(row(video_id)) for video_id in more)


def test_unopened_keys_are_counted_and_kept(sealed: Sealed, row: Row, configure: Configure) -> None:
    configure(SECRET_KEY_OLD="another")
    before = row(sealed[0]).sealed_key
    assert keys.reseal_videos() == Resealed(unopened=1)
    assert row(sealed[0]).sealed_key == before


def test_concurrently_replaced_key_is_not_restored(sealed: Sealed, row: Row) -> None:
    with transaction() as session:
        video = session.get_one(Video, sealed[0])
        fresh = security.seal("fresh", owner_id=video.owner_id, video_id=video.id)
        # Behind the back of the row that was read.
        change = update(Video).values(sealed_key=fresh).execution_options(synchronize_session=False)
        session.execute(change)
        assert not access.reseal_key(session, video)
    assert opened(row(sealed[0])) == "fresh"


def test_stored_responses_are_resealed(sealed: Sealed, anna: Caller, configure: Configure) -> None:
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD="")
    box = security.seal("the answer", owner_id=anna.user_id, video_id=sealed[0])
    with transaction() as session:
        session.add(
            IdempotencyKey(
                user_id=anna.user_id,
                endpoint="download",
                key="one",
                request_hash="x",
                lease_until=utcnow(),
                video_id=sealed[0],
                sealed_answer=box,
            )
        )
    configure(SECRET_KEY=OTHER_KEY, SECRET_KEY_OLD=ONE_KEY)
    assert keys.reseal_idempotency_keys() == Resealed(resealed=1)
    assert keys.reseal_idempotency_keys() == Resealed(current=1)
