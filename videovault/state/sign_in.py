"""The sign-in and sign-up pages: what their native forms came back with, in words."""

from urllib.parse import quote

import reflex as rx
from reflex.event import EventSpec

from videovault.config import settings
from videovault.errors import Busy, DiskFull
from videovault.services.accounts import accounts, invitations, password_reset, passwords
from videovault.services.core import fields
from videovault.state import wording
from videovault.state.background import run_in_db_pool
from videovault.state.session import HOME, SessionState

PROBLEMS = {
    "wrong": accounts.WRONG_LOGIN,
    "invalid": "Please check what you entered.",
    "closed": "New accounts are not open here. Ask the admin for one.",
    "invitation": invitations.INVITATION_INVALID,
    "uninvited": invitations.INVITATION_REQUIRED,
    "spent": password_reset.LINK_INVALID,
    "busy": Busy().public_message,
    "full": DiskFull().public_message,
}
FIELD_PROBLEMS = {
    "no-email": ("email", "Enter your e-mail address."),
    "no-password": ("password", passwords.MISSING),
    "taken": ("email", "There is an account with this e-mail address already. Sign in instead."),
    "email": ("email", fields.INVALID_EMAIL),
    "password": ("password", wording.PASSWORD_LENGTH),
    "controls": ("password", passwords.CONTROLS),
    "common": ("password", passwords.TOO_COMMON),
}
DONE = {
    "deleted": "Your account and everything in it is deleted.",
    "ended": "You have been signed out. Sign in to go on where you were.",
    "reset": "Your password is changed. Sign in with it.",
    "sent": "If there is an account with this address, a link is on its way to it. It is good for an hour.",
}


class SignInState(SessionState):
    problem: str = ""
    told: str = ""
    typed_email: str = ""
    next: str = HOME
    next_quoted: str = HOME  # for a link to the other of the two pages
    # What the page's own address carries, for its form to send on.
    invitation: str = ""
    token: str = ""
    sends_mail: bool = False
    signup: accounts.SignupMode = "open"

    @rx.event
    def enter(self) -> EventSpec | None:
        """For who is not signed in yet; others go where they were going."""
        return self._entered()

    @rx.event
    async def join(self) -> EventSpec | None:
        """As ``enter``, for the page where accounts are made: it says what to do where one needs an invitation."""
        self.signup = await run_in_db_pool(accounts.signup_mode)
        return self._entered()

    @rx.event
    def recover(self) -> EventSpec | None:
        """For who forgot the password, and may be signed in somewhere all the same."""
        self.sends_mail = settings().smtp is not None
        return self._read()

    def _entered(self) -> EventSpec | None:
        wrong = self._read()
        return rx.redirect(self.next, replace=True) if self.is_signed_in else wrong

    def _read(self) -> EventSpec | None:
        """What the address brings: errors, what was typed, and where the person was going; the first wrong field."""
        given = self.router.url.query_parameters
        self.next = local_path(given.get("next", ""))
        self.next_quoted = quote(self.next)
        self.typed_email = given.get("email", "")
        self.invitation, self.token = given.get("invitation", ""), given.get("token", "")
        self.told = DONE.get(given.get("done", ""), "")
        said = given.get("error", "")
        self.errors = dict(FIELD_PROBLEMS[code] for code in said.split(",") if code in FIELD_PROBLEMS)
        is_told = not said or bool(self.errors)
        self.problem = "" if is_told else _problem(said, given.get("wait", ""))
        return rx.set_focus(next(iter(self.errors))) if self.errors else None


def _problem(code: str, wait: str) -> str:
    if code == "slow":
        seconds = int(wait) if wait.isdecimal() and len(wait) < 6 else 60
        return f"That was tried too often. Please try again in {wording.about(seconds)}."
    return PROBLEMS.get(code, PROBLEMS["invalid"])


def local_path(path: str) -> str:
    """The path if it leads to a page of ours, else the first page: nobody is sent elsewhere by a link."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else HOME
