"""Invitations: signed links by which an admin lets somebody make an account, once."""

from datetime import timedelta

from sqlmodel import Session, col, delete, or_, select, update

from videovault import security
from videovault.config import settings
from videovault.db import transaction
from videovault.errors import Conflict, Forbidden
from videovault.models import Event, Invitation, User, now
from videovault.services.accounts.views import LinkView
from videovault.services.core import fields
from videovault.services.core.access import Caller, check_admin, check_in_person

LIFE = timedelta(days=7)
NEEDED = "New accounts need an invitation here. Ask the admin for an invitation link, then open it."
SPENT = "This invitation has been used, is too old, or is for another address. Ask the admin for a new one."


def invite(caller: Caller, email: str = "") -> LinkView:
    """A link to make an account with, for one e-mail address or, without, for whoever gets it.

    Raises Forbidden for others than admins and for programs, InvalidInput, Conflict where accounts are closed to all.
    """
    check_admin(caller)
    check_in_person(caller)
    if settings().signup == "closed":
        raise Conflict("New accounts are closed here. Set SIGNUP=invite to let people in by invitation.")
    invitation = Invitation(
        email=fields.checked_email(email) if email.strip() else "",
        invited_by=caller.user_id,
        expires_at=now() + LIFE,
    )
    with transaction() as session:
        session.add(invitation)
        session.add(Event(kind="invited", actor_id=caller.user_id, detail={"email": invitation.email}))
    token = security.signed("invitation", invitation.id)
    return LinkView(
        url=f"{settings().base_url}/register?invitation={token}", expires_at=invitation.expires_at
    )


def redeem(session: Session, token: str, email: str) -> None:
    """Use the invitation up, in the transaction that makes the account. Raises Forbidden when it is good no more."""
    invitation_id = security.read_signed("invitation", token, max_age_seconds=int(LIFE.total_seconds()))
    admins = select(User.id).where(col(User.is_admin), col(User.is_active))
    good = (
        update(Invitation)
        .where(col(Invitation.id) == invitation_id, col(Invitation.used_at).is_(None))
        .where(col(Invitation.expires_at) > now(), col(Invitation.email).in_(("", email)))
        .where(col(Invitation.invited_by).in_(admins))
        .values(used_at=now())
        .execution_options(synchronize_session=False)
    )
    if invitation_id is None or not session.exec(good).rowcount:
        raise Forbidden(SPENT)


def withdraw(session: Session, user_id: str) -> None:
    """Take back what somebody who is no admin any more has handed out, in a transaction of the caller's."""
    session.exec(delete(Invitation).where(col(Invitation.invited_by) == user_id))


def purge() -> None:
    """Forget invitations that nobody can use any more."""
    spent = or_(col(Invitation.expires_at) <= now(), col(Invitation.used_at).is_not(None))
    with transaction() as session:
        session.exec(delete(Invitation).where(spent))
