"""Who gets what: each rule says for a caller and a target whether the answer is yes, or the status of the refusal."""

from collections.abc import Callable
from typing import Literal

CallerName = Literal[
    "nobody",
    "expired session",
    "deactivated",
    "callback token",
    "read token",
    "write token",
    "Ada",
    "Bob",
    "admin",
]
Target = Literal["own", "foreign", "absent"]
Rule = Callable[[CallerName, Target], int]

CALLERS: dict[CallerName, str] = {
    "nobody": "shows nothing",
    "expired session": "shows a session of Ada's that has run out",
    "deactivated": "shows a session of somebody whose account an admin has closed to them",
    "callback token": "shows what the generator of Ada's video was given",
    "read token": "a program with an API token of Ada's that may read",
    "write token": "a program with an API token of Ada's that may write",
    "Ada": "signed in",
    "Bob": "signed in, somebody else",
    "admin": "signed in, an admin",
}
OUTSIDE = {"nobody", "expired session", "deactivated", "callback token"}
PROGRAMS = {"read token", "write token"}
YES = 0


def anyone(_caller: CallerName, _target: Target) -> int:
    """Everybody."""
    return YES


def signed_in(caller: CallerName, _target: Target) -> int:
    """Any signed-in user."""
    return 401 if caller in OUTSIDE else YES


def in_person(caller: CallerName, target: Target) -> int:
    """Any user signed in with a password, no program."""
    return 403 if caller in PROGRAMS else signed_in(caller, target)


def admins(caller: CallerName, target: Target) -> int:
    """Admins."""
    return YES if caller == "admin" else signed_in(caller, target) or 403


def owner(caller: CallerName, target: Target) -> int:
    """The owner and admins; for others the video is absent."""
    may = target == "own" or (target == "foreign" and caller == "admin")
    return signed_in(caller, target) or (YES if may else 404)


def sharer(caller: CallerName, target: Target) -> int:
    """The owner and admins, but no program that may only read: a link gives the video to anybody."""
    return 403 if caller == "read token" else owner(caller, target)


def reporter(caller: CallerName, target: Target) -> int:
    """The owner, admins, and the generator of this very video."""
    return YES if (caller, target) == ("callback token", "own") else owner(caller, target)


def whose(caller: CallerName, target: Target) -> int:
    """The user it is about, and admins."""
    return signed_in(caller, target) or (YES if target == "own" or caller == "admin" else 403)


def mine(caller: CallerName, target: Target) -> int:
    """The user it belongs to, in person; for others it is absent."""
    return in_person(caller, target) or (YES if target == "own" else 404)


def key_holder(_caller: CallerName, target: Target) -> int:
    """Anyone with the video's secret key."""
    return YES if target == "own" else 403


def address_holder(_caller: CallerName, target: Target) -> int:
    """Everyone who has the address that an order was sent with."""
    return 404 if target == "absent" else YES


def password_holder(caller: CallerName, _target: Target) -> int:
    """Anyone with the password of an active account."""
    return 401 if caller == "deactivated" else YES


def link_holder(caller: CallerName, _target: Target) -> int:
    """Anyone with a link of an active account."""
    return 403 if caller == "deactivated" else YES


TARGETED: tuple[Rule, ...] = (owner, sharer, reporter, whose, mine, key_holder, address_holder)
ASK_NOBODY: tuple[Rule, ...] = (anyone, key_holder, address_holder, password_holder, link_holder)
