"""Data written by version 0014 of the database stays valid: orders in progress, idempotency keys, sidecars."""

import json

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from videovault import db, security
from videovault.gateways import storage
from videovault.models import Status
from videovault.services.core import idempotency
from videovault.services.core.idempotency import Answer, Call
from videovault.services.generation import callbacks
from videovault.services.generation.callbacks import Report
from videovault.services.videos import sidecar
from videovault.services.videos.sidecar import Sidecar

pytestmark = pytest.mark.thorough

OWNER, VIDEO = "7c9e6679f1e84b0b8c1a2d3e4f5a6b7c", "video_1796000000000_abcdefghi"
# As that version computed it from the script below.
DIGEST = "2197a6deac4c6b384626b38de2ec127b"
# The fingerprint of {"hook":"Look", … ,"video_id":null}, the fields of that version's model.
REQUEST_HASH = "0d9697e735151811570d05b65b26236a0fcc8ea9ab99bbd5e17def9c2cbe9e3d"
ROWS = (
    """INSERT INTO users (id, email, name, password_hash, is_admin, is_active, created_at)
    VALUES (:owner, 'anna@example.com', '', '-', true, true, '2026-11-30 07:00:00.000000')""",
    """INSERT INTO videos (id, owner_id, title, status, attempt, topic, hook, body, conclusion, company_name,
    social_handles, license, avatar, requested_at, asks, sealed_key, reserved_bytes, bytes_done, share_views,
    created_at, updated_at)
    VALUES (:video, :owner, 'Look', 'generating', 1, 'Bread', 'Look', 'It is a thing.', 'Buy it.', 'Größe & Söhne',
    '', '', 'Anna', '2026-11-30 07:00:01.000000', 0, :sealed_key, 0, 0, 0,
    '2026-11-30 07:00:00.000000', '2026-11-30 07:00:01.000000')""",
    """INSERT INTO idempotency_keys (user_id, endpoint, key, request_hash, holder, lease_until, video_id,
    status_code, sealed_answer, created_at)
    VALUES (:owner, 'generate-video', 'one', :request_hash, 'holder', '2026-11-30 07:00:00.000000', :video,
    202, :sealed_answer, '2099-11-30 07:00:00.000000')""",
)
SIDECAR = {
    "schemaVersion": 1,
    "videoId": VIDEO,
    "owner": {"userId": OWNER, "email": "anna@example.com", "name": ""},
    "title": "Look",
    "script": {
        "topic": "Bread",
        "hook": "Look",
        "body": "It is a thing.",
        "conclusion": "Buy it.",
        "company_name": "Größe & Söhne",
        "social_handles": "",
        "license": "",
        "avatar": "Anna",
    },
    "metadata": {
        "duration": 2.0,
        "size": 5,
        "format": "mp4",
        "width": 160,
        "height": 90,
        "crc32": "0a1b2c3d",
        "etag": '"e"',
    },
    "s3Key": f"videos/{OWNER}/{VIDEO}/1_a.mp4",
    "posterKey": None,
    "createdAt": "2026-11-30T07:00:00.123456Z",
}


@pytest.fixture
def upgraded(database: str) -> None:
    """An upgraded database with rows as version 0014 wrote them."""
    del database
    command.downgrade(Config(str(db.ALEMBIC_INI)), "0014")
    binding = {"owner_id": OWNER, "video_id": VIDEO}
    values = {
        "owner": OWNER,
        "video": VIDEO,
        "request_hash": REQUEST_HASH,
        "sealed_key": security.seal("secret", **binding),
        "sealed_answer": security.seal('{"success": true}', **binding),
    }
    with db.engine().begin() as connection:
        for row in ROWS:
            statement = text(row)
            connection.execute(statement, {name: values[name] for name in statement.compile().params})
    db.migrate()


def reported(digest: str, attempt: list[int]) -> callbacks.ReportOutcome:
    caller = callbacks.generator_caller(security.sign("order", [VIDEO, digest, *attempt]), VIDEO)
    return callbacks.apply(caller, Report(OWNER, VIDEO, "ready", "https://films.example/a.mp4"), enqueue=list)


@pytest.mark.usefixtures("upgraded")
@pytest.mark.parametrize("attempt", [[1], []])
def test_a_report_for_an_order_of_an_earlier_version_is_accepted(attempt: list[int]) -> None:
    """Tokens of still earlier versions have no attempt."""
    taken = reported(DIGEST, attempt)
    assert (taken.superseded, taken.status) == (False, Status.QUEUED)


@pytest.mark.usefixtures("upgraded")
def test_a_report_for_another_script_is_superseded() -> None:
    assert reported("0" * 32, [1]).superseded


@pytest.mark.usefixtures("installation")
def test_a_row_without_a_digest_accepts_any_report() -> None:
    """A worker that is not upgraded yet wrote the row; the render is paid for."""
    values = {
        "owner": OWNER,
        "video": VIDEO,
        "sealed_key": security.seal("s", owner_id=OWNER, video_id=VIDEO),
    }
    with db.engine().begin() as connection:
        for row in ROWS[:2]:
            statement = text(row)
            connection.execute(statement, {name: values[name] for name in statement.compile().params})
    assert reported(DIGEST, [1]).status == Status.QUEUED


@pytest.mark.usefixtures("upgraded")
def test_a_key_of_an_earlier_version_replays_its_first_answer() -> None:
    former = (
        '{"hook":"Look","body":"It is a thing.","conclusion":"Buy it.","company_name":"Größe & Söhne",'
        '"social_handles":"","license":null,"avatar":"Anna","email":"anna@example.com","video_id":null}'
    )
    call = Call(OWNER, "generate-video", "one", '{"any":"json"}', former=former)
    assert idempotency.begin(call) == Answer(202, '{"success": true}')


@pytest.mark.usefixtures("moto_s3")
@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"later": "a field that is not known yet"}, True),
        ({"title": "Other"}, False),
        ({"script": SIDECAR["script"] | {"hook": "Other"}}, False),  # type: ignore[operator]
        ({"script": {"hook": "Look"}}, False),
        ({"metadata": SIDECAR["metadata"] | {"size": 6}}, False),  # type: ignore[operator]
        ({"owner": {"userId": OWNER, "email": "anna@example.com"}}, False),
        ({"schemaVersion": 99}, False),
    ],
)
def test_a_sidecar_is_compared_by_the_fields_of_its_own_schema(change: dict[str, object], fits: bool) -> None:
    wanted = Sidecar.model_validate_json(json.dumps(SIDECAR))
    raw = json.dumps({**SIDECAR, **change}).encode()
    storage.connected().put(wanted.key, raw, sidecar.DESCRIPTION)
    stored = sidecar.read(wanted.folder)
    assert bool(stored and stored.matches(wanted)) == fits


def test_the_fields_of_the_first_schema_are_those_that_are_compared() -> None:
    """A field that is added later must not be added to them."""

    def names(fields: sidecar.Fields) -> dict[str, object]:
        return {name: names(inner) if inner else None for name, inner in fields.items()}

    def written(document: dict[str, object], prefix: str = "") -> set[str]:
        found = set()
        for name, value in document.items():
            found |= written(value, f"{name}.") if isinstance(value, dict) else {prefix + name}
        return found

    first = Sidecar.model_validate_json(json.dumps(SIDECAR)).model_dump(exclude_unset=True)
    assert written(names(sidecar.SCHEMA_FIELDS[1])) == written(first)
