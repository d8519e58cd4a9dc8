"""The index of titles on SQLite follows every change, and a search by it finds what reading all titles finds."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlmodel import select

from tests.support.installation import Configure
from tests.support.query_plans import expensive
from tests.support.statements import executions
from tests.support.videos import insert_video
from videovault import db, search_index
from videovault.db import reading, transaction
from videovault.models import Status, Video
from videovault.services.accounts import accounts
from videovault.services.admin import videos
from videovault.services.admin.videos import Column, VideosQuery
from videovault.services.core.access import Caller

TITLES = (
    "Zeppelin over Rome",
    "zeppelins",
    "Bread & butter 100%",
    'say "hi" now',
    "\u212aelvin \u00e4pfel",  # a Kelvin sign, which is a k in lower case
    "AB\u0130 xyz",  # a capital I with a dot, which becomes two characters
    "ab",
    "\u00c4PFEL_1",
)
SEARCHES = (
    *("zeppelin", "ZEPPELIN", "lin over", "Rome", "100%", "%", "__", "l_1", '"hi"', 'hi" n', "ab", "b"),
    *("\u00e4pfel", "\u00c4PFEL", "kelvin \u00e4", "abi\u0307 x", "\u0130 xyz", "none of them", "zep lin"),
)
# On both databases.
FOUND = {
    "ZEPPELIN": ["Zeppelin over Rome", "zeppelins"],
    "lin over": ["Zeppelin over Rome"],
    "100%": ["Bread & butter 100%"],
    "\u00e4PFEL_": ["\u00c4PFEL_1"],
    '"hi"': ['say "hi" now'],
    "__": [],
    "zep lin": [],
}


def candidates(words: str, limit: int = 100) -> list[str] | None:
    with reading() as session:
        return search_index.sqlite_candidates(session.connection(), words, limit)


def found(admin: Caller, q: str) -> list[str]:
    return sorted(each.video.title for each in videos.find_videos(admin, VideosQuery(q=q)).videos)


@pytest.fixture
def titled(anna: Caller) -> Caller:
    """An admin with a video of each title."""
    for title in TITLES:
        insert_video(anna, Status.READY, title=title)
    return anna


@pytest.mark.parametrize("q", SEARCHES)
def test_a_search_finds_the_same_with_and_without_the_index(titled: Caller, q: str) -> None:
    by_index = found(titled, q)
    with db.engine().begin() as connection:
        search_index.remove_from_sqlite(connection)
    assert found(titled, q) == by_index


@pytest.mark.postgres
def test_postgresql_finds_the_same(postgres_url: str, configure: Configure) -> None:
    configure(DATABASE_URL=postgres_url)
    db.migrate()
    user = accounts.create_admin("anna@example.com", "correct horse")
    admin = Caller(user.user_id, user.email, is_admin=True)
    for title in TITLES:
        insert_video(admin, Status.READY, title=title)
    assert {q: found(admin, q) for q in FOUND} == FOUND


@pytest.mark.parametrize("q", FOUND)
def test_a_search_on_sqlite_finds_what_contains_the_words(titled: Caller, q: str) -> None:
    assert found(titled, q) == FOUND[q]


def test_the_index_follows_changes_of_titles_and_deletions(anna: Caller) -> None:
    video_id = insert_video(anna, Status.READY, title="Zeppelin")
    assert candidates("zeppelin") == [video_id]
    with transaction() as session:
        session.get_one(Video, video_id).title = "Balloon"
    assert (candidates("zeppelin"), candidates("BALLOON")) == ([], [video_id])
    with transaction() as session:
        session.delete(session.get_one(Video, video_id))
    assert candidates("balloon") == []
    with db.engine().connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM video_search_numbers")) == 0


def test_a_start_indexes_the_rows_of_a_database_without_the_index(titled: Caller) -> None:
    with db.engine().begin() as connection:
        search_index.remove_from_sqlite(connection)
    assert candidates("zeppelin") is None
    db.migrate()
    assert len(candidates("zeppelin") or []) == 2
    assert found(titled, "zeppelin") == ["Zeppelin over Rome", "zeppelins"]


def test_the_index_survives_vacuum(titled: Caller) -> None:
    """It gives the rows new numbers."""
    with transaction() as session:
        session.delete(session.exec(select(Video).where(Video.title == TITLES[0])).one())
    with closing(sqlite3.connect(db.engine().url.database or "", isolation_level=None)) as connection:
        connection.execute("VACUUM")
    assert found(titled, "butter") == ["Bread & butter 100%"]


def test_more_matches_than_asked_for_and_short_words_use_no_index(titled: Caller) -> None:
    del titled
    assert candidates("zeppelin", 1) is None
    assert candidates("ab") is None


def test_without_trigrams_titles_change_and_are_found(
    titled: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "TOKENIZER", "none such")
    db.migrate()
    insert_video(titled, Status.READY, title="Zeppelin 3")
    assert candidates("zeppelin") is None
    assert found(titled, "zeppelin") == ["Zeppelin 3", "Zeppelin over Rome", "zeppelins"]
    monkeypatch.undo()
    db.migrate()
    assert len(candidates("zeppelin") or []) == 3


@pytest.mark.parametrize("sort", videos.SORTED_BY)
def test_a_rare_search_reads_no_list(titled: Caller, sort: Column) -> None:
    query = VideosQuery(q="butter", sort=sort)
    findings = expensive(lambda: videos.find_videos(titled, query), filled=("videos",))
    assert not [str(found) for found in findings if "full scan" in found.problem]
    with executions() as executed:
        videos.find_videos(titled, query)
    of_videos = [
        (statement, given) for statement, given in executed if "LIKE" in statement and "videos" in statement
    ]
    assert of_videos
    with db.engine().connect() as connection:
        for statement, given in of_videos:
            plan = str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all())
            assert "SEARCH videos USING INDEX sqlite_autoindex_videos_1 (id=?)" in plan


def test_without_the_index_a_rare_search_reads_the_list(titled: Caller) -> None:
    """A control: otherwise the test above proves nothing."""
    with db.engine().begin() as connection:
        search_index.remove_from_sqlite(connection)
    with executions() as executed:
        videos.find_videos(titled, VideosQuery(q="butter"))
    assert any("videos.status = 'ready'" in statement for statement, _ in executed)
