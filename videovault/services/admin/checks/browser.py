"""Whether the admin's own browser reaches the S3: it is given a picture to fetch, and says how that went."""

import base64
from dataclasses import dataclass

from videovault.config import settings
from videovault.gateways import storage
from videovault.gateways.storage import Description
from videovault.services.admin.checks import objects
from videovault.services.admin.checks.outcome import CheckView
from videovault.services.core.access import Caller, check_admin

BROWSER = ("browser", "Videos in your browser")
LINK_SECONDS = 60
PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # the smallest GIF


@dataclass(frozen=True)
class Probe:
    """A picture in the bucket, and the link by which a browser fetches it."""

    key: str
    url: str


def begin(caller: Caller) -> Probe:
    """Put the picture there; ``end`` takes it away. Raises Forbidden for anyone but admins, StorageError."""
    check_admin(caller)
    key = objects.new_key()
    storage.connected().put(key, PIXEL, Description("image/gif"))
    return Probe(key, storage.connected().presign(key, seconds=LINK_SECONDS))


def end(caller: Caller, key: str) -> None:
    """Take the picture away. Raises Forbidden for anyone but admins."""
    check_admin(caller)
    if key.startswith(objects.PREFIX):
        objects.clear(lambda: storage.connected().delete([key]))


def unasked() -> CheckView:
    """The browser was not asked, for want of a picture to fetch."""
    name, title = BROWSER
    found = "Your browser was not asked: nothing can be stored in the S3 that it could fetch."
    return CheckView(name=name, title=title, state="warning", found=found, mend="Mend the S3 first.")


def judge(*, arrived: bool) -> CheckView:
    """What it means that the picture arrived, or did not."""
    name, title = BROWSER
    if arrived:
        found = "Your browser fetched a picture from the S3 by a signed link."
        return CheckView(name=name, title=title, state="ok", found=found)
    where = settings().object_origins[0] if settings().object_origins else settings().base_url
    return CheckView(
        name=name,
        title=title,
        state="broken",
        found=f"Your browser could not fetch a picture from {where}, so no video plays in it.",
        mend="Check that browsers can reach this address. If the S3 has another one for them, set "
        "S3_PUBLIC_ENDPOINT_URL; if people use another address for VideoVault, set PUBLIC_URL.",
    )
