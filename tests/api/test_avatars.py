"""Avatars: edited by admins, offered to all signed-in users, sent by their generator ID."""

from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.api.requests import BRIEF, code, generate
from tests.support.generator import Generator
from tests.support.installation import Configure
from tests.support.people import MakeClient, Person
from videovault.services.generation import avatars, orders

pytestmark = pytest.mark.usefixtures("installation")
LIST, ADMIN = "/api/auth/avatars", "/api/admin/avatars"
# Generator IDs may be in any Unicode form, or a whole address.
LONG = "https://d-id.example/presenters/" + "a" * 16_000 + "?v=1"
DECOMPOSED = "Ame\u0301lie_public_3"


def add(admin: Person, name: str, generator_id: str) -> dict[str, Any]:
    answer = admin.api.post(ADMIN, json={"name": name, "generatorId": generator_id})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


def offered(person: Person) -> list[tuple[str, str]]:
    data = person.api.get(LIST).json()["data"]
    return [(each["name"], each["generatorId"]) for each in data["avatars"]]


def png(colour: str) -> bytes:
    written = BytesIO()
    Image.new("RGB", (40, 30), colour).save(written, "PNG")
    return written.getvalue()


def test_built_in_avatars_are_offered_until_there_are_others(admin: Person, ada: Person) -> None:
    assert offered(ada) == [(name, name) for name in avatars.BUILT_IN_NAMES]
    assert ada.api.get(LIST).json()["data"]["areBuiltIn"] is True
    made = add(admin, "Anna at the desk", "Anna_public_3_20240108")
    assert offered(ada) == [("Anna at the desk", "Anna_public_3_20240108")]
    assert ada.api.get(LIST).json()["data"]["areBuiltIn"] is False
    assert admin.api.delete(f"{ADMIN}/{made['avatarId']}").status_code == 200
    assert offered(ada) == [(name, name) for name in avatars.BUILT_IN_NAMES]


def test_avatars_are_changed_ordered_and_deleted(admin: Person, ada: Person) -> None:
    one, two, three = (add(admin, name, f"id-{name}")["avatarId"] for name in ("One", "Two", "Three"))
    changed = admin.api.patch(f"{ADMIN}/{one}", json={"name": "Uno"}).json()["data"]
    assert (changed["name"], changed["generatorId"]) == ("Uno", "id-One")
    assert admin.api.put(f"{ADMIN}/order", json={"avatarIds": [three, one, two]}).status_code == 200
    assert offered(ada) == [("Three", "id-Three"), ("Uno", "id-One"), ("Two", "id-Two")]
    admin.api.delete(f"{ADMIN}/{one}")
    assert offered(ada) == [("Three", "id-Three"), ("Two", "id-Two")]
    add(admin, "Four", "id-Four")
    assert [name for name, _ in offered(ada)] == ["Three", "Two", "Four"]
    for stale in ([three, two], [three, two, two], [three, one, two], []):
        assert code(admin.api.put(f"{ADMIN}/order", json={"avatarIds": stale})) == (409, "CONFLICT")


def test_invalid_avatars_are_refused_by_field(admin: Person) -> None:
    cases: list[Any] = [
        ({"name": " ", "generatorId": "a"}, "name"),
        ({"name": "x" * 101, "generatorId": "a"}, "name"),
        ({"name": "A\nB", "generatorId": "a"}, "name"),
        ({"name": "A", "generatorId": ""}, "generatorId"),
        ({"name": "A", "generatorId": "a\r\nX-Evil: b"}, "generatorId"),
        ({"name": "A", "generatorId": "a\x00"}, "generatorId"),
        ({"name": "A", "generatorId": "x" * 16_385}, "generatorId"),
        ({"name": "A", "generatorId": "other"}, "generatorId"),
        ({"name": "A", "generatorId": "taken"}, "generatorId"),
        ({"name": "A", "generatorId": 7}, "generatorId"),
        ({"name": "A"}, "generatorId"),
    ]
    add(admin, "Taken", "taken")
    for avatar, field in cases:
        answer = admin.api.post(ADMIN, json=avatar)
        assert code(answer) == (400, "INVALID_INPUT")
        assert set(answer.json()["error"]["fields"]) == {field}
    assert len(offered(admin)) == 1


