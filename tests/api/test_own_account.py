"""The user's own account: password, sessions, API tokens and deletion, for programs and native forms."""

from typing import Any

import httpx
import pytest

from tests.api.requests import AT_ONCE, SAME_ORIGIN, code, store
from tests.support.generator import Generator
from tests.support.people import PASSWORD, MakeClient, Person
from videovault.clock import utcnow
from videovault.db import transaction
from videovault.gateways.storage import Storage
from videovault.models import ApiToken
from videovault.services.maintenance import repair

pytestmark = pytest.mark.usefixtures("installation")

NEW = "battery staple"
LOGIN = {"email": "ada@example.com", "password": PASSWORD}
CHANGE = {"currentPassword": PASSWORD, "newPassword": NEW}


def token(person: Person, scope: str = "write", **more: object) -> dict[str, str]:
    answer = person.api.post("/api/auth/tokens", json={"name": "Nightly", "scope": scope, **more})
    assert answer.status_code == 201, answer.text
    data: dict[str, str] = answer.json()["data"]
    return data


def program(make_client: MakeClient, made: dict[str, str]) -> httpx.Client:
    return make_client(headers={"Authorization": f"Bearer {made['token']}"})


def tokens(person: Person) -> list[dict[str, str]]:
    found: list[dict[str, str]] = person.api.get("/api/auth/tokens").json()["data"]["tokens"]
    return found


def sign_in(client: httpx.Client) -> httpx.Client:
    assert client.post("/api/auth/login", json=LOGIN).status_code == 200
    return client


def test_changing_the_password_starts_a_new_session_and_ends_the_others(
    ada: Person, client: httpx.Client
) -> None:
    sign_in(client)
    before = client.cookies["videovault_session"]
    answer = client.post("/api/auth/password", json=CHANGE, headers=SAME_ORIGIN)
    assert answer.status_code == 200
    assert client.cookies["videovault_session"] == answer.json()["data"]["token"] != before
    assert client.get("/api/auth/me").status_code == 200
    assert code(ada.api.get("/api/auth/me")) == (401, "NOT_SIGNED_IN")


@pytest.mark.parametrize(
    ("wrong", "field", "word"),
    [
        ({"currentPassword": "wrong horse"}, "currentPassword", "wrong"),
        ({"newPassword": "short"}, "newPassword", "password"),
        ({"newPassword": "password123"}, "newPassword", "common"),
        ({"newPassword": "correct\thorse"}, "newPassword", "controls"),
    ],
)
def test_password_change_errors_name_their_field(
    ada: Person, client: httpx.Client, wrong: dict[str, str], field: str, word: str
) -> None:
    answer = ada.api.post("/api/auth/password", json=CHANGE | wrong)
    assert code(answer) == (400, "INVALID_INPUT")
    assert list(answer.json()["error"]["fields"]) == [field]
    form = sign_in(client).post("/api/auth/password", data=CHANGE | wrong, headers=SAME_ORIGIN)
    assert (form.status_code, form.headers["location"]) == (303, f"/account?error={word}")
    both = client.post(
        "/api/auth/password", data={"currentPassword": "", "newPassword": "short"}, headers=SAME_ORIGIN
    )
    assert both.headers["location"] == "/account?error=no-password%2Cpassword"
    assert ada.api.get("/api/auth/me").status_code == 200


