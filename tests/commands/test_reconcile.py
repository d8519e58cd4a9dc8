"""`python -m videovault reconcile`: what a person reads, what a program reads, and the exit status."""

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
    """A stored video with a title that must not be taken for markup."""
    del moto_s3
    view = gallery.store_link(anna, generator.video_url, anna.email, "[red]Launch", enqueue=lambda _: None)
    pipeline.produce(view.video_id, stopping=lambda: False)
    return view.video_id


def lose(vault: Storage, ending: str) -> None:
    vault.delete([key for key in vault.keys() if key.endswith(ending)])  # noqa: SIM118 - not a dict


@pytest.mark.usefixtures("video_id")
def test_where_all_is_well_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconcile"]) == 0
    said = capsys.readouterr().out
    assert "1 stored videos; 3 objects of" in said
    assert "Bucket and database agree." in said


def test_what_is_found_is_counted_named_and_explained(
    video_id: str, moto_s3: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(moto_s3, "video.json")
    assert main(["reconcile"]) == 1
    said = capsys.readouterr().out
    assert "Sidecars that are missing or out of date" in said
    assert f"{video_id}  [red]Launch" in said
    assert "What to do next" in said
    assert "--repair writes them." in said
    assert main(["reconcile", "--repair"]) == 0
    assert "Everything that can be mended is mended." in capsys.readouterr().out
    assert main(["reconcile"]) == 0


def test_what_could_not_be_mended_is_told_by_the_exit_status(
    video_id: str, anna: Caller, moto_s3: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"videos/{anna.user_id}/{video_id}/1_young.mp4"
    moto_s3.put(key, b"moving", Description("video/mp4"))
    assert main(["reconcile", "--repair"]) == 1
    assert f"{key}  6 bytes  too young to be judged" in capsys.readouterr().out


@pytest.mark.usefixtures("video_id")
def test_programs_get_json_and_nothing_else(moto_s3: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    lose(moto_s3, "poster.webp")
    assert main(["reconcile", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["left"], report["found"][0]["kind"]) == (1, 1, "missing_poster")


def test_a_lost_database_is_rebuilt_and_the_output_says_what_comes_next(
    video_id: str, anna: Caller, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(DATABASE_URL="sqlite:///new.db")
    assert main(["reconcile", "--repair"]) == 2
    assert "--rebuild" in capsys.readouterr().err
    assert main(["reconcile", "--rebuild"]) == 0
    said = capsys.readouterr().out
    for told in (anna.email, "links that were shared before", "create-admin"):
        assert told in said
    assert gallery.get(anna, video_id).title == "[red]Launch"
    assert main(["reconcile", "--rebuild"]) == 0
    assert "Nothing was to be rebuilt." in capsys.readouterr().out
    assert main(["reconcile"]) == 0


def test_what_cannot_be_rebuilt_is_named(
    video_id: str, moto_s3: Storage, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    lose(moto_s3, ".mp4")
    configure(DATABASE_URL="sqlite:///new.db")
    db.migrate()
    assert main(["reconcile", "--rebuild", "--json"]) == 1
    rebuilt = json.loads(capsys.readouterr().out)
    assert rebuilt["notRebuilt"]["count"] == 1
    assert video_id in rebuilt["notRebuilt"]["examples"][0]["name"]


def test_the_embedded_s3_runs_for_as_long_as_it_takes(
    installation: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del installation
    assert main(["reconcile"]) == 0
    assert "Bucket and database agree." in capsys.readouterr().out


def test_repairing_and_rebuilding_are_two_things() -> None:
    with pytest.raises(SystemExit):
        main(["reconcile", "--repair", "--rebuild"])
