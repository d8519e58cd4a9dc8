"""The figures in tables: what was measured, the ratios to the baseline, and whether the targets are reached."""

import platform
import re
import shutil
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.contenders import aws
from benchmarks.rounds import Outcome
from benchmarks.scenarios import BASELINE, STREAMS, Scenario
from videovault.embedded import s3

PREFACE = """\
# What a transfer costs

Written by `make bench`. Medians of interleaved runs; MB are 10⁶ bytes, CPU is user and system time of the client and its
children, peak memory the sum of what each process had at most (as the kernel counts it: VmHWM). Ratios are to
`rclone copyurl` of the same run. VideoVault and `httpx + upload_fileobj` live from run to run, as a worker does, so
their start-up is not counted; the others are programs that start for each run. Every run counts only if the S3 has the
whole size.
"""
HEADINGS = ("", "MB/s", "ratio", "CPU s/GiB", "ratio", "peak MB", "ratio")


@dataclass(frozen=True)
class Section:
    """One scenario in Markdown."""

    letter: str
    title: str
    body: str

    def __str__(self) -> str:
        return f"## ({self.letter}) {self.title}\n\n{self.body}"


@dataclass(frozen=True)
class Check:
    """One figure and its target."""

    name: str
    value: float
    limit: float
    at_least: bool
    unit: str

    @classmethod
    def of(
        cls, name: str, value: float, limit: float | None, *, at_least: bool = False, unit: str = "x"
    ) -> "Check | None":
        """None where there is no target."""
        return None if limit is None else cls(name, value, limit, at_least, unit)

    @property
    def reached(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        mark = "reached" if self.reached else "**missed**"
        digits = 0 if self.unit == " MB" else 2
        limit = f"{self.limit:g}{self.unit}"
        return f"{self.name} {self.value:.{digits}f}{self.unit} ({sign} {limit}): {mark}"


def document(sections: Sequence[Section]) -> str:
    """RESULTS.md."""
    return "\n".join([PREFACE, _circumstances(), *map(str, sections)])


def with_sections(before: str, sections: Sequence[Section]) -> str:
    """RESULTS.md with these sections replaced, each with its date; new ones are appended."""
    dated = {section.letter: f"{section}- measured by itself on {now()}\n" for section in sections}
    return replaced(before, dated)


def replaced(before: str, again: Mapping[str, str]) -> str:
    """RESULTS.md with the sections of these letters replaced; new ones are appended."""
    left = dict(again)
    parts = [part.rstrip() + "\n" for part in re.split(r"^(?=## \()", before, flags=re.MULTILINE)]
    kept = [left.pop(part[4], part) if part.startswith("## (") else part for part in parts]
    return "\n".join([*kept, *left.values()])


def table(scenario: Scenario, outcomes: Sequence[Outcome]) -> str:
    """The outcomes, ours first, in Markdown, with the targets below."""
    base = _baseline(scenario, outcomes)
    rows = [HEADINGS, ("---",) + ("--:",) * (len(HEADINGS) - 1), *(_row(o, base) for o in outcomes)]
    failures = [f"{o.name} failed: {o.failure}" for o in outcomes if o.failure]
    notes = [*failures, *(str(check) for check in checks(scenario, outcomes))]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), ""])


def checks(scenario: Scenario, outcomes: Sequence[Outcome]) -> list[Check]:
    """The results of our engine against its targets."""
    ours, base, target = outcomes[0], _baseline(scenario, outcomes), scenario.target
    if scenario.grown:
        ours = outcomes[-1]
    if not ours.runs or base is None:
        return []
    streams = next((o for o in outcomes if o.name == STREAMS and o.runs), None)
    found = [
        Check.of("speed", ours.speed / base.speed, target.speed, at_least=True),
        Check.of("CPU", ours.cpu / base.cpu, target.cpu),
        Check.of("memory", ours.peak / base.peak, target.memory),
        Check.of("peak memory", ours.peak, target.peak_mb, unit=" MB"),
    ]
    if target.at_least_streams and streams:
        ratio = ours.speed / streams.speed
        found.append(Check.of(f"speed to {STREAMS}", ratio, 1.0, at_least=True))
    return [check for check in found if check]


def machine() -> str:
    return f"{_cores()}, {_memory_gib()} GiB, Linux {platform.release()}"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def title(scenario: Scenario) -> str:
    size = f"{scenario.size // 1024**2} MiB"
    many = f"{scenario.count} x " if scenario.count > 1 else ""
    grown = f" and {scenario.grown // 1024**2} MiB" if scenario.grown else ""
    return f"{many}{size}{grown}: {scenario.title}"


def _baseline(scenario: Scenario, outcomes: Sequence[Outcome]) -> Outcome | None:
    """The base of the ratios: rclone, or the small video if only our memory is measured."""
    name = outcomes[0].name if scenario.grown else BASELINE
    return next((o for o in outcomes if o.name == name and o.runs), None)


def _row(outcome: Outcome, base: Outcome | None) -> tuple[str, ...]:
    if not outcome.runs:
        return (_cell(outcome.name), "failed", *[""] * (len(HEADINGS) - 2))
    figures: list[str] = []
    for name, digits in (("speed", 0), ("cpu", 2), ("peak", 0)):
        value = getattr(outcome, name)
        figures += [f"{value:.{digits}f}", f"{value / getattr(base, name):.2f}" if base else ""]
    return (_cell(outcome.name), *figures)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _circumstances() -> str:
    facts = {
        "Date": now(),
        "Machine": machine(),
        "Python": f"{platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "Libraries": ", ".join(
            f"{name} {version(name)}" for name in ("httpx", "httpcore", "boto3", "botocore")
        ),
        "Rivals": ", ".join(_rivals()),
    }
    return "".join(f"- {name}: {value}\n" for name, value in facts.items())


def _cores() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} cores {models[0] if models else platform.machine()}"


def _memory_gib() -> int:
    return round(int(Path("/proc/meminfo").read_text().split()[1]) / 1024**2)


def _rivals() -> list[str]:
    programs = {
        "rclone": [s3.rclone_path(), "version"],
        "curl": ["curl", "--version"],
        "aws": [aws() or "", "--version"],
    }
    return [_first_line(argv) for argv in programs.values() if shutil.which(argv[0])]


def _first_line(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split()[:2])
