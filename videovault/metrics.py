"""What this process counts and measures, in Prometheus' formats.

Nothing is counted, and prometheus_client (2 MiB) is not imported, before ``enable``. All label values are declared here;
any other counts as ``other``, so that nothing from outside adds a time series.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Role = Literal["web", "worker"]
WEB: tuple[Role, ...] = ("web",)
WORKER: tuple[Role, ...] = ("worker",)
BOTH = WEB + WORKER
PREFIX = "videovault_"
OTHER = "other"
TRANSFER_SECONDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
ANSWERED = ("ready", "processing", "failed", "rejected", "unread")
NOT_ANSWERED = ("busy", "refused", "unanswered")


class Metric:
    """A family of time series; ``of`` are the processes that have it, ``labels`` the values of each label."""

    def __init__(self, name: str, text: str, of: Collection[Role], **labels: Collection[str]) -> None:
        self.name, self.text, self.of, self.labels = PREFIX + name, text, of, labels


class Counter(Metric):
    """Only grows."""

    _series: Any = None  # by label values; None while nothing is counted

    def inc(self, amount: float = 1, **labels: str) -> None:
        if self._series is not None:
            self._series[_known(self, labels)].inc(amount)

    def create(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter as Family

        family = Family(self.name, self.text, list(self.labels), registry=registry)
        self._series = _Series(family)
        for values in product(
            *self.labels.values()
        ):  # so that each starts at 0 and its first increase counts
            self._series[values]

    def forget(self) -> None:
        self._series = None


class Histogram(Metric):
    """Seconds in ``buckets``."""

    _family: Any = None

    def __init__(self, name: str, text: str, of: Collection[Role], buckets: Collection[float]) -> None:
        super().__init__(name, text, of)
        self._buckets = buckets

    def observe(self, seconds: float) -> None:
        if self._family is not None:
            self._family.observe(seconds)

    def create(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Histogram as Family

        self._family = Family(self.name, self.text, registry=registry, buckets=list(self._buckets))

    def forget(self) -> None:
        self._family = None


class Gauge(Metric):
    """Read from a source at each scrape; at most one label."""


Reading = float | Mapping[str, float]
"""A gauge's value, or its values by label value."""
Source = Callable[[], Mapping[Gauge, Reading]]
"""Returns what it can read now; it does not raise."""

# Counted where it happens.
TRANSFERS = Counter(
    "transfers",
    "Transfers into S3 that ended, by outcome.",
    WORKER,
    outcome=("stored", "failed", "postponed", "returned", "lost"),
)
TRANSFER_FAILURES = Counter(
    "transfer_failures",
    "Transfers that failed, by the error's code.",
    WORKER,
    code=("SOURCE_FAILED", "STORAGE_FAILED", "QUOTA_EXCEEDED", "UNSAFE_URL", "TOO_LARGE", "DISK_FULL", OTHER),
)
TRANSFER_BYTES = Counter("transfer_bytes", "Bytes read from sources and responses to be stored.", WORKER)
STORING_SECONDS = Histogram(
    "transfer_seconds", "Duration of transfers that stored a video.", WORKER, TRANSFER_SECONDS
)
WEBHOOK_ANSWERS = Counter(
    "webhook_answers",
    "Answers to our webhook calls, and reports to us, by kind.",
    BOTH,
    webhook=("script", "video", "poll", "report"),
    answer=ANSWERED + NOT_ANSWERED,
)
REPAIRED = Counter(
    "repaired",
    "Videos that the periodic repair continued or ended, by what had happened.",
    WORKER,
    what=("worker_died", "receiver_died", "caller_died", "overdue", "not_queued"),
)
MISSED_HEARTBEATS = Counter(
    "missed_heartbeats",
    "Heartbeats that the database did not take, of leases, of orders and of workers.",
    WORKER,
    kind=("lease", "order", "worker"),
)
LOOP_LAG_SECONDS = Histogram("event_loop_lag_seconds", "Delay of a due timer.", WEB, LAG_SECONDS)
COUNTED: tuple[Counter | Histogram, ...] = (
    TRANSFERS,
    TRANSFER_FAILURES,
    TRANSFER_BYTES,
    STORING_SECONDS,
    WEBHOOK_ANSWERS,
    REPAIRED,
    MISSED_HEARTBEATS,
    LOOP_LAG_SECONDS,
)

