"""The scenarios, and the targets of our engine."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks import contenders
from benchmarks.contenders import Contender
from benchmarks.testbed import TransferTestbed, TransferTestbedConfig

MIB = 1024**2
MB = 1000**2
BASELINE = "rclone copyurl"
STREAMS = "rclone copyto, 8 streams"

Make = Callable[[TransferTestbed], Contender]
ALL: tuple[Make, ...] = (
    contenders.ours,
    contenders.copyurl,
    contenders.copyto,
    contenders.curl_to_aws,
    contenders.plain,
)
RANGES: tuple[Make, ...] = (contenders.ours, contenders.copyurl, contenders.copyto, contenders.plain)
MANY: tuple[Make, ...] = (contenders.ours, contenders.copyurl, contenders.copyurls, contenders.plain)


@dataclass(frozen=True)
class Target:
    """Ratios to the baseline of the same run, except ``peak_mb``; None: no target.

    ``at_least_streams``: no slower than rclone with eight streams.
    """

    speed: float | None = None
    cpu: float | None = None
    memory: float | None = None
    peak_mb: float | None = None
    at_least_streams: bool = False


@dataclass(frozen=True)
class Scenario:
    """``count`` videos of ``size`` bytes at the same time; ``seconds`` bound all runs together.

    ``grown`` is the size of a second video: then only our memory is measured, for both sizes.
    """

    letter: str
    title: str
    size: int
    setting: TransferTestbedConfig
    target: Target
    makers: tuple[Make, ...] = ALL
    count: int = 1
    runs: int = 5
    seconds: float = 180
    grown: int = 0


QUICK_SIZE = 32 * MIB

SCENARIOS = (
    Scenario(
        "a",
        "loopback, a sink that discards",
        1024 * MIB,
        TransferTestbedConfig(),
        Target(1.8, 0.35, 1.1),
    ),
    Scenario(
        "b",
        "into the embedded S3",
        1024 * MIB,
        TransferTestbedConfig(embedded=True),
        Target(1.5, 0.35, 1.1),
        runs=3,
        seconds=240,
    ),
    Scenario(
        "c",
        "a source that gives each connection 20 MB/s",
        256 * MIB,
        TransferTestbedConfig(throttle=20 * MB),
        Target(6.0, 1.3, peak_mb=200, at_least_streams=True),
        RANGES,
        runs=3,
    ),
    Scenario(
        "d",
        "a round trip of 40 ms, 1 Gbit/s",
        256 * MIB,
        TransferTestbedConfig(round_trip_ms=40),
        Target(1.5, 1.2, peak_mb=200, at_least_streams=True),
        RANGES,
    ),
    Scenario(
        "e",
        "eight at once",
        256 * MIB,
        TransferTestbedConfig(),
        Target(1.5, 0.5, 0.65),
        MANY,
        count=8,
        runs=3,
    ),
    Scenario(
        "f",
        "memory for a small and a large video",
        256 * MIB,
        TransferTestbedConfig(),
        Target(memory=1.05, peak_mb=110),
        (contenders.ours,),
        runs=3,
        grown=4096 * MIB,
    ),
    Scenario(
        "g",
        "TLS on both sides",
        1024 * MIB,
        TransferTestbedConfig(tls=True),
        Target(1.15, 0.75, 1.1),
        seconds=240,
    ),
)


def quick(scenario: Scenario) -> Scenario:
    """A small version that runs once, to see that it works; its figures are meaningless."""
    grown = 2 * QUICK_SIZE if scenario.grown else 0
    return replace(scenario, size=min(scenario.size, QUICK_SIZE), runs=1, seconds=60, grown=grown)
