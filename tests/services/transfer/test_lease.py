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


def running_watch(clock: Clock) -> OutageWatch:
    """A watch of a worker that has been running for a while."""
    watch = OutageWatch(clock)
    clock.now += GRACE_SECONDS
    assert watch.leases_are_valid()
    return watch


def test_live_workers_have_time_for_a_heartbeat_after_the_start_of_another(clock: Clock) -> None:
    """Which may have waited for the same outage to end."""
    watch = OutageWatch(clock)
    assert not watch.leases_are_valid()
    clock.now += GRACE_SECONDS
    assert watch.leases_are_valid()


def test_live_workers_have_time_for_a_heartbeat_after_an_outage(clock: Clock) -> None:
    watch = running_watch(clock)
    clock.now += OUTAGE_SECONDS + 1  # no check succeeded meanwhile
    assert not watch.leases_are_valid()
    clock.now += GRACE_SECONDS - 1
    assert not watch.leases_are_valid()
    clock.now += 1
    assert watch.leases_are_valid()


def test_a_short_pause_of_the_checks_is_no_outage(clock: Clock) -> None:
    watch = running_watch(clock)
    clock.now += OUTAGE_SECONDS - 1
    assert watch.leases_are_valid()


def test_no_lease_counts_as_expired_while_the_database_is_away(clock: Clock, configure: Configure) -> None:
    watch = running_watch(clock)
    configure(DATABASE_URL="postgresql+psycopg://videovault@127.0.0.1:1/away")
    assert not watch.leases_are_valid()
