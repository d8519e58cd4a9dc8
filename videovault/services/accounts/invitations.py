"""Invitations: signed single-use links with which an admin lets a person create an account."""

from datetime import timedelta

from sqlmodel import Session, col, delete, or_, select, update

from videovault import security
from videovault.clock import utcnow
from videovault.config import settings
from videovault.db import changes_row, transaction
from videovault.errors import Conflict, Forbidden
from videovault.models import Event, Invitation, User
from videovault.services.accounts.views import LinkView
from videovault.services.core import fields
from videovault.services.core.access import Caller, check_admin, check_not_api_token

LIFETIME = timedelta(days=7)
INVITATION_REQUIRED = (
    "New accounts need an invitation here. Ask the admin for an invitation link, then open it."
)
INVITATION_INVALID = (
    "This invitation has been used, is too old, or is for another address. Ask the admin for a new one."
)


def invite(caller: Caller, email: str = "") -> LinkView:
    """A link to create an account, for one e-mail address or, without one, for anyone who has it.

    Raises Forbidden for anyone but admins and for API tokens, InvalidInput, Conflict if sign-up is closed.
    """
    check_admin(caller)
    check_not_api_token(caller)
    if settings().signup == "closed":
        raise Conflict("New accounts are closed here. Set SIGNUP=invite to let people in by invitation.")
    invitation = Invitation(
        email=fields.normalize_email(email) if email.strip() else "",
        invited_by=caller.user_id,
        expires_at=utcnow() + LIFETIME,
    )
    with transaction() as session:
        session.add(invitation)
        session.add(Event(kind="invited", actor_id=caller.user_id, detail={"email": invitation.email}))
    token = security.sign("invitation", invitation.id)
    return LinkView(
        url=f"{settings().base_url}/register?invitation={token}", expires_at=invitation.expires_at
    )


def redeem(session: Session, token: str, email: str) -> None:
    """Use up the invitation in the transaction that creates the account. Raises Forbidden if it is invalid."""
    invitation_id = security.unsign("invitation", token, max_age_seconds=int(LIFETIME.total_seconds()))
    admins = select(User.id).where(col(User.is_admin), col(User.is_active))
    valid = (
        update(Invitation)
        .where(col(Invitation.id) == invitation_id, col(Invitation.used_at).is_(None))
        .where(col(Invitation.expires_at) > utcnow(), col(Invitation.email).in_(("", email)))
        .where(col(Invitation.invited_by).in_(admins))
        .values(used_at=utcnow())
    )
    if invitation_id is None or not changes_row(session, valid):
        raise Forbidden(INVITATION_INVALID)


def revoke_all(session: Session, user_id: str) -> None:
    """Revoke all invitations of a former admin, in the caller's transaction."""
    session.exec(delete(Invitation).where(col(Invitation.invited_by) == user_id))


def purge() -> None:
    """Delete used and expired invitations."""
    spent = or_(col(Invitation.expires_at) <= utcnow(), col(Invitation.used_at).is_not(None))
    with transaction() as session:
        session.exec(delete(Invitation).where(spent))
