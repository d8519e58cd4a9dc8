"""The admin's users: list, roles, quotas and links."""

from collections.abc import Callable

import pytest

from tests.state.conftest import PASSWORD, Person, Server, Tab
from tests.support.installation import Configure
from videovault.db import transaction
from videovault.errors import NotSignedIn
from videovault.models import Status
from videovault.services.accounts import accounts, tokens
from videovault.services.admin import users
from videovault.services.core import lifecycle
from videovault.state.admin.users import NOT_A_SIZE, AdminUsersState
from videovault.state.session import SessionState


@pytest.fixture
def two(person: Callable[[str], Person]) -> dict[str, Person]:
    return {name: person(name) for name in ("admin", "bob")}


@pytest.fixture
def admin(server: Server, two: dict[str, Person]) -> Tab:
    tab = server.tab(two["admin"].token, address="/admin/people")
    tab.send(AdminUsersState, "load")
    return tab


def do(admin: Tab, person: Person, what: str) -> None:
    admin.send(AdminUsersState, "open", user_id=person.caller.user_id)
    admin.send(AdminUsersState, "ask", what=what)
    admin.send(AdminUsersState, "change")


def test_people_are_listed_with_what_they_hold(admin: Tab) -> None:
    shown = admin.sees(AdminUsersState)
    assert [(one.email, one.is_admin, one.videos) for one in shown.users] == [
        ("admin@example.com", True, "0 videos"),
        ("bob@example.com", False, "0 videos"),
    ]
    assert shown.users[1].seen_at
    admin.send(AdminUsersState, "search", q="bob")
    assert [one.email for one in admin.sees(AdminUsersState).users] == ["bob@example.com"]


def test_people_are_sorted_and_the_address_keeps_how(
    server: Server, admin: Tab, two: dict[str, Person]
) -> None:
    def emails(tab: Tab) -> list[str]:
        return [one.email for one in tab.sees(AdminUsersState).users]

    put(two["bob"])
    for column, first in (("email", "admin"), ("seen", "bob"), ("storage", "bob"), ("created", "admin")):
        admin.send(AdminUsersState, "sort_by", column=column)
        assert emails(admin)[0] == f"{first}@example.com", column
    admin.send(AdminUsersState, "reverse_order")
    assert emails(admin)[0] == "bob@example.com"
    assert admin.sees(AdminUsersState).address == "order=down"
    again = server.tab(two["admin"].token, address="/admin/people?sort=email&order=down")
    again.send(AdminUsersState, "load")
    assert emails(again)[0] == "bob@example.com"


def put(owner: Person) -> None:
    with transaction() as session:
        session.add(lifecycle.new_video(owner.caller.user_id, Status.READY, "Bread", size=1000))


def test_other_users_see_and_change_nothing(server: Server, two: dict[str, Person]) -> None:
    bob = server.tab(two["bob"].token, address="/admin/people")
    bob.send(AdminUsersState, "load")
    bob.send(AdminUsersState, "search", q="admin")
    do(bob, two["bob"], "admin")
    do(bob, two["admin"], "sessions")
    bob.send(AdminUsersState, "invite", form={"email": ""})
    bob.send(AdminUsersState, "create_reset_link")
    shown = bob.sees(AdminUsersState)
    assert (shown.access, shown.users, shown.user.email, shown.link) == ("no", [], "", "")
    assert not accounts.authenticate(two["bob"].token).is_admin
    assert accounts.authenticate(two["admin"].token)


def test_changing_a_role_ends_the_users_sessions(admin: Tab, two: dict[str, Person]) -> None:
    do(admin, two["bob"], "admin")
    shown = admin.sees(AdminUsersState)
    assert (shown.user.is_admin, shown.users[1].is_admin) == (True, True)
    with pytest.raises(NotSignedIn):
        accounts.authenticate(two["bob"].token)
    do(admin, two["bob"], "inactive")
    assert not admin.sees(AdminUsersState).users[1].is_active
    with pytest.raises(NotSignedIn):
        accounts.login("bob@example.com", PASSWORD)
    do(admin, two["bob"], "active")
    assert accounts.login("bob@example.com", PASSWORD).user.is_admin


