"""Whoever is no admin any more has no rights left, in what is under way and in what was handed out."""

import pytest
from sqlmodel import select

from tests.support.installation import Configure
from videovault.db import reading
from videovault.errors import Forbidden
from videovault.models import Invitation, User
from videovault.services.accounts import accounts, invitations
from videovault.services.admin import users
from videovault.services.admin.users import Change
from videovault.services.core.access import Caller

PASSWORD = "correct horse"
LOSSES: list[Change] = [{"is_admin": False}, {"is_active": False}]


@pytest.fixture
def second(anna: Caller, bert: Caller, configure: Configure) -> Caller:
    """Bert, as another admin."""
    users.change(anna, bert.user_id, {"is_admin": True})
    configure(SIGNUP="invite")
    return accounts.authenticate(accounts.login(bert.email, PASSWORD).token)


@pytest.mark.parametrize("loss", LOSSES)
def test_who_was_an_admin_until_a_moment_ago_changes_nobody(
    anna: Caller, second: Caller, loss: Change
) -> None:
    users.change(anna, second.user_id, loss)
    with pytest.raises(Forbidden, match="admins"):
        users.change(second, anna.user_id, {"is_active": False})
    with reading() as session:
        assert session.get_one(User, anna.user_id).is_active


@pytest.mark.parametrize("loss", LOSSES)
def test_with_the_admins_rights_their_invitations_end_for_good(
    anna: Caller, second: Caller, loss: Change
) -> None:
    link = invitations.invite(second).url
    users.change(anna, second.user_id, loss)
    users.change(anna, second.user_id, {"is_admin": True, "is_active": True})
    with pytest.raises(Forbidden):
        accounts.register("cleo@example.com", PASSWORD, invitation=link.partition("=")[2])


def test_an_invitation_that_was_just_being_made_is_good_for_nothing(anna: Caller, second: Caller) -> None:
    users.change(anna, second.user_id, {"is_admin": False})
    link = invitations.invite(second).url  # by what was true when the request came in
    with pytest.raises(Forbidden):
        accounts.register("cleo@example.com", PASSWORD, invitation=link.partition("=")[2])


def test_other_admins_invitations_stay(anna: Caller, second: Caller) -> None:
    link = invitations.invite(anna).url
    users.change(anna, second.user_id, {"is_active": False})
    assert accounts.register("cleo@example.com", PASSWORD, invitation=link.partition("=")[2]).token
    with reading() as session:
        assert session.exec(select(Invitation)).one().invited_by == anna.user_id
