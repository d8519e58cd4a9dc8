"""A real Prometheus that scrapes processes of a test and evaluates the alert rules of deploy/monitoring."""

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.app import ROOT, free_port
from tests.support.part import Part
from tests.support.scrape import TOKEN
from tests.support.services import answers, service
from tests.support.waiting import HANG_SECONDS

RULES = ROOT / "deploy" / "monitoring" / "alerts.yml"
SCRAPE_SECONDS = 3  # longer than a scrape may take while the database does not answer
DURATION = re.compile(r"\[(\d+)m\]")
AGE = re.compile(r"(_seconds\) > )(\d+)")


@dataclass(frozen=True)
class Prometheus:
    url: str
    part: Part

    def states(self) -> dict[str, str]:
        """``inactive``, ``pending`` or ``firing`` by the name of the rule."""
        return {rule["name"]: rule["state"] for rule in self._rules()}

    def firing(self) -> set[str]:
        return {name for name, state in self.states().items() if state == "firing"}

    def summary(self, name: str) -> str:
        """What a firing rule says."""
        alerts = next(rule["alerts"] for rule in self._rules() if rule["name"] == name)
        return str(alerts[0]["annotations"]["summary"])

    def unhealthy(self) -> list[str]:
        """Scrape targets whose last scrape failed, and rules that cannot be evaluated."""
        targets = self._get("targets")["activeTargets"]
        failed = [f"{each['scrapeUrl']}: {each['lastError']}" for each in targets if each["health"] == "down"]
        return failed + [
            f"{rule['name']}: {rule['lastError']}" for rule in self._rules() if rule.get("lastError")
        ]

    def _rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str) -> Any:
        return httpx.get(f"{self.url}/api/v1/{what}", timeout=HANG_SECONDS).raise_for_status().json()["data"]


@contextmanager
def running_prometheus(folder: Path, ports: Sequence[str], *, speed: int = 1) -> Iterator[Prometheus]:
    """It scrapes these ports of this machine; all durations of the rules are divided by ``speed``."""
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed here")
    folder.mkdir()
    (folder / "alerts.yml").write_text(json.dumps(faster(RULES.read_text(), speed)))
    (folder / "prometheus.yml").write_text(json.dumps(_configuration(ports)))
    url = f"http://127.0.0.1:{free_port()}"
    part = service(
        "prometheus",
        folder,
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--log.level=warn",
    )
    part.ready = lambda: answers(f"{url}/-/ready")
    try:
        part.start()
        yield Prometheus(url, part)
    finally:
        part.close()


def faster(rules: str, speed: int) -> dict[str, Any]:
    """The rules with shorter windows, waiting times and ages; counts and shares stay as they are."""
    loaded: dict[str, Any] = yaml.safe_load(rules)
    for group in loaded["groups"]:
        for rule in group["rules"]:
            rule["for"] = f"{int(rule['for'].removesuffix('m')) * 60 // speed}s"
            shorter = DURATION.sub(lambda found: f"[{int(found[1]) * 60 // speed}s]", rule["expr"])
            rule["expr"] = AGE.sub(lambda found: f"{found[1]}{int(found[2]) // speed}", shorter)
    return loaded


def _configuration(ports: Sequence[str]) -> dict[str, Any]:
    return {
        "global": {
            "scrape_interval": f"{SCRAPE_SECONDS}s",
            "scrape_timeout": f"{SCRAPE_SECONDS}s",
            "evaluation_interval": "1s",
        },
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {
                "job_name": "videovault",
                "authorization": {"credentials": TOKEN},
                "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
            }
        ],
    }
