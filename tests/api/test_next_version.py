"""A version with one more brief field continues this version's renders, keys and sidecars."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.requests import GENERATE, SCRIPT, generate
from tests.support.generator import Generator
from tests.support.installation import ROOT, Configure
from tests.support.people import Person
from tests.support.waiting import HANG_SECONDS
from videovault.services.generation import orders
from videovault.services.transfer import pipeline

# By file: an existing line, and the line that the next version adds after it.
ADDED = {
    "brief.py": (
        '    license: Annotated[OptionalText, Rule("License", 200)] = ""\n',
        '    tone: Annotated[OptionalText, Rule("Tone", 80)] = ""\n',
    ),
}
MIGRATION = """import sqlalchemy as sa
from alembic import op

revision, down_revision = "9999", {before!r}


def upgrade():
    op.add_column("videos", sa.Column("tone", sa.String(), nullable=False, server_default=""))
"""
PROGRAM = """import json, sys
from datetime import timedelta
from fastapi.testclient import TestClient
from videovault import db
from videovault.api.app import create_api
from videovault.services.core import fields
from videovault.services.maintenance import reconcile

order, call = json.load(sys.stdin)
db.migrate()
client = TestClient(create_api(), base_url="http://localhost:3000")
told = {"userId": order["userId"], "videoId": order["videoId"], "status": "ready", "videoUrl": order["film"]}
token = {"Authorization": "Bearer " + order["callbackToken"]}
reported = client.put("/api/auth/video/status", json=told, headers=token)
again = client.post(call["path"], json=call["json"], headers=call["headers"])
report = reconcile.reconcile(repair=False, min_age=timedelta(0))
print(json.dumps({
    "has the field": "tone" in fields.SCRIPT,
    "report": [reported.status_code, reported.json()["data"]["progress"]["stage"]],
    "again": [again.status_code, again.headers.get("idempotency-replayed"), again.json()],
    "compared": report.videos,
    "differences": [each.title for each in report.found],
}))
"""


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """A copy of the product with one more field in the brief."""
    place = tmp_path / "next"
    for name in ("videovault", "alembic"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", place)
    for name, (known, added) in ADDED.items():
        file = place / "videovault" / name
        text = file.read_text()
        assert known in text
        file.write_text(text.replace(known, known + added))
    versions = place / "alembic" / "versions"
    newest = max(file.name for file in versions.glob("[0-9]*.py"))
    (versions / "9999_tone.py").write_text(MIGRATION.format(before=newest.partition("_")[0]))
    return place


@pytest.mark.process
@pytest.mark.usefixtures("moto_s3")
def test_a_version_with_one_more_brief_field_continues_earlier_work(
    ada: Person, generator: Generator, configure: Configure, next_version: Path
) -> None:
    configure(GENERATE_WAIT_SECONDS=0)
    stored = generate(ada).json()["data"]["videoId"]
    pipeline.produce(stored, stopping=lambda: False)
    generator.mode = "processing"
    headers = {"Idempotency-Key": "one", "Authorization": f"Bearer {ada.token}"}
    call = {"path": GENERATE, "json": {**SCRIPT, "email": ada.email}, "headers": headers}
    first = ada.api.post(GENERATE, json=call["json"], headers=headers)
    orders.send_order(first.json()["data"]["videoId"])
    order = {**generator.requests[-1], "film": generator.video_url}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps([order, call]),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        env={**os.environ, "PYTHONPATH": str(next_version)},
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == {
        "has the field": True,
        "report": [202, "queued"],
        "again": [first.status_code, "true", first.json()],
        "compared": 1,
        "differences": [],
    }
