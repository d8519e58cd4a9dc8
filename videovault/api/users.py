"""Accounts and invitations over HTTP, for admins."""

from typing import Annotated

from fastapi import APIRouter, Path

from videovault.api.auth import SignedInCaller
from videovault.api.responses import Success, failures
from videovault.api.schemas import InvitationBody, UserBody
from videovault.services.accounts import invitations, password_reset
from videovault.services.accounts.views import AdminUserView, LinkView
from videovault.services.admin import users as admin_users
from videovault.services.admin.users import UserChange
from videovault.services.core.views import View

router = APIRouter(prefix="/api/admin", tags=["Administration"])
UserId = Annotated[str, Path(alias="userId", max_length=64)]


class People(View):
    users: list[AdminUserView]
    total_count: int


class OnePerson(View):
    user: AdminUserView


class EndedSessions(View):
    ended_sessions: int


@router.get("/users", response_model_exclude_none=True, responses=failures(401, 403))
def list_users(caller: SignedInCaller) -> Success[People]:
    """Every account, the oldest first."""
    found = admin_users.list_users(caller)
    return Success(message="Users retrieved successfully", data=People(users=found, total_count=len(found)))


@router.patch(
    "/users/{userId}", response_model_exclude_none=True, responses=failures(400, 401, 403, 404, 409)
)
def change_user(caller: SignedInCaller, user_id: UserId, body: UserBody) -> Success[OnePerson]:
    """Make somebody an admin or not, active or not, or set the quota; what is left out stays.

    With other rights every session of the account ends, and with its deactivation every API token too.
    """
    wanted: UserChange = body.model_dump(exclude_unset=True)  # type: ignore[assignment] # of the same fields
    person = admin_users.change_user(caller, user_id, wanted)
    return Success(message="User updated successfully", data=OnePerson(user=person))


@router.delete("/users/{userId}/sessions", responses=failures(401, 403, 404))
def end_sessions(caller: SignedInCaller, user_id: UserId) -> Success[EndedSessions]:
    """Sign somebody out everywhere, within seconds on open pages too. API tokens keep working."""
    ended = admin_users.end_sessions(caller, user_id)
    return Success(message="Sessions ended successfully", data=EndedSessions(ended_sessions=ended))


@router.post("/users/{userId}/reset-link", responses=failures(401, 403, 404))
def make_reset_link(caller: SignedInCaller, user_id: UserId) -> Success[LinkView]:
    """A link by which somebody who forgot the password sets another; it works once and for an hour."""
    return Success(
        message="Link created successfully", data=password_reset.reset_link_for_admin(caller, user_id)
    )


@router.post("/invitations", status_code=201, responses=failures(400, 401, 403, 409))
def invite(caller: SignedInCaller, body: InvitationBody) -> Success[LinkView]:
    """A link by which one account can be made within a week, for one e-mail address or for any."""
    link = invitations.invite(caller, body.email or "")
    return Success(message="Invitation created successfully", data=link)
