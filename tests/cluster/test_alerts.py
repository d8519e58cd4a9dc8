"""The alert rules, evaluated by Prometheus' own tool."""

import shutil
import subprocess

import pytest

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
