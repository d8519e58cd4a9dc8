"""A process whose settings are not those of the installation is refused, by the name of each setting."""

import tomllib

import pytest
from sqlmodel import delete, select

from tests.support.installation import ROOT, Configure
from tests.support.videos import insert_video
from videovault import __version__
from videovault.db import reading, transaction
from videovault.errors import ConfigurationError
from videovault.models import Event, InstallationFact, Status
from videovault.services.accounts import accounts
from videovault.services.core.access import Caller
from videovault.services.maintenance import identity
from videovault.services.maintenance.identity import Role

CLUSTER = {
    "AWS_S3_BUCKET_NAME": "films",
    "AWS_ENDPOINT_URL_S3": "http://user:hidden-1@s3.internal:9000",
    "QUEUE_URL": "redis://:hidden-2@queue.internal",
    "VIDEO_WEBHOOK_URL": "https://generator.example.com/video",
}


@pytest.fixture
def in_use(installation: object) -> Caller:
    """An installation with a video, which could be lost."""
    del installation
    owner = accounts.authenticate(accounts.register("anna@example.com", "correct horse").token)
    insert_video(owner, Status.READY)
    return owner


def refusal(role: Role) -> str:
    """What this process is told; empty if it may start."""
    try:
        identity.check(role)
        identity.record(role)
    except ConfigurationError as error:
        return error.public_message
    return ""


@pytest.mark.parametrize(
    ("setting", "value", "installation_has", "process_has"),
    [
        ("AWS_S3_BUCKET_NAME", "others", "films", "others"),
        ("AWS_S3_BUCKET_NAME", "", "films", "the embedded S3"),
        ("AWS_ENDPOINT_URL_S3", "", "http://s3.internal:9000", "AWS"),
        ("AWS_ENDPOINT_URL_S3", "http://s3.internal:9001", "http://s3.internal:9000", "http://s3.internal:9001"),
        ("QUEUE_URL", "", "redis://queue.internal:6379/0", "SQLite (queue.db)"),
        ("QUEUE_URL", "redis://queue.internal/1", "redis://queue.internal:6379/0", "redis://queue.internal:6379/1"),
        ("QUEUE_URL", "postgresql://u:hidden-3@pg/q", "redis://queue.internal:6379/0", "postgresql://pg:5432/q"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("in_use")
def test_another_place_is_refused_by_the_name_of_its_setting(
    configure: Configure, setting: str, value: str, installation_has: str, process_has: str
) -> None:
    configure(**CLUSTER)
    identity.record(Role.APP)
    configure(**{setting: value})
    for role in Role:
        told = refusal(role)
        assert f"{setting}: the installation uses {installation_has}, this process {process_has}." in told
        assert told.count(": the installation uses ") == 1
        assert "hidden" not in told


@pytest.mark.usefixtures("in_use")
def test_another_name_of_the_same_place_is_accepted(configure: Configure) -> None:
    configure(**CLUSTER)
    identity.record(Role.APP)
    same = {"AWS_ENDPOINT_URL_S3": "http://S3.internal:9000/", "QUEUE_URL": "rediss://queue.internal:6379/0"}
    configure(**same)
    assert refusal(Role.WORKER) == refusal(Role.APP) == ""


def test_an_installation_without_videos_on_one_machine_changes_by_its_settings(configure: Configure) -> None:
    identity.record(Role.APP)
    configure(AWS_S3_BUCKET_NAME="films")
    assert "AWS_S3_BUCKET_NAME" in refusal(Role.WORKER)
    assert refusal(Role.APP) == ""
    assert identity.recorded()[identity.BUCKET] == "films"


@pytest.mark.usefixtures("in_use")
def test_an_endpoint_that_only_boto3_reads_counts(configure: Configure) -> None:
    configure(AWS_S3_BUCKET_NAME="films")
    identity.record(Role.APP)
    configure(AWS_ENDPOINT_URL="http://s3.internal:9000")
    assert "the installation uses AWS, this process http://s3.internal:9000." in refusal(Role.WORKER)


@pytest.mark.usefixtures("in_use")
def test_an_accepted_change_is_in_the_audit_log(configure: Configure) -> None:
    identity.record(Role.APP)
    configure(**CLUSTER)
    assert refusal(Role.APP)
    identity.accept()
    assert refusal(Role.APP) == refusal(Role.WORKER) == ""
    with reading() as session:
        details = session.exec(select(Event.detail).where(Event.kind == identity.CHANGED)).all()
    changed = {detail["name"]: (detail["from"], detail["to"]) for detail in details}
    assert changed["AWS_S3_BUCKET_NAME"] == ("the embedded S3", "films")
    assert changed["QUEUE_URL"] == ("SQLite (queue.db)", "redis://queue.internal:6379/0")


@pytest.mark.usefixtures("in_use")
def test_a_command_records_nothing(configure: Configure) -> None:
    configure(**CLUSTER)
    identity.check(Role.COMMAND)
    assert identity.recorded() == {}


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


def test_the_newest_version_is_kept(installation: object) -> None:
    del installation
    identity.record(Role.APP)
    assert identity.recorded()[identity.VERSION] == __version__
    with transaction() as session:
        identity._write(session, {identity.VERSION: "99.0.0"})
    identity.record_version()
    identity.record(Role.APP)
    assert identity.recorded()[identity.VERSION] == "99.0.0"


class TestDatabaseOfAnotherMachine:
    """Where each machine could have embedded parts of its own."""

    pytestmark = pytest.mark.postgres

    @pytest.fixture(autouse=True)
    def _external(self, configure: Configure, shared_postgres: str) -> None:
        configure(DATABASE_URL=shared_postgres, **CLUSTER)
        with transaction() as session:
            session.exec(delete(InstallationFact))

    @pytest.mark.parametrize("setting", ["AWS_S3_BUCKET_NAME", "QUEUE_URL", "VIDEO_WEBHOOK_URL"])
    def test_a_worker_brings_no_part_of_its_own(
        self, configure: Configure, monkeypatch: pytest.MonkeyPatch, setting: str
    ) -> None:
        monkeypatch.delenv(setting)
        configure()
        assert f"  {setting}: this process would use" in refusal(Role.WORKER)
        assert identity.recorded() == {}
        configure(**CLUSTER)
        identity.record(Role.APP)
        monkeypatch.delenv(setting)
        configure()
        assert f"{setting}: the installation uses" in refusal(Role.WORKER)

    def test_the_embedded_parts_of_another_data_dir_are_others(
        self, configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: object
    ) -> None:
        for name in CLUSTER:
            monkeypatch.delenv(name)
        configure()
        identity.record(Role.APP)
        assert refusal(Role.APP) == refusal(Role.WORKER) == ""
        configure(DATA_DIR=f"{tmp_path}/elsewhere")
        told = refusal(Role.APP)
        assert all(f"{name}: the installation" in told for name in CLUSTER if name != "AWS_ENDPOINT_URL_S3")

    def test_an_external_generator_replaces_the_studio_without_confirmation(
        self, configure: Configure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("VIDEO_WEBHOOK_URL")
        configure()
        identity.record(Role.APP)
        configure(**CLUSTER)
        assert refusal(Role.WORKER) == refusal(Role.APP) == ""
        monkeypatch.delenv("VIDEO_WEBHOOK_URL")
        configure(WORKERS=0)
        assert refusal(Role.APP) == ""  # it orders nothing, and does not speak for the installation
        assert identity.recorded()[identity.GENERATOR] == identity.EXTERNAL
