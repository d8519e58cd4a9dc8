"""The sign-in and sign-up pages: what their native forms came back with, in words."""

from urllib.parse import quote

import reflex as rx
from reflex.event import EventSpec

from videovault.config import settings
from videovault.state import wording
from videovault.state.session import HOME, SessionState

PROBLEMS = {
    "wrong": "The e-mail address or the password is wrong.",
    "invalid": "Please check what you entered.",
    "closed": "New accounts are not open here. Ask the admin for one.",
    "invitation": "This invitation has been used, is too old, or is for another address. Ask the admin for a new one.",
    "spent": "This link has been used or is older than an hour. Ask for a new one.",
}
FIELD_PROBLEMS = {
    "taken": ("email", "There is an account with this e-mail address already. Sign in instead."),
    "email": ("email", "This is not a complete e-mail address, such as name@example.com."),
    "password": ("password", "A password has 8 to 256 characters."),
    "common": ("password", "This password is among the first that anybody would try. Choose another one."),
}
DONE = {
    "reset": "Your password is changed. Sign in with it.",
    "sent": "If there is an account with this address, a link is on its way to it. It is good for an hour.",
}


class AccountState(SessionState):
    problem: str = ""
    told: str = ""
    typed_email: str = ""
    next: str = HOME
    next_quoted: str = HOME  # for a link to the other of the two pages
    # What the page's own address carries, for its form to send on.
    invitation: str = ""
    token: str = ""
    sends_mail: bool = False

    @rx.event
    def enter(self) -> EventSpec | None:
        """For who is not signed in yet; others go where they were going."""
        self._read()
        return rx.redirect(self.next, replace=True) if self.is_signed_in else None

    @rx.event
    def recover(self) -> None:
        """For who forgot the password, and may be signed in somewhere all the same."""
        self._read()
        self.sends_mail = settings().smtp is not None

    def _read(self) -> None:
        """What the address brings: an error, what was typed, and where the person was going."""
        given = self.router.url.query_parameters
        self.next = local_path(given.get("next", ""))
        self.next_quoted = quote(self.next)
        self.typed_email = given.get("email", "")
        self.invitation, self.token = given.get("invitation", ""), given.get("token", "")
        self.told = DONE.get(given.get("done", ""), "")
        code = given.get("error", "")
        self.errors = dict([FIELD_PROBLEMS[code]]) if code in FIELD_PROBLEMS else {}
        is_told = not code or bool(self.errors)
        self.problem = "" if is_told else _problem(code, given.get("wait", ""))


def _problem(code: str, wait: str) -> str:
    if code == "slow":
        seconds = int(wait) if wait.isdecimal() and len(wait) < 6 else 60
        return f"That was tried too often. Please try again in {wording.about(seconds)}."
    return PROBLEMS.get(code, PROBLEMS["invalid"])


def local_path(path: str) -> str:
    """The path if it leads to a page of ours, else the first page: nobody is sent elsewhere by a link."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_ours else HOME