def test_the_number_of_avatars_is_limited(admin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avatars, "MAX_AVATARS", 3)
    for number in range(3):
        add(admin, f"Avatar {number}", f"id-{number}")
    answer = admin.api.post(ADMIN, json={"name": "One more", "generatorId": "id"})
    assert code(answer) == (409, "CONFLICT")


def test_an_avatars_picture_is_re_encoded_and_changes_its_address(
    admin: Person, ada: Person, client: httpx.Client
) -> None:
    made = add(admin, "Anna", "anna")
    assert "pictureUrl" not in made
    path = f"{ADMIN}/{made['avatarId']}/picture"
    urls = []
    for colour in ("red", "blue"):
        answer = admin.api.put(path, content=png(colour), headers={"Content-Type": "image/png"})
        assert answer.status_code == 200, answer.text
        urls.append(answer.json()["data"]["pictureUrl"])
    assert urls[0] != urls[1]
    assert ada.api.get(LIST).json()["data"]["avatars"][0]["pictureUrl"] == urls[1]
    shown = ada.api.get(urls[1])
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "private" in shown.headers["cache-control"]
    with Image.open(BytesIO(shown.content)) as picture:
        assert picture.size == (256, 256)
    assert client.get(urls[1]).status_code == 401
    assert code(admin.api.put(path, content=b"<svg/>")) == (400, "INVALID_INPUT")
    assert ada.api.get(urls[1]).content == shown.content
    assert "pictureUrl" not in admin.api.delete(path).json()["data"]
    assert ada.api.get(urls[1]).status_code == 404


def test_only_admins_edit_avatars(admin: Person, ada: Person, client: httpx.Client) -> None:
    avatar_id = add(admin, "Anna", "anna")["avatarId"]
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", ADMIN, {"json": {"name": "A", "generatorId": "a"}}),
        ("PATCH", f"{ADMIN}/{avatar_id}", {"json": {"name": "B"}}),
        ("PUT", f"{ADMIN}/order", {"json": {"avatarIds": [avatar_id]}}),
        ("PUT", f"{ADMIN}/{avatar_id}/picture", {"content": png("red")}),
        ("DELETE", f"{ADMIN}/{avatar_id}/picture", {}),
        ("DELETE", f"{ADMIN}/{avatar_id}", {}),
    ]
    for method, path, options in calls:
        assert ada.api.request(method, path, **options).status_code == 403
        assert client.request(method, path, **options).status_code == 401
    assert offered(ada) == [("Anna", "anna")]


@pytest.mark.usefixtures("moto_s3")
@pytest.mark.parametrize("generator_id", ["Anna_public_3_20240108", LONG, DECOMPOSED])
def test_both_webhooks_get_the_unchanged_generator_id(
    admin: Person, ada: Person, generator: Generator, configure: Configure, generator_id: str
) -> None:
    generator.mode = "processing"
    configure(GENERATE_WAIT_SECONDS=0)
    add(admin, "Anna at the desk", generator_id)
    ada.api.post("/api/auth/create-video", json={**BRIEF, "avatar": generator_id, "email": ada.email})
    orders.send_order(str(generate(ada, avatar=generator_id).json()["data"]["videoId"]))
    assert [order["avatar"] for order in generator.requests] == [generator_id, generator_id]


def test_avatar_changes_are_in_the_audit_log(admin: Person, make_client: MakeClient) -> None:
    del make_client
    avatar_id = add(admin, "Anna", "anna")["avatarId"]
    admin.api.patch(f"{ADMIN}/{avatar_id}", json={"name": "Anna K."})
    admin.api.put(f"{ADMIN}/order", json={"avatarIds": [avatar_id]})
    admin.api.delete(f"{ADMIN}/{avatar_id}")
    entries = admin.api.get("/api/admin/events", params={"limit": 4}).json()["data"]["entries"]
    assert [entry["kind"] for entry in entries] == [
        "avatar_deleted",
        "avatars_reordered",
        "avatar_changed",
        "avatar_added",
    ]
    assert {entry["actor"] for entry in entries} == {admin.email}
