"""With a million videos, 10,000 per owner, both databases choose plans that read what is shown or due."""

from pathlib import Path

import pytest

from benchmarks import seeding
from tests.support.installation import Configure
from tests.support.query_plans import expensive
from tests.support.routine_queries import lists, periodic
from videovault import db
from videovault.gateways.storage import Storage
from videovault.services.core.access import Caller

pytestmark = pytest.mark.cluster
OWNERS, VIDEOS, EVENTS = 100, 10_000, 1_000_000
FILLED = ("videos", "events", "deliveries")


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def million_rows(request: pytest.FixtureRequest, configure: Configure, tmp_path: Path) -> Caller:
    """An admin who owns 10,000 of a million videos."""
    if request.param == "PostgreSQL":
        configure(DATABASE_URL=request.getfixturevalue("postgres_url"))
    else:
        configure(DATABASE_URL=f"sqlite:///{tmp_path}/million.db")
    db.migrate()
    user_id, *_ = seeding.seed(OWNERS, VIDEOS, EVENTS)
    return Caller(user_id, "person1@example.com", is_admin=True)


def test_lists_and_periodic_work_read_what_is_shown_or_due(million_rows: Caller, moto_s3: Storage) -> None:
    del moto_s3
    acts = lists(million_rows, page=1) | dict(periodic())
    found = {name: expensive(act, filled=FILLED) for name, act in acts.items()}
    assert not {name: list(map(str, findings)) for name, findings in found.items() if findings}
