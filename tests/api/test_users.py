"""Users: invitations, admin rights, quotas and password resets."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import SQLModel, col, func, select

from tests.api.requests import SAME_ORIGIN, code
from tests.support.installation import Configure
from tests.support.mail_server import MailServer, mail_server
from tests.support.people import BASE, PASSWORD, MakeClient, Person
from videovault import security
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.models import Channel, Invitation, OutboxMessage
from videovault.security import Order
from videovault.services import outbox

pytestmark = pytest.mark.usefixtures("installation")

NEW = "battery staple"


@pytest.fixture
def mail(configure: Configure) -> Iterator[MailServer]:
    with mail_server() as running:
        configure(
            SMTP_URL=f"smtp://127.0.0.1:{running.port}", MAIL_FROM="videos@brot.example", MAIL_NOTICES="off"
        )
        yield running


def invitation_token(admin: Person, email: str | None = None) -> str:
    """The token of a new invitation."""
    answer = admin.api.post("/api/admin/invitations", json={"email": email} if email else {})
    assert answer.status_code == 201, answer.text
    link = answer.json()["data"]
    assert link["expiresAt"].endswith("Z")
    assert link["url"].startswith(f"{BASE}/register?invitation=")
    return str(link["url"].partition("=")[2])


def register(client: httpx.Client, email: str, invitation: str = "") -> httpx.Response:
    client.cookies.clear()
    body = {"email": email, "password": PASSWORD, "invitation": invitation}
    return client.post("/api/auth/register", json=body)


def login(client: httpx.Client, password: str) -> int:
    return client.post("/api/auth/login", json={"email": "ada@example.com", "password": password}).status_code


def reset_token(admin: Person, user: Person) -> str:
    answer = admin.api.post(f"/api/admin/users/{user.user_id}/reset-link")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["url"].partition("/reset?token=")[2])


def change(admin: Person, user: Person, **wanted: object) -> httpx.Response:
    return admin.api.patch(f"/api/admin/users/{user.user_id}", json=wanted)


def pending_messages() -> list[OutboxMessage]:
    """The outbox messages that will be sent."""
    with reading() as session:
        due = select(OutboxMessage).where(col(OutboxMessage.next_attempt_at).is_not(None))
        return list(session.exec(due))


def row_counts() -> Counter[str]:
    """The number of rows in each table."""
    with reading() as session:
        counted = {
            name: session.execute(func.count().select().select_from(table)).scalar_one()
            for name, table in SQLModel.metadata.tables.items()
        }
    return Counter({name: count for name, count in counted.items() if count})


def test_an_invitation_creates_one_account(admin: Person, configure: Configure, client: httpx.Client) -> None:
    configure(SIGNUP="invite")
    assert code(register(client, "eve@example.com")) == (403, "FORBIDDEN")
    assert code(register(client, "eve@example.com", "made.up.token")) == (403, "FORBIDDEN")
    token = invitation_token(admin)
    assert register(client, "bob@example.com", token).status_code == 201
    assert code(register(client, "eve@example.com", token)) == (403, "FORBIDDEN")


def test_an_invitation_is_bound_to_its_email_address(
    admin: Person, configure: Configure, client: httpx.Client
) -> None:
    configure(SIGNUP="invite")
    token = invitation_token(admin, "Bob@Example.com")
    assert code(register(client, "eve@example.com", token)) == (403, "FORBIDDEN")
    assert register(client, "bob@example.com", token).status_code == 201


def test_a_failed_registration_does_not_use_its_invitation(
    admin: Person, configure: Configure, client: httpx.Client
) -> None:
    configure(SIGNUP="invite")
    token = invitation_token(admin)
    assert code(register(client, "admin@example.com", token)) == (409, "CONFLICT")
    assert register(client, "bob@example.com", token).status_code == 201


def test_an_expired_invitation_is_refused(admin: Person, configure: Configure, client: httpx.Client) -> None:
    configure(SIGNUP="invite")
    token = invitation_token(admin)
    with transaction() as session:
        session.exec(select(Invitation)).one().expires_at = utcnow() - timedelta(seconds=1)
    assert code(register(client, "bob@example.com", token)) == (403, "FORBIDDEN")


def test_a_failed_register_form_keeps_its_invitation(
    admin: Person, configure: Configure, client: httpx.Client
) -> None:
    configure(SIGNUP="invite")
    token = invitation_token(admin)
    form = {"email": "bob@example.com", "password": "short", "invitation": token}
    answer = client.post("/api/auth/register", data=form, headers=SAME_ORIGIN)
    assert (
        answer.headers["location"] == f"/register?error=password&email=bob%40example.com&invitation={token}"
    )
    form["invitation"] = "spent"
    answer = client.post("/api/auth/register", data={**form, "password": PASSWORD}, headers=SAME_ORIGIN)
    assert answer.headers["location"].startswith("/register?error=invitation")


def test_only_admins_invite_unless_signup_is_closed(
    admin: Person, ada: Person, configure: Configure, client: httpx.Client
) -> None:
    assert code(ada.api.post("/api/admin/invitations", json={})) == (403, "FORBIDDEN")
    token = invitation_token(admin)
    configure(SIGNUP="closed")
    assert code(admin.api.post("/api/admin/invitations", json={})) == (409, "CONFLICT")
    assert code(register(client, "bob@example.com", token)) == (403, "FORBIDDEN")


def test_signed_tokens_are_valid_for_their_purpose_only(
    admin: Person, ada: Person, configure: Configure, client: httpx.Client
) -> None:
    configure(SIGNUP="invite")
    reset, invitation = reset_token(admin, ada), invitation_token(admin)
    assert code(register(client, "eve@example.com", reset)) == (403, "FORBIDDEN")
    for token in (invitation, security.callback_token(Order("video_1_a", ""))):
        answer = client.post("/api/auth/reset", json={"token": token, "password": NEW})
        assert code(answer) == (403, "FORBIDDEN")


def test_a_reset_link_works_once_and_ends_every_session(
    admin: Person, ada: Person, client: httpx.Client
) -> None:
    token = reset_token(admin, ada)
    answer = client.post("/api/auth/reset", json={"token": token, "password": NEW})
    assert answer.status_code == 200
    assert ada.api.get("/api/auth/me").status_code == 401
    assert (login(client, PASSWORD), login(client, NEW)) == (401, 200)
    client.cookies.clear()
    again = client.post("/api/auth/reset", json={"token": token, "password": "yet another horse"})
    assert code(again) == (403, "FORBIDDEN")
    assert login(client, NEW) == 200


def test_a_reset_form_redirects_to_the_login_or_returns_with_its_token(
    admin: Person, ada: Person, client: httpx.Client
) -> None:
    token = reset_token(admin, ada)
    answer = client.post(
        "/api/auth/reset", data={"token": token, "password": "password123"}, headers=SAME_ORIGIN
    )
    assert answer.headers["location"] == f"/reset?error=common&token={token}"
    answer = client.post("/api/auth/reset", data={"token": token, "password": NEW}, headers=SAME_ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?done=reset")
    answer = client.post("/api/auth/reset", data={"token": token, "password": NEW}, headers=SAME_ORIGIN)
    assert answer.headers["location"] == f"/reset?error=spent&token={token}"


def test_only_signed_in_admins_make_reset_links(admin: Person, ada: Person, make_client: MakeClient) -> None:
    path = f"/api/admin/users/{admin.user_id}/reset-link"
    assert code(ada.api.post(path)) == (403, "FORBIDDEN")
    made = admin.api.post("/api/auth/tokens", json={"name": "Nightly"}).json()["data"]["token"]
    program = make_client(headers={"Authorization": f"Bearer {made}"})
    assert code(program.post(path)) == (403, "FORBIDDEN")
    assert code(admin.api.post("/api/admin/users/nobody/reset-link")) == (404, "USER_NOT_FOUND")


def test_a_password_is_reset_by_email(mail: MailServer, ada: Person, client: httpx.Client) -> None:
    assert client.post("/api/auth/forgot", json={"email": " ADA@example.com"}).status_code == 200
    with reading() as session:
        [message] = session.exec(select(OutboxMessage))
        assert message.payload == {"type": "account.reset", "data": {"userId": ada.user_id}}
    outbox.deliver_due(Channel.MAIL, stopping=lambda: False)
    [letter] = mail.letters
    text = letter.message.get_content()
    link = next(line for line in text.splitlines() if line.startswith("http"))
    token = urlsplit(link).query.removeprefix("token=")
    assert client.post("/api/auth/reset", json={"token": token, "password": NEW}).status_code == 200
    assert login(client, NEW) == 200


def test_requesting_a_reset_does_not_reveal_accounts(
    mail: MailServer, ada: Person, bob: Person, admin: Person, client: httpx.Client
) -> None:
    del mail
    change(admin, bob, isActive=False)
    said = {
        client.post("/api/auth/forgot", json={"email": email}).text
        for email in (ada.email, bob.email, "nobody@example.com", "no address")
    }
    assert len(said) == 1
    assert [message.payload["data"] for message in pending_messages()] == [{"userId": ada.user_id}]


def test_requesting_a_reset_writes_the_same_rows_without_an_account(
    mail: MailServer, ada: Person, client: httpx.Client
) -> None:
    """Writing rows takes time, so their number must not depend on whether an account exists."""
    del mail
    written = []
    for email in (ada.email, "nobody@example.com"):
        before = row_counts()
        client.post("/api/auth/forgot", json={"email": email})
        written.append(row_counts() - before)
    assert written[0] == written[1] == Counter(outbox=1, events=1)


def test_without_a_mail_server_the_response_is_the_same(ada: Person, client: httpx.Client) -> None:
    assert client.post("/api/auth/forgot", json={"email": ada.email}).status_code == 200
    form = client.post("/api/auth/forgot", data={"email": ada.email}, headers=SAME_ORIGIN)
    assert (form.status_code, form.headers["location"]) == (303, "/forgot?done=sent")


@pytest.mark.parametrize(("typed", "error"), [("", "no-email"), ("ada", "email&email=ada")])
def test_a_mistyped_email_address_returns_to_the_form(client: httpx.Client, typed: str, error: str) -> None:
    form = client.post("/api/auth/forgot", data={"email": typed}, headers=SAME_ORIGIN)
    assert form.headers["location"] == f"/forgot?error={error}"


def test_only_admins_list_and_change_users(admin: Person, ada: Person) -> None:
    data = admin.api.get("/api/admin/users").json()["data"]
    assert data["totalCount"] == 2
    assert [one["email"] for one in data["users"]] == [admin.email, ada.email]
    assert {one["isActive"] for one in data["users"]} == {True}
    assert "password" not in str(data).lower()
    assert code(ada.api.get("/api/admin/users")) == (403, "FORBIDDEN")
    assert code(change(ada, ada, isAdmin=True)) == (403, "FORBIDDEN")


def test_a_quota_is_set_and_reset(admin: Person, ada: Person) -> None:
    assert change(admin, ada, quotaBytes=7).json()["data"]["user"]["quotaBytes"] == 7
    assert change(admin, ada, isAdmin=False).json()["data"]["user"]["quotaBytes"] == 7
    assert change(admin, ada, quotaBytes=None).json()["data"]["user"]["quotaBytes"] == 50 * 1024**3
    assert code(change(admin, ada, quotaBytes=-1)) == (400, "INVALID_INPUT")
    assert code(change(admin, Person("nobody", "", "", admin.api), quotaBytes=1)) == (404, "USER_NOT_FOUND")


@pytest.mark.parametrize("wanted", [{"isAdmin": False}, {"isActive": False}])
def test_the_last_active_admin_cannot_be_demoted(admin: Person, ada: Person, wanted: dict[str, bool]) -> None:
    assert code(change(admin, admin, **wanted)) == (409, "CONFLICT")
    assert admin.api.get("/api/auth/me").status_code == 200
    assert change(admin, ada, isAdmin=True).status_code == 200
    assert change(admin, admin, **wanted).status_code == 200
    assert admin.api.get("/api/auth/me").status_code == 401


def test_behind_https_only_the_prefixed_session_cookie_is_accepted(
    admin: Person, configure: Configure, make_client: MakeClient
) -> None:
    configure(PUBLIC_URL="https://videos.example.com")
    body = {"email": admin.email, "password": PASSWORD}
    answer = make_client().post("/api/auth/login", json=body)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-videovault_session=")
    parts = {part.strip().lower() for part in cookie.split(";")}
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= parts
    assert not [part for part in parts if part.startswith("domain")]
    token = answer.json()["data"]["token"]
    for name, status in {"__Host-videovault_session": 200, "videovault_session": 401}.items():
        shown = make_client(headers={"Cookie": f"{name}={token}"})
        assert shown.get("/api/auth/me").status_code == status
