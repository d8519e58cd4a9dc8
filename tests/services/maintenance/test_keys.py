"""Whether the keys that are set open what the database holds is known before anything else happens."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event
from sqlmodel import delete, select

from tests.services.rows import put
from tests.support.installation import Configure
from tests.support.keys import ONE_KEY, OTHER_KEY
from videovault import security
from videovault.config import settings
from videovault.db import engine, reading, transaction
from videovault.errors import ConfigurationError
from videovault.models import Event, KeyCanary, Status, Video
from videovault.services.accounts import accounts
from videovault.services.core.access import Caller
from videovault.services.maintenance import keys
from videovault.services.maintenance.keys import Rekeyed

pytestmark = pytest.mark.usefixtures("database")
Lose = Callable[[], None]


@pytest.fixture
def lose() -> Lose:
    """The file with the installation's own key is gone, as after a restore of the database alone."""

    def remove() -> None:
        (settings().data_dir / "installation.json").unlink()
        settings.cache_clear()

    return remove


@pytest.fixture
def stored(database: str) -> Caller:
    """An owner of two videos whose keys the installation's own key has sealed."""
    del database
    owner = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    for _ in range(2):
        put(owner, Status.READY)
    return owner


@pytest.fixture
def known(stored: Caller) -> Caller:
    """The same after a start, which has noted the key."""
    keys.verify()
    return stored


def as_before_canaries() -> None:
    with transaction() as session:
        session.exec(delete(KeyCanary))


def canaries() -> list[str]:
    with reading() as session:
        return [canary.id for canary in session.exec(select(KeyCanary))]


def opening() -> int:
    """How many videos' keys open."""
    with reading() as session:
        return sum(keys._opens_video(video) for video in session.exec(select(Video)))


@pytest.mark.usefixtures("known")
def test_the_right_key_is_accepted_again_and_noted_once() -> None:
    before = canaries()
    keys.verify()
    assert canaries() == before
    assert len(before) == 1


@pytest.mark.usefixtures("known")
def test_without_any_key_a_database_in_use_is_refused_and_no_key_is_made(lose: Lose) -> None:
    lose()
    with pytest.raises(ConfigurationError, match="There is no secret key") as caught:
        keys.verify()
    assert all(word in caught.value.public_message for word in ("SECRET_KEY_OLD", "Restore", "--rekey"))
    assert not (settings().data_dir / "installation.json").exists()


@pytest.mark.usefixtures("known")
def test_another_key_is_refused(configure: Configure) -> None:
    configure(SECRET_KEY=ONE_KEY)
    with pytest.raises(ConfigurationError, match="another one than the key that this database was used with"):
        keys.verify()
    assert len(canaries()) == 1


@pytest.mark.usefixtures("known")
def test_an_old_key_that_opens_nothing_is_refused_and_said_to_be_wrong(configure: Configure) -> None:
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=OTHER_KEY)
    with pytest.raises(ConfigurationError, match="what is set there now does not open it"):
        keys.verify()


@pytest.mark.usefixtures("known")
def test_a_changed_key_needs_the_old_one_until_everything_is_sealed_by_the_new_one(
    configure: Configure,
) -> None:
    old = settings().installation.secret_key
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=old)
    keys.verify()
    configure(SECRET_KEY_OLD="")
    with pytest.raises(ConfigurationError):
        keys.verify()
    configure(SECRET_KEY_OLD=old)
    assert keys.reseal_videos().unopened == 0
    keys.keep_current_only()
    configure(SECRET_KEY_OLD="")
    keys.verify()
    assert opening() == 2


@pytest.mark.usefixtures("known")
def test_going_back_to_the_old_key_needs_the_new_one(configure: Configure) -> None:
    """Rows may have been sealed by the new one meanwhile."""
    old = settings().installation.secret_key
    configure(SECRET_KEY=ONE_KEY, SECRET_KEY_OLD=old)
    keys.verify()
    configure(SECRET_KEY=old, SECRET_KEY_OLD="")
    with pytest.raises(ConfigurationError):
        keys.verify()


@pytest.mark.usefixtures("stored")
def test_a_database_of_the_version_before_is_accepted_by_its_own_key() -> None:
    as_before_canaries()
    keys.verify()
    assert len(canaries()) == 1


@pytest.mark.usefixtures("stored")
def test_a_database_of_the_version_before_is_refused_by_another_key(configure: Configure) -> None:
    as_before_canaries()
    configure(SECRET_KEY=ONE_KEY)
    with pytest.raises(ConfigurationError, match="2 of 2 videos"):
        keys.verify()
    assert canaries() == []


@pytest.mark.usefixtures("known")
def test_a_key_that_can_be_guessed_is_no_old_key_to_serve_with(configure: Configure) -> None:
    configure(SECRET_KEY_OLD="changeme")
    with pytest.raises(ConfigurationError, match="reseal"):
        keys.verify()


def test_an_admin_made_before_there_was_a_key_does_not_keep_the_first_start_back() -> None:
    """As `create-admin` of the version before left it."""
    accounts.create_admin("anna@example.com", "correct horse")
    assert keys._is_missing()
    keys.verify()
    assert len(canaries()) == 1


def test_a_second_machine_with_a_key_of_its_own_is_refused_before_the_first_account(
    configure: Configure,
) -> None:
    keys.verify()
    configure(SECRET_KEY=ONE_KEY)
    with pytest.raises(ConfigurationError, match="another one"):
        keys.verify()


def test_starts_at_the_same_moment_note_the_key_once() -> None:
    assert settings().sealing_keys
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(keys.verify) for _ in range(4)]:
            done.result()
    assert len(canaries()) == 1


@pytest.mark.usefixtures("known")
def test_after_a_lost_key_videos_get_new_secret_keys(lose: Lose) -> None:
    lose()
    assert keys.unopened() == Rekeyed(replaced=2)
    assert keys.rekey() == Rekeyed(replaced=2)
    assert opening() == 2
    keys.verify()
    with reading() as session:
        replaced = session.exec(select(Event.video_id).where(Event.kind == "key_replaced")).all()
    assert len(replaced) == 2
    assert keys.rekey() == Rekeyed(kept=2)


def test_a_key_that_opens_is_not_replaced_beside_one_that_does_not(known: Caller) -> None:
    video_id = put(known, Status.READY)
    with transaction() as session:
        session.get_one(Video, video_id).sealed_key = security.seal(
            "x", owner_id="another", video_id=video_id
        )
    assert keys.rekey() == Rekeyed(replaced=1, kept=2)
    assert opening() == 3


@pytest.mark.usefixtures("known")
def test_a_start_reads_one_small_table_however_many_videos_there_are() -> None:
    statements: list[str] = []
    event.listen(engine(), "before_cursor_execute", lambda *found: statements.append(str(found[2])))
    keys.verify()
    read = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(read) == 1
    assert not any("videos" in statement for statement in read)
