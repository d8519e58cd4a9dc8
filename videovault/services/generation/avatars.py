"""The presenters that the create form offers: those of the installation, and as long as there are none the built-in ones.

Videos keep the generator's ID that they were made with, so changing or deleting an avatar changes none of them.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from io import BytesIO

from sqlalchemy.orm import defer
from sqlmodel import Session, col, select

from videovault.brief import Rule
from videovault.bulkhead import Bulkhead
from videovault.db import advisory_lock, reading, transaction
from videovault.errors import Conflict, InvalidInput, NotFound
from videovault.models import Avatar, Event
from videovault.services.core import fields
from videovault.services.core.access import Caller, check_admin, recheck_admin
from videovault.services.core.fields import MAX_AVATAR_LENGTH
from videovault.services.core.views import View

# Pictures from outside, made small and of one kind: only what was decoded here is kept and served.

PICTURE_SIDE = 256  # pixels
PICTURE_MEDIA_TYPE = "image/webp"
MAX_PICTURE_BYTES = 1024 * 1024
MAX_PIXELS = 16_000_000  # 64 MB once decoded
MAX_SIDE = 16_000  # a row costs memory of its own, however short it is
UNREADABLE_PICTURE = "This is not a picture that can be read. Use a PNG, JPEG or WebP file."
TOO_MANY_PIXELS = "This picture has too many pixels. Make it at most 4,000 by 4,000, and try again."
TOO_LARGE = "This picture is too large: at most 1 MiB is possible."
# Each holds MOST_PIXELS in memory for a moment.
decoding = Bulkhead(at_once=1, waiting=4, seconds=10.0)


def resize_picture(raw: bytes) -> bytes:
    """The middle of a PNG, JPEG or WebP picture as a WebP of ``SIDE`` by ``SIDE`` pixels, without its metadata.

    Raises InvalidInput, Busy.
    """
    if len(raw) > MAX_PICTURE_BYTES:
        raise _invalid(TOO_LARGE)
    with decoding.slot():
        return _squared(raw)


def _squared(raw: bytes) -> bytes:
    from PIL import Image, ImageOps  # 10 MB that only an upload needs

    try:
        with Image.open(BytesIO(raw), formats=("PNG", "JPEG", "WEBP")) as opened:
            if opened.width * opened.height > MAX_PIXELS or max(opened.size) > MAX_SIDE:
                raise _invalid(TOO_MANY_PIXELS)
            opened.draft(
                "RGB", (PICTURE_SIDE * 2, PICTURE_SIDE * 2)
            )  # a JPEG need not be decoded in full size
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    except Image.DecompressionBombError as error:
        raise _invalid(TOO_MANY_PIXELS) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:  # the last of malformed EXIF
        raise _invalid(UNREADABLE_PICTURE) from error
    plain = Image.new("RGBA", (PICTURE_SIDE, PICTURE_SIDE))  # one that has no metadata to be written along
    plain.paste(ImageOps.fit(upright, (PICTURE_SIDE, PICTURE_SIDE)))
    written = BytesIO()
    plain.save(written, "WEBP", quality=85)
    return written.getvalue()


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, {"picture": message})


BUILT_IN_NAMES = ("Maya", "Daniel", "Sofia", "Marcus", "Aisha", "Kenji", "Emma", "Amara", "James")
MAX_AVATARS = 100
OTHER_AVATAR = "other"  # what the form says where an ID is typed instead
RULES = {
    "name": Rule("Name", 100, required=True, missing="Enter the name that people see."),
    "generatorId": Rule(
        "Avatar ID",
        MAX_AVATAR_LENGTH,
        required=True,
        missing="Enter the ID that your generator knows it by.",
        exact=True,
    ),
}
GONE = "This avatar has been deleted."


class AvatarView(View):
    """An avatar to choose from; ``generator_id`` is what goes to the webhooks.

    ``avatar_id`` is missing for the built-in ones, ``picture_url`` where there is no picture: its initials are shown.
    """

    avatar_id: str | None = None
    name: str
    generator_id: str
    picture_url: str | None = None

    @classmethod
    def of(cls, row: Avatar) -> "AvatarView":
        url = f"/api/auth/avatars/{row.id}/picture?v={row.picture_hash}" if row.picture_hash else None
        return cls(avatar_id=row.id, name=row.name, generator_id=row.generator_id, picture_url=url)


class AvatarsView(View):
    """In the order of the form; ``are_built_in`` while the installation has none of its own."""

    avatars: list[AvatarView]
    are_built_in: bool


BUILT_IN_AVATARS = [
    AvatarView(name=name, generator_id=name, picture_url=f"/avatars/{name.lower()}.webp")
    for name in BUILT_IN_NAMES
]


def list_avatars(_caller: Caller) -> AvatarsView:
    """What the form offers to everybody who is signed in."""
    with reading() as session:
        own = [AvatarView.of(row) for row in _rows(session)]
    return AvatarsView(avatars=own or BUILT_IN_AVATARS, are_built_in=not own)


def read_picture(_caller: Caller, avatar_id: str) -> bytes:
    """A WebP of ``pictures.SIDE`` pixels. Raises NotFound."""
    with reading() as session:
        row = session.get(Avatar, avatar_id)
        if row is None or row.picture is None:
            raise NotFound("There is no such picture.")
        return row.picture


def add(caller: Caller, avatar: Mapping[str, str]) -> AvatarView:
    """Offer one more, after all others: ``avatar`` has a ``name`` and a ``generatorId``.

    Raises Forbidden for others than admins, InvalidInput, Conflict where there are ``MOST``.
    """
    check_admin(caller)
    clean = _checked(avatar)
    with transaction() as session:
        rows = _changing(session, caller)
        if len(rows) >= MAX_AVATARS:
            raise Conflict(f"There are {MAX_AVATARS} avatars already. Delete one first.")
        _check_unused(rows, clean["generatorId"])
        position = rows[-1].position + 1 if rows else 0
        row = Avatar(name=clean["name"], generator_id=clean["generatorId"], position=position)
        session.add(row)
        session.add(Event(kind="avatar_added", actor_id=caller.user_id, detail=_told(row)))
        return AvatarView.of(row)


def change(caller: Caller, avatar_id: str, avatar: Mapping[str, str]) -> AvatarView:
    """Set what is named of ``name`` and ``generatorId``. Raises Forbidden, NotFound, InvalidInput."""
    check_admin(caller)
    with transaction() as session:
        rows = _changing(session, caller)
        row = _found(rows, avatar_id)
        clean = _checked({"name": row.name, "generatorId": row.generator_id, **avatar})
        _check_unused([other for other in rows if other is not row], clean["generatorId"])
        row.name, row.generator_id = clean["name"], clean["generatorId"]
        session.add(Event(kind="avatar_changed", actor_id=caller.user_id, detail=_told(row)))
        return AvatarView.of(row)


def set_picture(caller: Caller, avatar_id: str, raw: bytes | None) -> AvatarView:
    """Show this picture with it, or none. Raises Forbidden, NotFound, and as ``pictures.square`` does."""
    check_admin(caller)
    made = None if raw is None else resize_picture(raw)
    with transaction() as session:
        row = _found(_changing(session, caller), avatar_id)
        row.picture = made
        row.picture_hash = hashlib.sha256(made).hexdigest()[:16] if made else ""
        session.add(Event(kind="avatar_changed", actor_id=caller.user_id, detail=_told(row)))
        return AvatarView.of(row)


def reorder(caller: Caller, avatar_ids: Sequence[str]) -> AvatarsView:
    """Offer them in this order. Raises Forbidden, Conflict unless just those that there are are named, each once."""
    check_admin(caller)
    with transaction() as session:
        rows = {row.id: row for row in _changing(session, caller)}
        if sorted(avatar_ids) != sorted(rows):
            raise Conflict("The avatars have changed meanwhile. Load the page again.")
        for position, avatar_id in enumerate(avatar_ids):
            rows[avatar_id].position = position
        session.add(Event(kind="avatars_reordered", actor_id=caller.user_id))
        own = [AvatarView.of(rows[avatar_id]) for avatar_id in avatar_ids]
    return AvatarsView(avatars=own or BUILT_IN_AVATARS, are_built_in=not own)


def remove(caller: Caller, avatar_id: str) -> None:
    """Offer it no longer. Raises Forbidden, NotFound."""
    check_admin(caller)
    with transaction() as session:
        row = _found(_changing(session, caller), avatar_id)
        session.delete(row)
        session.add(Event(kind="avatar_deleted", actor_id=caller.user_id, detail=_told(row)))


def _rows(session: Session) -> Sequence[Avatar]:
    order = col(Avatar.position), col(Avatar.id)
    without = defer(Avatar.picture)  # type: ignore[arg-type] # a column; only the route of one picture reads it
    return session.exec(select(Avatar).options(without).order_by(*order)).all()


def _changing(session: Session, caller: Caller) -> Sequence[Avatar]:
    """All of them, which no other transaction changes until this one ends."""
    advisory_lock(session, "avatars")
    recheck_admin(session, caller)
    return _rows(session)


def _found(rows: Sequence[Avatar], avatar_id: str) -> Avatar:
    row = next((row for row in rows if row.id == avatar_id), None)
    if row is None:
        raise NotFound(GONE)
    return row


def _checked(avatar: Mapping[str, str]) -> dict[str, str]:
    clean = fields.validate(RULES, avatar)
    if clean["generatorId"] == OTHER_AVATAR:
        message = f"“{OTHER_AVATAR}” is what the form calls an ID that is typed. Use another one."
        raise InvalidInput(message, {"generatorId": message})
    return clean


def _check_unused(rows: Sequence[Avatar], generator_id: str) -> None:
    named = next((row.name for row in rows if row.generator_id == generator_id), None)
    if named is not None:
        message = f"{named} has this ID already."
        raise InvalidInput(message, {"generatorId": message})


def _told(row: Avatar) -> dict[str, str]:
    return {"name": row.name, "generatorId": row.generator_id}
