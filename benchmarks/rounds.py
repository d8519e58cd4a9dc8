"""Interleaved runs: every contender once per round, in rotating order, so that load affects all alike."""

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
from benchmarks.testbed import TransferTestbed, running_testbed

RUN_SECONDS = 120.0
GIB = 1024**3

Say = Callable[[str], None]


@dataclass
class Outcome:
    """All runs of one contender, of ``total`` bytes each; ``failure`` is the reason of the last failed run."""

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


def measure(scenario: Scenario, say: Say) -> list[Outcome]:
    """Start the testbed and run the rounds."""
    with (
        TemporaryDirectory(prefix="videovault-bench-") as folder,
        running_testbed(scenario.setting, Path(folder)) as testbed,
    ):
        if scenario.grown:
            return _compare_sizes(scenario, testbed, say)
        with _all_contenders(scenario.makers, testbed) as contenders:
            return _rounds(scenario, testbed, contenders, say)


def _rounds(
    scenario: Scenario, testbed: TransferTestbed, contenders: Sequence[Contender], say: Say
) -> list[Outcome]:
    total = scenario.size * scenario.count
    outcomes = {contender.name: Outcome(contender.name, total) for contender in contenders}
    deadline = time.monotonic() + scenario.seconds
    for number in range(scenario.runs):
        for index in range(len(contenders)):
            contender = contenders[(index + number) % len(contenders)]
            if number and time.monotonic() > deadline:
                say(f"  time limit reached after {number} of {scenario.runs} rounds")
                return list(outcomes.values())
            _once(scenario, testbed, contender, outcomes[contender.name], number)
            say(f"  {number + 1}/{scenario.runs} {_summary(outcomes[contender.name])}")
    return list(outcomes.values())


def _once(
    scenario: Scenario, testbed: TransferTestbed, contender: Contender, outcome: Outcome, number: int
) -> None:
    """One run, which counts only if every object is complete."""
    if outcome.failure:  # it would take its time and fail again
        return
    jobs = [
        Job(testbed.url(name, scenario.size), name, scenario.size)
        for name in (f"{_slug(contender.name)}-{number}-{job}" for job in range(scenario.count))
    ]
    try:
        usage = contender.run(jobs, RUN_SECONDS)
        _check_sizes(testbed, jobs)
    except RunFailed as error:
        outcome.failure = str(error)
    else:
        outcome.runs.append(usage)


def _slug(name: str) -> str:
    """For keys of its own: rclone skips objects that exist."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())


def _check_sizes(testbed: TransferTestbed, jobs: Sequence[Job]) -> None:
    """Raises RunFailed unless every object is complete."""
    for job in jobs:
        size = testbed.pop_size(job.key)
        if size != job.size:
            raise RunFailed(f"stored {size} of {job.size} bytes")


def _compare_sizes(scenario: Scenario, testbed: TransferTestbed, say: Say) -> list[Outcome]:
    """Our memory for each size, in a new process for every run."""
    outcomes = []
    for size in (scenario.size, scenario.grown):
        outcome = Outcome(f"VideoVault, {size // 1024**2} MiB", size)
        outcomes.append(outcome)
        part = Scenario("", "", size, scenario.setting, scenario.target)
        for number in range(scenario.runs):
            with _all_contenders(scenario.makers, testbed) as (contender,):
                _once(part, testbed, contender, outcome, number)
            say(f"  {number + 1}/{scenario.runs} {_summary(outcome)}")
    return outcomes


def _summary(outcome: Outcome) -> str:
    if outcome.failure:
        return f"{outcome.name}: failed: {outcome.failure}"
    run = outcome.runs[-1]
    speed, cpu = outcome.total / MB / run.seconds, run.cpu_seconds * GIB / outcome.total
    return f"{outcome.name}: {speed:.0f} MB/s, {cpu:.2f} CPU s/GiB, peak {run.peak_bytes / MB:.0f} MB"


@contextmanager
def _all_contenders(makers: Sequence[Make], testbed: TransferTestbed) -> Iterator[list[Contender]]:
    contenders = [make(testbed) for make in makers]
    try:
        yield contenders
    finally:
        for contender in contenders:
            contender.close()
