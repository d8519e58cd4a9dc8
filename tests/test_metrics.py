"""Counters and gauges of a process."""

import subprocess
import sys

import pytest

from tests.support.scrape import parse, scrape
from videovault import metrics


@pytest.mark.usefixtures("counting")
def test_what_happened_is_counted_once() -> None:
    metrics.TRANSFERS.inc(outcome="stored")
    metrics.TRANSFER_BYTES.inc(7)
    metrics.TRANSFER_BYTES.inc(5)
    metrics.STORING_SECONDS.observe(3)
    samples = scrape()
    assert samples['videovault_transfers_total{outcome="stored"}'] == 1
    assert samples["videovault_transfer_bytes_total"] == 12
    assert samples['videovault_transfer_seconds_bucket{le="5.0"}'] == 1
    assert samples["process_resident_memory_bytes"] > 0


@pytest.mark.usefixtures("counting")
def test_every_counter_starts_at_zero() -> None:
    samples = scrape()
    assert samples['videovault_transfers_total{outcome="failed"}'] == 0
    assert samples['videovault_webhook_answers_total{answer="unanswered",webhook="video"}'] == 0


@pytest.mark.usefixtures("counting")
def test_no_text_from_outside_becomes_a_label() -> None:
    for number in range(50):
        metrics.WEBHOOK_ANSWERS.inc(webhook="report", answer=f"state {number}")
    samples = scrape()
    assert samples['videovault_webhook_answers_total{answer="other",webhook="report"}'] == 50
    assert not [key for key in samples if "state" in key]


@pytest.mark.usefixtures("counting")
def test_a_process_has_the_counters_of_its_role_only() -> None:
    assert not [key for key in scrape() if key.startswith("videovault_event_loop_lag")]
    metrics.enable("web")
    assert not [key for key in scrape() if key.startswith("videovault_transfers")]
    assert scrape()["videovault_event_loop_lag_seconds_count"] == 0


@pytest.mark.usefixtures("counting")
def test_gauges_are_read_at_each_scrape() -> None:
    pages = iter([3, 4])
    metrics.enable("web", lambda: {metrics.OPEN_PAGES: next(pages), metrics.POOL: {"in_use": 2}})
    assert [scrape()["videovault_open_pages"] for _ in range(2)] == [3, 4]


def test_without_a_scrape_nothing_is_counted_or_imported() -> None:
    program = (
        "import sys; from videovault import metrics; metrics.TRANSFERS.inc(outcome='stored');"
        "metrics.STORING_SECONDS.observe(1); print('prometheus_client' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout == "False\n"
    with pytest.raises(RuntimeError, match="not enabled"):
        metrics.exposition()


@pytest.mark.usefixtures("counting")
def test_both_formats_are_offered() -> None:
    text, content_type = metrics.exposition("text/plain;version=0.0.4")
    assert content_type.startswith("text/plain")
    assert b"# TYPE videovault_transfers_total counter" in text
    strict, content_type = metrics.exposition("application/openmetrics-text;version=1.0.0,text/plain")
    assert content_type.startswith("application/openmetrics-text")
    assert parse(strict)