def test_a_password_form_redirects_to_the_account(ada: Person, client: httpx.Client) -> None:
    del ada
    answer = sign_in(client).post("/api/auth/password", data=CHANGE, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?done=password")
    assert client.get("/api/auth/me").status_code == 200


def test_signing_in_again_ends_the_browsers_previous_session(ada: Person, client: httpx.Client) -> None:
    before = sign_in(client).cookies["videovault_session"]
    assert client.post("/api/auth/login", json=LOGIN, headers=SAME_ORIGIN).status_code == 200
    assert client.cookies["videovault_session"] != before
    stolen = client.get("/api/auth/me", headers={"Authorization": f"Bearer {before}"})
    assert stolen.status_code == 401
    assert ada.api.get("/api/auth/me").status_code == 200


def test_sessions_are_listed_without_tokens_and_ended(ada: Person, make_client: MakeClient) -> None:
    phone = sign_in(make_client(headers={"User-Agent": "Phone/1"}))
    answer = ada.api.get("/api/auth/sessions")
    assert ada.token not in answer.text
    found = {one["userAgent"]: one for one in answer.json()["data"]["sessions"]}
    assert found["Phone/1"]["isCurrent"] is False
    address = f"/api/auth/sessions/{found['Phone/1']['sessionId']}"
    assert ada.api.delete(address).status_code == 200
    assert phone.get("/api/auth/me").status_code == 401
    assert code(ada.api.delete(address)) == (404, "NOT_FOUND")


def test_the_account_is_renamed(ada: Person) -> None:
    assert ada.api.patch("/api/auth/me", json={"name": " Ada L. "}).json()["data"]["user"]["name"] == "Ada L."
    assert code(ada.api.patch("/api/auth/me", json={"name": "x" * 101})) == (400, "INVALID_INPUT")


def test_protected_fields_are_ignored(ada: Person, client: httpx.Client) -> None:
    more = {"isAdmin": True, "is_admin": True, "quotaBytes": 0, "quota_bytes": 0, "userId": "me", "id": "me"}
    before = ada.api.get("/api/auth/me").json()["data"]["user"]
    changed = ada.api.patch("/api/auth/me", json={"name": "Ada", **more}).json()["data"]["user"]
    assert changed == {**before, "name": "Ada"}
    made = client.post("/api/auth/register", json={"email": "eve@example.com", "password": PASSWORD, **more})
    user = made.json()["data"]["user"]
    assert (user["isAdmin"], user["quotaBytes"]) == (False, before["quotaBytes"])
    assert user["userId"] != "me"


def test_a_token_is_shown_once_and_works_until_it_is_revoked(ada: Person, make_client: MakeClient) -> None:
    made = token(ada)
    api = program(make_client, made)
    assert api.get("/api/auth/me").json()["data"]["user"]["email"] == ada.email
    [listed] = tokens(ada)
    assert made["token"] not in str(listed)
    assert (listed["name"], listed["scope"]) == ("Nightly", "write")
    assert listed["lastUsedAt"]
    assert "expiresAt" not in listed
    assert ada.api.delete(f"/api/auth/tokens/{made['tokenId']}").status_code == 200
    assert code(api.get("/api/auth/me")) == (401, "NOT_SIGNED_IN")
    assert tokens(ada) == []


def test_an_api_token_survives_a_password_change_but_not_its_expiry(
    ada: Person, make_client: MakeClient
) -> None:
    made = token(ada, expiresInDays=1)
    api = program(make_client, made)
    ada.api.post("/api/auth/password", json=CHANGE)
    assert api.get("/api/auth/me").status_code == 200
    with transaction() as session:
        session.get_one(ApiToken, made["tokenId"]).expires_at = utcnow()
    assert api.get("/api/auth/me").status_code == 401


def test_a_write_token_stores_videos(
    ada: Person, make_client: MakeClient, generator: Generator, moto_s3: Storage
) -> None:
    del moto_s3
    writer = Person(ada.user_id, ada.email, "", program(make_client, token(ada)))
    assert store(writer, generator.video_url, headers=AT_ONCE).status_code == 202


def test_api_token_parameters_are_validated(ada: Person) -> None:
    cases: list[Any] = [
        {"name": ""},
        {"name": "x" * 101},
        {"scope": "all"},
        {"expiresInDays": 0},
        {"expiresInDays": 9999},
    ]
    for wrong in cases:
        answer = ada.api.post("/api/auth/tokens", json={"name": "Nightly", **wrong})
        assert code(answer) == (400, "INVALID_INPUT")
        assert list(answer.json()["error"]["fields"]) == list(wrong)


def test_other_users_tokens_cannot_be_revoked(ada: Person, bob: Person) -> None:
    made = token(ada)
    assert code(bob.api.delete(f"/api/auth/tokens/{made['tokenId']}")) == (404, "NOT_FOUND")
    assert len(tokens(ada)) == 1


@pytest.mark.usefixtures("jobs")
def test_deleting_the_account_removes_everything(
    ada: Person, client: httpx.Client, generator: Generator, moto_s3: Storage
) -> None:
    store(ada, generator.video_url)
    assert list(moto_s3.keys())
    answer = ada.api.post("/api/auth/delete-account", json={"password": "wrong horse"})
    assert code(answer) == (400, "INVALID_INPUT")
    sign_in(client)
    answer = client.post("/api/auth/delete-account", data={"password": PASSWORD}, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?done=deleted")
    assert "videovault_session" not in client.cookies
    assert ada.api.get("/api/auth/me").status_code == 401
    assert client.post("/api/auth/login", json=LOGIN).status_code == 401
    assert client.post("/api/auth/register", json=LOGIN).status_code == 201
    repair.repair(enqueue=lambda _video_id: None)
    assert list(moto_s3.keys()) == []


def test_the_last_admin_cannot_delete_the_account(admin: Person, ada: Person) -> None:
    body = {"password": PASSWORD}
    assert code(admin.api.post("/api/auth/delete-account", json=body)) == (409, "CONFLICT")
    assert admin.api.get("/api/auth/me").status_code == 200
    assert ada.api.post("/api/auth/delete-account", json=body).status_code == 200
    assert admin.api.post("/api/auth/delete-account", json=body).status_code == 200
