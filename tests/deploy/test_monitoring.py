"""Dashboard and alert rules use what the processes give: every metric, label and label value."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.installation import ROOT
from tests.support.scrape import scrape
from videovault import metrics

FOLDER = ROOT / "deploy" / "monitoring"
SELECTOR = re.compile(r"\b((?:videovault|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~?)"([^"]*)"')
OF_PROMETHEUS = {"instance", "job", "le"}
ALERTS = {
    "VideoVaultQueueTooOld",
    "VideoVaultNoReadyWorker",
    "VideoVaultTransfersFailing",
    "VideoVaultGeneratorNotAnswering",
    "VideoVaultDatabaseOverloaded",
}


def rules() -> dict[str, str]:
    """The expression of each alert."""
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def panels() -> list[dict[str, object]]:
    shown: list[dict[str, object]] = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    return shown


def expressions() -> Iterator[str]:
    yield from rules().values()
    for panel in panels():
        for target in panel.get("targets", []):  # type: ignore[attr-defined] # of JSON
            yield target["expr"]


@pytest.fixture(scope="module")
def given() -> set[str]:
    """All samples that web and worker give, as ``name{label="value"}``."""
    gauges = [gauge for gauge in vars(metrics).values() if isinstance(gauge, metrics.Gauge)]

    def read_all() -> dict[metrics.Gauge, metrics.Reading]:
        return {
            gauge: dict.fromkeys(next(iter(gauge.labels.values())), 1.0) if gauge.labels else 1.0
            for gauge in gauges
        }

    samples: set[str] = set()
    for role in metrics.BOTH:
        metrics.enable(role, read_all)
        samples |= scrape().keys()
    metrics.disable()
    return samples


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_what_is_queried_exists(expression: str, given: set[str]) -> None:
    selectors = SELECTOR.findall(expression)
    assert selectors
    for name, matchers in selectors:
        series = [each for each in given if each.partition("{")[0] == name]
        assert series, f"nothing gives {name}"
        for label, operator, value in MATCHER.findall(matchers):
            if label in OF_PROMETHEUS:
                continue
            for one in value.split("|") if operator == "=~" else [value]:
                assert [each for each in series if f'{label}="{one}"' in each], f"{name} has no {label} {one}"


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_what_is_grouped_by_is_a_label(expression: str, given: set[str]) -> None:
    names = {name for name, _ in SELECTOR.findall(expression)}
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        for label in set(labels.split(", ")) - OF_PROMETHEUS:
            assert [each for each in given if each.partition("{")[0] in names and f'{label}="' in each]


def test_values_of_the_installation_are_not_summed_over_replicas() -> None:
    of_installation = "|".join(("oldest_queued_seconds", "oldest_unordered_seconds", "work", "workers_alive"))
    for expression in expressions():
        assert not re.search(rf"sum[^)]*\(videovault_({of_installation})\b", expression)


def test_there_are_five_alerts_with_an_advice() -> None:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    assert {rule["alert"] for rule in group["rules"]} == ALERTS
    for rule in group["rules"]:
        assert rule["for"]
        assert rule["annotations"]["description"]
    tested = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    firing = {
        case["alertname"] for each in tested for case in each["alert_rule_test"] if case.get("exp_alerts")
    }
    assert firing == ALERTS


def test_the_dashboard_shows_every_metric() -> None:
    shown = {name for panel in expressions() for name, _ in SELECTOR.findall(panel)}
    declared = [each for each in vars(metrics).values() if isinstance(each, metrics.Metric)]
    missing = [each.name for each in declared if not any(name.startswith(each.name) for name in shown)]
    assert missing == []


def test_prometheus_scrapes_what_compose_starts() -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    port_of = {"app": "PORT", "worker": "WORKER_PORT"}
    scraped = {name: target["port"] for target in job["dns_sd_configs"] for name in target["names"]}
    assert scraped == {name: services[name]["environment"][port] for name, port in port_of.items()}
    for name in port_of:
        assert "outside" in services[name]["networks"]
        assert services[name]["environment"]["METRICS_TOKEN"] == "${METRICS_TOKEN:-}"
    # All addresses: that of Prometheus' network, and the loopback one of deploy/healthcheck.py.
    assert services["worker"]["environment"]["WORKER_HOST"] == "0.0.0.0"  # noqa: S104 - compared, not bound
    token = job["authorization"]["credentials_file"]
    assert f":{token}:ro" in (ROOT / "docs" / "monitoring.md").read_text()


def test_panels_neither_overlap_nor_share_ids() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    places: set[tuple[int, int]] = set()
    for panel in panels():
        where: dict[str, int] = panel["gridPos"]  # type: ignore[assignment] # of JSON
        cells = {
            (x, y)
            for x in range(where["x"], where["x"] + where["w"])
            for y in range(where["y"], where["y"] + where["h"])
        }
        assert not cells & places
        places |= cells


def test_the_document_names_every_alert() -> None:
    document = Path(ROOT / "docs" / "monitoring.md").read_text()
    assert all(alert in document for alert in ALERTS)
