"""`python -m videovault reconcile`: text output, JSON output and exit status."""

import json
from pathlib import Path

import pytest

from tests.support.generator import Generator
from tests.support.installation import Configure
from videovault import db
from videovault.__main__ import main
from videovault.gateways.storage import Description, Storage
from videovault.services.accounts import accounts
from videovault.services.core.access import Caller
from videovault.services.transfer import pipeline
from videovault.services.videos import gallery

pytestmark = pytest.mark.thorough


@pytest.fixture
def anna(installation: Path) -> Caller:
    del installation
    return accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)


@pytest.fixture
def video_id(moto_s3: Storage, generator: Generator, anna: Caller) -> str:
    """A stored video whose title looks like markup."""
    del moto_s3
    view = gallery.store_link(anna, generator.video_url, anna.email, "[red]Launch", enqueue=lambda _: None)
    pipeline.produce(view.video_id, stopping=lambda: False)
    return view.video_id


def lose(vault: Storage, ending: str) -> None:
    vault.delete([key for key in vault.keys() if key.endswith(ending)])  # noqa: SIM118 - not a dict


@pytest.mark.usefixtures("video_id")
def test_no_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconcile"]) == 0
    output = capsys.readouterr().out
    assert "1 stored videos; 3 objects of" in output
    assert "Bucket and database agree." in output


def test_findings_are_counted_named_and_explained(
    video_id: str, moto_s3: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(moto_s3, "video.json")
    assert main(["reconcile"]) == 1
    output = capsys.readouterr().out
    assert "Missing or outdated sidecars" in output
    assert f"{video_id}  [red]Launch" in output
    assert "What to do next" in output
    assert "Repair writes them." in output
    assert main(["reconcile", "--repair"]) == 0
    assert "Everything that can be repaired is repaired." in capsys.readouterr().out
    assert main(["reconcile"]) == 0


def test_exit_status_is_1_when_findings_are_left(
    video_id: str, anna: Caller, moto_s3: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"videos/{anna.user_id}/{video_id}/1_young.mp4"
    moto_s3.put(key, b"moving", Description("video/mp4"))
    assert main(["reconcile", "--repair"]) == 1
    assert f"{key}  6 bytes  too young to be judged" in capsys.readouterr().out


@pytest.mark.usefixtures("video_id")
def test_json_output(moto_s3: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    lose(moto_s3, "poster.webp")
    assert main(["reconcile", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["left"], report["found"][0]["kind"]) == (1, 1, "missing_poster")


def test_rebuild_prints_the_next_steps(
    video_id: str, anna: Caller, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(DATABASE_URL="sqlite:///new.db")
    assert main(["reconcile", "--repair"]) == 2
    assert "--rebuild" in capsys.readouterr().err
    assert main(["reconcile", "--rebuild"]) == 0
    output = capsys.readouterr().out
    for text in (anna.email, "earlier share links", "create-admin"):
        assert text in output
    assert gallery.get(anna, video_id).title == "[red]Launch"
    assert main(["reconcile", "--rebuild"]) == 0
    assert "There was nothing to rebuild." in capsys.readouterr().out
    assert main(["reconcile"]) == 0


def test_folder_that_cannot_be_rebuilt_is_named(
    video_id: str, moto_s3: Storage, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(moto_s3, ".mp4")
    configure(DATABASE_URL="sqlite:///new.db")
    db.migrate()
    assert main(["reconcile", "--rebuild", "--json"]) == 1
    rebuilt = json.loads(capsys.readouterr().out)
    assert rebuilt["notRebuilt"]["count"] == 1
    assert video_id in rebuilt["notRebuilt"]["examples"][0]["name"]


def test_embedded_s3_is_started_for_the_command(
    installation: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del installation
    assert main(["reconcile"]) == 0
    assert "Bucket and database agree." in capsys.readouterr().out


def test_repair_and_rebuild_exclude_each_other() -> None:
    with pytest.raises(SystemExit):
        main(["reconcile", "--repair", "--rebuild"])
