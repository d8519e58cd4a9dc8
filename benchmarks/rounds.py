"""Interleaved runs: every contender once a round, in turning order, so that a busy moment meets all alike."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.contenders import Contender, Job
from benchmarks.process_usage import RunFailed, Usage
from benchmarks.scenarios import MB, Make, Scenario
from benchmarks.testbed import Testbed, running_testbed

RUN_SECONDS = 120.0
GIB = 1024**3

Say = Callable[[str], None]


@dataclass
class Outcome:
    """All runs of one contender, which moved ``total`` bytes each; ``failure`` is why the last failed one failed."""

    name: str
    total: int
    runs: list[Usage] = field(default_factory=list)
    failure: str = ""

    @property
    def speed(self) -> float:
        """The median, in MB/s."""
        return median(self.total / MB / run.seconds for run in self.runs)

    @property
    def cpu(self) -> float:
        """The median of CPU seconds for a GiB."""
        return median(run.cpu_seconds * GIB / self.total for run in self.runs)

    @property
    def peak(self) -> float:
        """The median of the peak memory, in MB."""
        return median(run.peak_bytes / MB for run in self.runs)


def measured(scenario: Scenario, say: Say) -> list[Outcome]:
    """Build the stage, run the rounds, take everything down again."""
    with (
        TemporaryDirectory(prefix="videovault-bench-") as folder,
        running_testbed(scenario.setting, Path(folder)) as stage,
    ):
        if scenario.grown:
            return _grown(scenario, stage, say)
        with _all_made(scenario.makers, stage) as contenders:
            return _rounds(scenario, stage, contenders, say)


def _rounds(scenario: Scenario, stage: Testbed, contenders: Sequence[Contender], say: Say) -> list[Outcome]:
    total = scenario.size * scenario.count
    outcomes = {contender.name: Outcome(contender.name, total) for contender in contenders}
    until = time.monotonic() + scenario.seconds
    for number in range(scenario.runs):
        for at in range(len(contenders)):
            contender = contenders[(at + number) % len(contenders)]
            if number and time.monotonic() > until:
                say(f"  the time is up after {number} of {scenario.runs} rounds")
                return list(outcomes.values())
            _once(scenario, stage, contender, outcomes[contender.name], number)
            say(f"  {number + 1}/{scenario.runs} {_said(outcomes[contender.name])}")
    return list(outcomes.values())


def _once(scenario: Scenario, stage: Testbed, contender: Contender, outcome: Outcome, number: int) -> None:
    """One run, which counts only if every object is there with its whole size."""
    if outcome.failure:  # what failed once would cost its time again
        return
    jobs = [
        Job(stage.url(name, scenario.size), name, scenario.size)
        for name in (f"{_slug(contender.name)}-{number}-{job}" for job in range(scenario.count))
    ]
    try:
        usage = contender.run(jobs, RUN_SECONDS)
        _prove(stage, jobs)
    except RunFailed as error:
        outcome.failure = str(error)
    else:
        outcome.runs.append(usage)


def _slug(name: str) -> str:
    """Each contender has keys of its own: rclone leaves out what is there already."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def _prove(stage: Testbed, jobs: Sequence[Job]) -> None:
    """Raises RunFailed unless every object has its whole size."""
    for job in jobs:
        size = stage.take_out(job.key)
        if size != job.size:
            raise RunFailed(f"stored {size} of {job.size} bytes")


def _grown(scenario: Scenario, stage: Testbed, say: Say) -> list[Outcome]:
    """Our memory for each size, in a fresh process for every run."""
    outcomes = []
    for size in (scenario.size, scenario.grown):
        outcome = Outcome(f"VideoVault, {size // 1024**2} MiB", size)
        outcomes.append(outcome)
        part = Scenario("", "", size, scenario.setting, scenario.target)
        for number in range(scenario.runs):
            with _all_made(scenario.makers, stage) as (contender,):
                _once(part, stage, contender, outcome, number)
            say(f"  {number + 1}/{scenario.runs} {_said(outcome)}")
    return outcomes


def _said(outcome: Outcome) -> str:
    if outcome.failure:
        return f"{outcome.name}: failed: {outcome.failure}"
    run = outcome.runs[-1]
    speed, cpu = outcome.total / MB / run.seconds, run.cpu_seconds * GIB / outcome.total
    return f"{outcome.name}: {speed:.0f} MB/s, {cpu:.2f} CPU s/GiB, peak {run.peak_bytes / MB:.0f} MB"


@contextmanager
def _all_made(makers: Sequence[Make], stage: Testbed) -> Iterator[list[Contender]]:
    contenders = [make(stage) for make in makers]
    try:
        yield contenders
    finally:
        for contender in contenders:
            contender.close()
