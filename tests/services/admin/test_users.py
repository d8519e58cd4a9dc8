"""The admin's list of accounts, and what former admins may no longer do."""

import pytest
from sqlmodel import select

from tests.support.installation import Configure
from videovault.db import reading, transaction
from videovault.errors import Forbidden
from videovault.models import Invitation, Status, User
from videovault.services.accounts import accounts
from videovault.services.admin import users
from videovault.services.admin.users import UserChange
from videovault.services.core import lifecycle
from videovault.services.core.access import Caller


def test_people_are_found_by_address_or_name(anna: Caller, bert: Caller) -> None:
    accounts.rename(bert, "Berthold Brot")
    assert [each.user_id for each in users.find_users(anna, q="brot").people] == [bert.user_id]
    assert [each.user_id for each in users.find_users(anna, q="ANNA@").people] == [anna.user_id]
    assert users.find_users(anna, q="nobody").total_count == 0


def test_a_page_has_the_total_number(anna: Caller, bert: Caller) -> None:
    first = users.find_users(anna, limit=1)
    assert first.next_cursor
    found = users.find_users(anna, limit=1, cursor=first.next_cursor)
    assert found.next_cursor is None
    assert ([each.user_id for each in found.people], found.total_count) == ([bert.user_id], 2)


def test_videos_and_storage_are_counted_per_user(anna: Caller, bert: Caller) -> None:
    with transaction() as session:
        session.add(lifecycle.new_video(bert.user_id, Status.READY, "Bread", size=7))
        session.add(lifecycle.new_video(bert.user_id, Status.STORING, "Cake", reserved_bytes=5))
    first, second = users.find_users(anna, limit=50).people
    assert (first.video_count, first.storage_bytes) == (0, 0)
    assert (second.video_count, second.storage_bytes) == (2, 12)
    assert users.get_user(anna, bert.user_id) == second


def test_signing_in_updates_last_seen(anna: Caller, bert: Caller) -> None:
    before = users.get_user(anna, bert.user_id).last_seen_at
    accounts.login("bert@example.com", "correct horse")
    after = users.get_user(anna, bert.user_id).last_seen_at
    assert before is not None
    assert after is not None
    assert after > before


def test_an_own_quota_differs_from_the_default(anna: Caller, bert: Caller) -> None:
    assert not users.get_user(anna, bert.user_id).has_own_quota
    assert users.change_user(anna, bert.user_id, {"quota_bytes": 0}).has_own_quota
    assert not users.change_user(anna, bert.user_id, {"quota_bytes": None}).has_own_quota


PASSWORD = "correct horse"
LOSSES: list[UserChange] = [{"is_admin": False}, {"is_active": False}]


@pytest.fixture
def second(anna: Caller, bert: Caller, configure: Configure) -> Caller:
    """Bert, as another admin."""
    users.change_user(anna, bert.user_id, {"is_admin": True})
    configure(SIGNUP="invite")
    return accounts.authenticate(accounts.login(bert.email, PASSWORD).token)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_former_admin_cannot_change_users(anna: Caller, second: Caller, loss: UserChange) -> None:
    users.change_user(anna, second.user_id, loss)
    with pytest.raises(Forbidden, match="admins"):
        users.change_user(second, anna.user_id, {"is_active": False})
    with reading() as session:
        assert session.get_one(User, anna.user_id).is_active


@pytest.mark.parametrize("loss", LOSSES)
def test_losing_admin_rights_ends_the_admins_invitations(
    anna: Caller, second: Caller, loss: UserChange
) -> None:
    link = accounts.invite(second).url
    users.change_user(anna, second.user_id, loss)
    users.change_user(anna, second.user_id, {"is_admin": True, "is_active": True})
    with pytest.raises(Forbidden):
        accounts.register("cleo@example.com", PASSWORD, invitation=link.partition("=")[2])


def test_an_invitation_made_during_the_demotion_is_invalid(anna: Caller, second: Caller) -> None:
    users.change_user(anna, second.user_id, {"is_admin": False})
    link = accounts.invite(second).url  # by what was true when the request came in
    with pytest.raises(Forbidden):
        accounts.register("cleo@example.com", PASSWORD, invitation=link.partition("=")[2])


def test_other_admins_invitations_stay_valid(anna: Caller, second: Caller) -> None:
    link = accounts.invite(anna).url
    users.change_user(anna, second.user_id, {"is_active": False})
    assert accounts.register("cleo@example.com", PASSWORD, invitation=link.partition("=")[2]).token
    with reading() as session:
        assert session.exec(select(Invitation)).one().invited_by == anna.user_id
