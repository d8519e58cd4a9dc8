"""docs/reliability.md has the results of the other tests here, which run before this one, by its name."""

from pathlib import Path

import pytest

from tests.reliability.conftest import WRITE
from tests.reliability.outcomes import NAME, Outcomes
from tests.support.documents import RELIABILITY, in_document
from tests.support.product import House

pytestmark = pytest.mark.process


def test_bucket_and_database_agree_afterwards(house: House) -> None:
    house.age("videos", "sidecar_due_at")
    house.until(lambda: not house.rows("SELECT id FROM videos WHERE sidecar_due_at IS NOT NULL"))
    found = house.reconcile()
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_table_matches_the_results(request: pytest.FixtureRequest, outcomes: Outcomes) -> None:
    """After a change: `python -m pytest tests/reliability --write-reliability`."""
    if not _all_were_run(request):
        pytest.skip("only some of the tests whose outcomes the table holds were run")
    is_written = bool(request.config.getoption(WRITE, default=False))
    assert in_document(RELIABILITY, NAME, outcomes.table, is_written=is_written) == outcomes.table


def _all_were_run(request: pytest.FixtureRequest) -> bool:
    files = set(Path(__file__).parent.glob("test_*.py"))
    chosen = request.config.getoption("keyword") or any("::" in each for each in request.config.args)
    return not chosen and files <= {item.path for item in request.session.items}
