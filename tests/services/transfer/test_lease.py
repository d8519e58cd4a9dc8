"""Leases: a worker counts as dead only while the database could have heard from it."""

import pytest

from tests.support.installation import Configure
from videovault.services.transfer.lease import GRACE_SECONDS, OUTAGE_SECONDS, OutageWatch

pytestmark = pytest.mark.usefixtures("installation")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_live_workers_have_time_for_a_heartbeat_after_an_outage(clock: Clock) -> None:
    watch = OutageWatch(clock)
    assert watch.leases_are_valid()
    clock.now += OUTAGE_SECONDS + 1  # no check succeeded meanwhile
    assert not watch.leases_are_valid()
    clock.now += GRACE_SECONDS - 1
    assert not watch.leases_are_valid()
    clock.now += 1
    assert watch.leases_are_valid()


def test_a_short_pause_of_the_checks_is_no_outage(clock: Clock) -> None:
    watch = OutageWatch(clock)
    clock.now += OUTAGE_SECONDS - 1
    assert watch.leases_are_valid()


def test_no_lease_counts_as_expired_while_the_database_is_away(clock: Clock, configure: Configure) -> None:
    watch = OutageWatch(clock)
    configure(DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:1/away")
    assert not watch.leases_are_valid()
