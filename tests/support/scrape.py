"""Metrics as Prometheus reads them."""

from collections.abc import Iterator, Mapping

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from videovault import metrics

Samples = Mapping[str, float]
TOKEN = "jX2nQ8vL5wR9tB4mK7pZ3cF6hD1gS0yA"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def counting() -> Iterator[None]:
    """This process counts as a worker does."""
    metrics.enable("worker")
    yield
    metrics.disable()


def scrape() -> Samples:
    """What this process has counted."""
    body, _ = metrics.exposition("application/openmetrics-text")
    return parse(body)


def parse(exposition: bytes) -> Samples:
    """The samples by ``name{label="value"}``, read by the strict parser of OpenMetrics; fails on a duplicate."""
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(exposition.decode()):  # type: ignore[no-untyped-call] # it has no types
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in samples
            samples[key] = sample.value
    return samples