def test_sessions_end_everywhere_but_api_tokens_keep_working(admin: Tab, two: dict[str, Person]) -> None:
    token = tokens.create(two["bob"].caller, "Nightly").token
    another = accounts.login("bob@example.com", PASSWORD).token
    do(admin, two["bob"], "sessions")
    for ended in (two["bob"].token, another):
        with pytest.raises(NotSignedIn):
            accounts.authenticate(ended)
    assert tokens.authenticate(token).email == "bob@example.com"
    assert "API tokens still work" in admin.sees(SessionState).notice
    assert accounts.authenticate(two["admin"].token)


def test_unconfirmed_changes_do_nothing(admin: Tab, two: dict[str, Person]) -> None:
    admin.send(AdminUsersState, "open", user_id=two["bob"].caller.user_id)
    admin.send(AdminUsersState, "change")
    admin.send(AdminUsersState, "ask", what="quota_bytes")
    admin.send(AdminUsersState, "change")
    for what in ("inactive", "sessions"):
        admin.send(AdminUsersState, "ask", what=what)
        admin.send(AdminUsersState, "cancel")
    admin.send(AdminUsersState, "change")
    assert accounts.authenticate(two["bob"].token)


def test_the_last_admin_stays_one(admin: Tab, two: dict[str, Person]) -> None:
    for what in ("no-admin", "inactive"):
        do(admin, two["admin"], what)
        assert admin.sees(SessionState).errors == {"user": accounts.LAST_ADMIN}
    assert accounts.authenticate(two["admin"].token).is_admin


@pytest.mark.parametrize(
    ("form", "size"),
    [
        ({"quotaKind": "own", "quota": "1.5"}, 1_500_000_000),
        ({"quotaKind": "own", "quota": " 0,5 "}, 500_000_000),
        ({"quotaKind": "none", "quota": "7"}, 0),
    ],
)
def test_a_quota_is_set_in_gb(admin: Tab, two: dict[str, Person], form: dict[str, str], size: int) -> None:
    user_id = two["bob"].caller.user_id
    admin.send(AdminUsersState, "open", user_id=user_id)
    admin.send(AdminUsersState, "set_quota", form=form)
    assert users.get_user(two["admin"].caller, user_id).quota_bytes == size
    admin.send(AdminUsersState, "set_quota", form={"quotaKind": "default"})
    assert not users.get_user(two["admin"].caller, user_id).has_own_quota


@pytest.mark.parametrize("typed", ["", "lots", "-1", "0", "nan", "inf", "1e12"])
def test_a_quota_that_is_no_size_is_refused_beside_its_field(
    admin: Tab, two: dict[str, Person], typed: str
) -> None:
    admin.send(AdminUsersState, "open", user_id=two["bob"].caller.user_id)
    admin.send(AdminUsersState, "set_quota", form={"quotaKind": "own", "quota": typed})
    assert admin.sees(SessionState).errors == {"quota": NOT_A_SIZE}


def test_links_are_there_only_while_their_dialog_is_open(admin: Tab, two: dict[str, Person]) -> None:
    admin.send(AdminUsersState, "open", user_id=two["bob"].caller.user_id)
    admin.send(AdminUsersState, "create_reset_link")
    assert "/reset?token=" in admin.sees(AdminUsersState).link
    admin.send(AdminUsersState, "close")
    assert admin.sees(AdminUsersState).link == ""
    admin.send(AdminUsersState, "open_invitation")
    admin.send(AdminUsersState, "invite", form={"email": "not an address"})
    assert "email" in admin.sees(SessionState).errors
    admin.send(AdminUsersState, "invite", form={"email": "eve@example.com"})
    assert "/register?invitation=" in admin.sees(AdminUsersState).link
    admin.send(AdminUsersState, "close")
    assert (admin.sees(AdminUsersState).link, admin.sees(AdminUsersState).is_inviting) == ("", False)


def test_invitations_are_off_when_signup_is_closed(admin: Tab, configure: Configure) -> None:
    configure(SIGNUP="closed")
    admin.send(AdminUsersState, "load")
    assert not admin.sees(AdminUsersState).invites
    admin.send(AdminUsersState, "invite", form={"email": ""})
    assert "SIGNUP=invite" in admin.sees(SessionState).errors["invitation"]
