"""The faults of a run, in their order. Each ends before the next one begins."""

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.cluster import Cluster
from tests.support.frozen_proxy import FrozenProxy
from tests.support.part import Part

FREEZE_SECONDS = 25.0  # longer than a lease
OUTAGE_SECONDS = 10.0


@dataclass(frozen=True)
class Fault:
    """``begin`` it, and ``end`` it after so many ``seconds``."""

    name: str
    begin: Callable[[], object]
    end: Callable[[], object]
    seconds: float = 0.0


@dataclass(frozen=True)
class Networks:
    """Between one worker, one replica and PostgreSQL, and between everything and its queue."""

    worker: FrozenProxy
    replica: FrozenProxy
    queue: FrozenProxy | None


def faults(cluster: Cluster, networks: Networks, second: Path, rounds: int, seed: int) -> Iterator[Fault]:
    """Each kind ``rounds`` times, with the upgrade to the checkout ``second`` in the middle."""
    choice = random.Random(seed).choice  # noqa: S311 - the same faults for the same seed
    for number in range(2 * rounds):
        if number == rounds:
            for part in (*cluster.replicas, *cluster.workers):
                yield _upgraded(part, second)
        if number % 2 == 0:
            yield _killed(choice(cluster.workers))
            yield _stopped(choice(cluster.replicas))
            yield _frozen_network("worker → PostgreSQL", networks.worker, to_client=False)
            yield _killed(cluster.postgres)
            yield _frozen(choice(cluster.workers), FREEZE_SECONDS)
            yield _killed(choice(cluster.workers))
            yield _killed(cluster.redis)
            if networks.queue:
                yield _frozen_network("all → queue", networks.queue, to_client=False)
        else:
            yield _killed(choice(cluster.replicas))
            yield _stopped(choice(cluster.workers))
            yield _frozen_network("PostgreSQL → replica", networks.replica, to_server=False)
            yield _frozen(cluster.postgres, OUTAGE_SECONDS)
            yield _killed(choice(cluster.workers))
            yield _frozen(choice(cluster.replicas), OUTAGE_SECONDS)
            yield _emptied(cluster.redis)
            if networks.queue:
                yield _frozen_network("queue → all", networks.queue, to_server=False)


def _killed(part: Part) -> Fault:
    return Fault(f"{part.name} is killed", part.kill, lambda: part.start(wait=False), 2.0)


def _stopped(part: Part) -> Fault:
    return Fault(f"{part.name} is stopped", part.stop, lambda: part.start(wait=False))


def _frozen(part: Part, seconds: float) -> Fault:
    return Fault(f"{part.name} is frozen for {seconds:.0f} s", part.freeze, part.thaw, seconds)


def _emptied(part: Part) -> Fault:
    def begin() -> None:
        part.kill()
        shutil.rmtree(part.root / "appendonlydir", ignore_errors=True)

    return Fault(f"{part.name} is killed and loses everything", begin, lambda: part.start(wait=False), 2.0)


def _upgraded(part: Part, root: Path) -> Fault:
    def begin() -> None:
        part.stop()
        part.root = root

    return Fault(f"{part.name} is upgraded", begin, lambda: part.start(wait=False))


def _frozen_network(
    name: str, proxy: FrozenProxy, *, to_server: bool = True, to_client: bool = True
) -> Fault:
    return Fault(
        f"the network {name} is frozen for {FREEZE_SECONDS:.0f} s",
        lambda: proxy.freeze(to_server=to_server, to_client=to_client),
        proxy.thaw,
        FREEZE_SECONDS,
    )
