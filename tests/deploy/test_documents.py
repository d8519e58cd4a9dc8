"""What README and docs/deploying.md name exists: commands, files, settings, and the policy of the keys."""

import json
import re

import pytest

from tests.support.app import ROOT
from videovault.__main__ import COMMANDS
from videovault.config import Settings
from videovault.services.admin.bucket import Needs, user_policy

README, DEPLOYING = (ROOT / "README.md").read_text(), (ROOT / "docs" / "deploying.md").read_text()
SETTING_NAMES = {name.upper() for name in Settings.model_fields}
COMMAND = re.compile(r"python -m videovault ([a-z][a-z-]*)")
SETTING = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)[`=]")
BUCKET = "your-video-bucket-name"


@pytest.mark.parametrize("text", [README, DEPLOYING], ids=["README", "deploying"])
def test_commands_and_settings_exist(text: str) -> None:
    assert set(COMMAND.findall(text)) <= COMMANDS.keys()
    assert set(SETTING.findall(text)) <= SETTING_NAMES


def test_every_role_and_file_is_explained() -> None:
    for role in ("run", "web", "worker", "migrate", "build", "bucket", "doctor"):
        assert f"`{role}" in DEPLOYING or f"videovault {role}" in DEPLOYING, role
    for path in re.findall(r"\]\(\.\./([^)#]+)\)", DEPLOYING):
        assert (ROOT / path).exists(), path
    for file in (ROOT / "deploy").iterdir():
        is_unit_folder_or_check = file.name in ("healthcheck.py", "__pycache__")
        assert is_unit_folder_or_check or file.name in DEPLOYING, file.name


def test_readme_has_the_policy_that_bucket_show_prints() -> None:
    blocks = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    policies = [json.loads(block) for block in blocks if '"Statement"' in block]
    assert policies == [user_policy(Needs(bucket=BUCKET, origin=""))]
