"""Each alert rule fires during a fault and ends after it: `python -m benchmarks.alerts [SPEED]`.

A real Prometheus scrapes a replica and two workers of a cluster, and evaluates deploy/monitoring/alerts.yml with all durations
divided by SPEED. The figures are written into CLUSTER.md and RESULTS.md.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import report
from tests.support.cluster import Cluster, running_cluster
from tests.support.misbehaving_server import ServerBehaviour
from tests.support.product import Person, video_id_of
from tests.support.prometheus import Prometheus, running_prometheus
from tests.support.scrape import TOKEN
from tests.support.waiting import eventually

SPEED = 20
RULES = 5
FAILURES = 8  # more than the rules' least number, as increase() extrapolates
SETTLED_SECONDS = 60.0  # beyond the rules' own waiting times
MINUTES = 60.0
LOOK_SECONDS = 0.5
NORMAL_MINUTES = 6.0
LONGEST_MINUTES = 20.0  # a rule's age, window and waiting time together


@dataclass(frozen=True)
class Firing:
    """Seconds from the beginning of the fault until it fires, and from its end until it is silent again."""

    rule: str
    fault: str
    fires: float
    summary: str
    ends: float

    def __str__(self) -> str:
        return f"| {self.rule} | {self.fault} | {self.fires:.0f} s | {self.summary} | {self.ends:.0f} s |"


@dataclass
class Scene:
    """A fault, and the rules that have to fire in their order."""

    fault: str
    begin: Callable[[], object]
    end: Callable[[], object]
    rules: tuple[str, ...]


def run(folder: Path, speed: int, say: Callable[[str], object] = print) -> list[Firing]:
    """Raises AssertionError if a rule fires in normal operation, does not fire in its fault, or does not end."""
    with running_cluster(folder, replicas=1, workers=2, METRICS_TOKEN=TOKEN) as cluster:
        ports = [part.environment["PORT"] for part in cluster.replicas]
        ports += [part.environment["WORKER_PORT"] for part in cluster.workers]
        with running_prometheus(folder / "prometheus", ports, speed=speed) as prometheus:
            person = cluster.new_person()
            _normal_operation(cluster, prometheus, person, speed)
            say("normal operation: no rule fires")
            found = []
            for scene in _scenes(cluster, person):
                for firing in _played(prometheus, scene, speed):
                    found.append(firing)
                    say(str(firing))
            return found


def _normal_operation(cluster: Cluster, prometheus: Prometheus, person: Person, speed: int) -> None:
    cluster.world.generator.mode = "direct"
    for _ in range(FAILURES):
        eventually(partial(_is_ready, person, video_id_of(person.generate())), cluster.logs)
    until = time.monotonic() + NORMAL_MINUTES * MINUTES / speed
    while time.monotonic() < until:
        if problems := [*prometheus.firing(), *prometheus.unhealthy()]:
            raise AssertionError(f"in normal operation: {problems}")
        time.sleep(1)


def _is_ready(person: Person, video_id: str) -> bool:
    return bool(person.seen(video_id)["status"] == "ready")


def _scenes(cluster: Cluster, person: Person) -> list[Scene]:
    postgres = cluster.postgres
    return [
        Scene(
            "sources answer 404",
            partial(_store_what_is_gone, cluster, person),
            lambda: None,
            ("VideoVaultTransfersFailing",),
        ),
        Scene(
            "the generator hangs up",
            partial(_order_in_vain, cluster, person),
            partial(setattr, cluster.world.generator, "mode", "direct"),
            ("VideoVaultGeneratorNotAnswering",),
        ),
        Scene("PostgreSQL is frozen", postgres.freeze, postgres.thaw, ("VideoVaultDatabaseOverloaded",)),
        Scene(
            "all workers are killed",
            partial(_kill_workers, cluster, person),
            partial(_start_workers, cluster),
            ("VideoVaultNoReadyWorker", "VideoVaultQueueTooOld"),
        ),
    ]


def _store_what_is_gone(cluster: Cluster, person: Person) -> None:
    for number in range(FAILURES):
        person.store(cluster.world.source.serve(f"/gone-{number}.mp4", ServerBehaviour(status=404)))


def _order_in_vain(cluster: Cluster, person: Person) -> None:
    cluster.world.generator.mode = "cut"
    for _ in range(FAILURES):
        video_id_of(person.generate())


def _kill_workers(cluster: Cluster, person: Person) -> None:
    for worker in cluster.workers:
        worker.kill()
    person.store(cluster.world.source.serve("/waiting.mp4", ServerBehaviour(body=cluster.world.film)))


def _start_workers(cluster: Cluster) -> None:
    for worker in cluster.workers:
        worker.start()


def _played(prometheus: Prometheus, scene: Scene, speed: int) -> list[Firing]:
    begun, limit = time.monotonic(), LONGEST_MINUTES * MINUTES / speed + SETTLED_SECONDS

    def wait(reached: Callable[[], bool], problem: str) -> None:
        eventually(reached, lambda: f"while {scene.fault}: {problem}", limit, LOOK_SECONDS)

    def is_firing(rule: str) -> bool:
        return rule in prometheus.firing()

    def is_silent(rule: str) -> bool:
        return rule not in prometheus.firing()

    scene.begin()
    fired = []
    for rule in scene.rules:
        wait(partial(is_firing, rule), f"{rule} does not fire")
        fired.append((time.monotonic() - begun, prometheus.summary(rule)))
    scene.end()
    ended, silent = time.monotonic(), []
    for rule in scene.rules:
        wait(partial(is_silent, rule), f"{rule} does not end")
        silent.append(time.monotonic() - ended)
    wait(lambda: not prometheus.firing(), "another rule goes on")
    return [
        Firing(rule, scene.fault, fires, summary, ends)
        for rule, (fires, summary), ends in zip(scene.rules, fired, silent, strict=True)
    ]


def main() -> int:
    speed = int(sys.argv[1]) if len(sys.argv) > 1 else SPEED
    with TemporaryDirectory(prefix="videovault-alerts-") as folder:
        found = run(Path(folder), speed)
    text = (
        f"Prometheus scrapes a replica and two workers; the rules of deploy/monitoring with all durations divided by {speed}.\n"
        f"No rule fires in normal operation before ({NORMAL_MINUTES * MINUTES / speed:.0f} s after {FAILURES} videos), nor is any left in the end.\n\n"
        "| rule | while | fires after | says | ends after |\n| --- | --- | --: | --- | --: |\n"
    )
    report.write_section("Alert rules", text + "\n".join(map(str, found)))
    rules = len({each.rule for each in found})
    report.write_row("alerts", f"{rules} of {RULES}", is_reached=rules == RULES)
    return int(rules < RULES)


if __name__ == "__main__":
    sys.exit(main())
