"""The alert rules, evaluated by Prometheus and by its own tool."""

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import alerts
from tests.deploy.test_monitoring import ALERTS
from tests.support.installation import ROOT

pytestmark = pytest.mark.cluster
FOLDER = ROOT / "deploy" / "monitoring"


@pytest.fixture
def promtool() -> str:
    """Skipped where it is not installed (Debian: package prometheus)."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed here")
    return found


@pytest.mark.parametrize("command", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]])
def test_every_rule_is_valid_and_fires_when_it_should(promtool: str, command: list[str]) -> None:
    ran = subprocess.run([promtool, *command], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_rule_fires_during_a_fault_of_a_real_cluster_and_ends_after_it(tmp_path: Path) -> None:
    """All durations of the rules are divided, so that it takes some minutes."""
    found = alerts.run(tmp_path / "cluster", alerts.SPEED)
    assert {firing.rule for firing in found} == ALERTS
