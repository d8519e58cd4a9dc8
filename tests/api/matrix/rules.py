"""Access rules: for a caller and a target, whether a request succeeds or with which status it is refused."""

from collections.abc import Callable
from typing import Literal

CallerName = Literal[
    "anonymous",
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
    "anonymous": "no credentials",
    "expired session": "an expired session of Ada's",
    "deactivated": "a session of a deactivated user",
    "callback token": "the callback token of Ada's video",
    "read token": "a read-only API token of Ada's",
    "write token": "an API token of Ada's that may write",
    "Ada": "signed in",
    "Bob": "signed in, another user",
    "admin": "signed in, an admin",
}
OUTSIDE = {"anonymous", "expired session", "deactivated", "callback token"}
PROGRAMS = {"read token", "write token"}
YES = 0


def anyone(_caller: CallerName, _target: Target) -> int:
    """Anyone."""
    return YES


def signed_in(caller: CallerName, _target: Target) -> int:
    """Any signed-in user."""
    return 401 if caller in OUTSIDE else YES


def in_person(caller: CallerName, target: Target) -> int:
    """Any user signed in with a password, not by API token."""
    return 403 if caller in PROGRAMS else signed_in(caller, target)


def admins(caller: CallerName, target: Target) -> int:
    """Admins."""
    return YES if caller == "admin" else signed_in(caller, target) or 403


def owner(caller: CallerName, target: Target) -> int:
    """The owner and admins; for others the video is absent."""
    may = target == "own" or (target == "foreign" and caller == "admin")
    return signed_in(caller, target) or (YES if may else 404)


def sharer(caller: CallerName, target: Target) -> int:
    """The owner and admins, but no read-only API token: a link gives access to anyone."""
    return 403 if caller == "read token" else owner(caller, target)


def reporter(caller: CallerName, target: Target) -> int:
    """The owner, admins, and the generator of this video."""
    return YES if (caller, target) == ("callback token", "own") else owner(caller, target)


def named_user(caller: CallerName, target: Target) -> int:
    """The named user, and admins."""
    return signed_in(caller, target) or (YES if target == "own" or caller == "admin" else 403)


def owner_in_person(caller: CallerName, target: Target) -> int:
    """Its owner, signed in with a password; for others it is absent."""
    return in_person(caller, target) or (YES if target == "own" else 404)


def key_holder(_caller: CallerName, target: Target) -> int:
    """Anyone with the video's secret key."""
    return YES if target == "own" else 403


def report_url_holder(_caller: CallerName, target: Target) -> int:
    """Anyone with the report URL of an order."""
    return 404 if target == "absent" else YES


def password_holder(caller: CallerName, _target: Target) -> int:
    """Anyone with the password of an active account."""
    return 401 if caller == "deactivated" else YES


def link_holder(caller: CallerName, _target: Target) -> int:
    """Anyone with a link of an active account."""
    return 403 if caller == "deactivated" else YES


def monitoring(_caller: CallerName, _target: Target) -> int:
    """Holders of METRICS_TOKEN."""
    return 401


TARGETED: tuple[Rule, ...] = (
    owner,
    sharer,
    reporter,
    named_user,
    owner_in_person,
    key_holder,
    report_url_holder,
)
NO_CALLER: tuple[Rule, ...] = (anyone, key_holder, report_url_holder, password_holder, link_holder)