# Read when scraped. The first ones are the installation's: every web process gives the same, so no sum over processes.
OLDEST_QUEUED = Gauge("oldest_queued_seconds", "Waiting time of the oldest video that could be stored.", WEB)
OLDEST_UNORDERED = Gauge(
    "oldest_unordered_seconds", "Waiting time of the oldest video whose order was not sent.", WEB
)
WORK = Gauge(
    "work",
    "Videos in work by stage, at most 10,000 counted per stage.",
    WEB,
    stage=("unordered", "generating", "queued", "storing", "deleting", "copying"),
)
WORKERS_ALIVE = Gauge("workers_alive", "Workers whose heartbeat is recent.", WEB)
DATABASE_UP = Gauge("database_up", "Whether the database answered this scrape.", WEB)
OPEN_PAGES = Gauge("open_pages", "Open pages of this process.", WEB)
WORKER_READY = Gauge("worker_ready", "Whether this worker could claim within the last 15 seconds.", WORKER)
WEBHOOK_CALLS = Gauge(
    "webhook_calls", "Generator calls of this worker.", WORKER, state=("running", "waiting")
)
POOL = Gauge(
    "database_connections",
    "Database connections of this process.",
    BOTH,
    state=("in_use", "idle", "overflow"),
)
POOL_SIZE = Gauge("database_connections_limit", "The most connections of this process, with overflow.", BOTH)

_registry: "CollectorRegistry | None" = None


def enable(role: Role, *sources: Source) -> None:
    """Start to count what processes of this ``role`` have; ``sources`` are read at each scrape."""
    global _registry  # noqa: PLW0603 - one per process, as the log is
    import prometheus_client
    from prometheus_client.process_collector import ProcessCollector

    disable()
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # they double the series
    registry = prometheus_client.CollectorRegistry()
    ProcessCollector(registry=registry)
    for metric in COUNTED:
        if role in metric.of:
            metric.create(registry)
    registry.register(_Scrape(sources))
    _registry = registry


def disable() -> None:
    """Count nothing."""
    global _registry  # noqa: PLW0603 - as above
    _registry = None
    for metric in COUNTED:
        metric.forget()


def exposition(accept: str = "") -> tuple[bytes, str]:
    """All values and their content type: OpenMetrics if ``accept`` names it, else Prometheus' text format.

    Raises RuntimeError before ``enable``.
    """
    if _registry is None:
        raise RuntimeError("metrics are not enabled")
    if "application/openmetrics-text" in accept:
        from prometheus_client import openmetrics

        text: bytes = openmetrics.exposition.generate_latest(_registry)  # type: ignore[no-untyped-call] # it has none
        return text, openmetrics.exposition.CONTENT_TYPE_LATEST
    from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

    return generate_latest(_registry), CONTENT_TYPE_LATEST


class _Series(dict[tuple[str, ...], Any]):
    """The series of a family by label values; looking them up in the family takes ten times as long."""

    def __init__(self, family: Any) -> None:
        super().__init__()
        self._family = family

    def __missing__(self, values: tuple[str, ...]) -> Any:
        self[values] = self._family.labels(*values) if values else self._family
        return self[values]


def _known(metric: Metric, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        value if (value := labels[name]) in known else OTHER for name, known in metric.labels.items()
    )


class _Scrape:
    """The gauges, as prometheus_client collects them."""

    def __init__(self, sources: Collection[Source]) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        for source in self._sources:
            for gauge, reading in source().items():
                family = GaugeMetricFamily(gauge.name, gauge.text, labels=list(gauge.labels))
                values = reading if isinstance(reading, Mapping) else {"": reading}
                for label, value in values.items():
                    family.add_metric([label] if gauge.labels else [], value)
                yield family
