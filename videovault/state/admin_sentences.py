"""What people did, in sentences: the one place for their wording, each a whole with places for names."""

from typing import Any, Final

from videovault.services.admin_views import EntryView
from videovault.state import wording

SOMEBODY = "Somebody"
GONE = "a video that is gone"
SENTENCES: Final = {
    "login": "{who} signed in.",
    "login_failed": "Somebody tried to sign in as {who} with a wrong password.",
    "login_failed.unknown": "Somebody tried to sign in with an address that has no account.",
    "logout": "{who} signed out.",
    "signed_out": "{who} signed out another device.",
    "register": "{who} created an account.",
    "account_closed": "Somebody deleted their account.",
    "password_changed": "{who} changed their password.",
    "forgot_password": "{who} asked for a link to set another password.",
    "password_reset": "{who} set another password by a link.",
    "token_created": "{who} made the API token {name}.",
    "token_revoked": "{who} revoked an API token.",
    "draft": "{who} began {video}.",
    "store_requested": "{who} added {video} from a link.",
    "renamed": "{who} renamed “{from}” to “{to}”.",
    "status.generating": "{who} had {video} made.",
    "status.ready": "{video} became ready.",
    "status.failed": "{video} failed: {why}",
    "status.failed.person": "{who} cancelled {video}.",
    "object_swapped": "S3 was found to hold another file than the one stored for {video}.",
    "download": "{who} downloaded {video}.",
    "share_download": "Somebody downloaded {video} by its link, from {network}.",
    "shared": "{who} shared {video}.",
    "unshared": "{who} stopped sharing {video}.",
    "key_replaced": "{who} gave {video} a new key, so older links are dead.",
    "share_opened": "Somebody opened {video} by its link, from {network}.",
    "delete": "{who} deleted {video}.",
    "delete.other": "{who} deleted {video} of {subject}.",
    "create_admin": "{who} was made an admin on the command line.",
    "invited": "{who} invited {email}.",
    "invited.anybody": "{who} made an invitation for whoever has its link.",
    "reset_link": "{who} made a link for {subject} to set another password.",
    "replayed": "{who} applied a report on {video} again.",
    "rescued": "{who} gave {video} the address of its file.",
    "reconciled": "{who} had the differences between S3 and database mended; {left} left.",
    "reconciled.machine": "The differences between S3 and database were mended on the command line; {left} left.",
    "user_changed": "{who} changed the account of {subject}.",
    "user_changed.is_admin.True": "{who} made {subject} an admin.",
    "user_changed.is_admin.False": "{who} took the admin's rights from {subject}.",
    "user_changed.is_active.True": "{who} reactivated the account of {subject}.",
    "user_changed.is_active.False": "{who} deactivated the account of {subject}.",
    "user_changed.quota": "{who} set the quota of {subject} to {quota}.",
}


def sentence(entry: EntryView) -> str:
    """What the entry tells, such as ``anna@example.com signed in.``"""
    text = SENTENCES.get(_key(entry), SENTENCES.get(entry.kind, "{who}: {kind}"))
    told = text.format_map(_names(entry))
    return told[:1].upper() + told[1:] if text.startswith("{video}") else told


def _key(entry: EntryView) -> str:
    """Which variant of the kind's sentence it is."""
    variants = {
        "login_failed": ".unknown" if not entry.actor else "",
        "invited": "" if entry.detail.get("email") else ".anybody",
        "status.failed": ".person" if entry.by == "person" else "",
        "delete": ".other" if entry.subject not in ("", entry.actor) else "",
        "reconciled": "" if entry.actor else ".machine",
        "user_changed": _changed(entry.detail),
    }
    return entry.kind + variants.get(entry.kind, "")


def _changed(detail: dict[str, Any]) -> str:
    if "quotaBytes" in detail:
        return ".quota"
    for right in ("is_admin", "is_active"):
        if right in detail:
            return f".{right}.{detail[right]}"
    return ""


def _names(entry: EntryView) -> dict[str, Any]:
    title = wording.shortened(entry.title) if entry.title else ""
    names = {
        "network": "an unknown network",
        "why": "no reason was given.",
        "name": "",
        "email": "",
        "from": "",
        "to": "",
        "left": 0,
    }
    said = {name: value for name, value in entry.detail.items() if value not in (None, "")}
    return (
        names
        | said
        | {
            "who": entry.actor or SOMEBODY,
            "subject": entry.subject or "somebody who has left",
            "video": f"“{title}”" if title else GONE,
            "quota": _quota(entry.detail.get("quotaBytes")),
            "kind": entry.kind,
        }
    )


def _quota(size: Any) -> str:
    if size is None:
        return "that of the installation"
    return wording.size(size) if size else "no limit"
