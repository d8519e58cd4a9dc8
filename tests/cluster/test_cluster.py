"""60 videos while parts of the cluster are killed, stopped, frozen and upgraded; see benchmarks/cluster for more."""

from pathlib import Path

import pytest

from benchmarks.cluster.run import Plan, run
from tests.support.cluster import QUEUES, QueueKind

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("queue", QUEUES)
def test_no_video_is_lost_doubled_paid_twice_or_stuck(tmp_path: Path, queue: QueueKind) -> None:
    log: list[str] = []
    tally = run(Plan(videos=60, queue=queue), tmp_path, log.append)
    assert not tally.problems, "\n".join([*log, str(tally)])
