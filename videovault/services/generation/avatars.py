"""The avatars of the create form: the installation's own, or the built-in ones while it has none.

Videos keep the generator's ID that they were made with, so changing or deleting an avatar changes no video.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

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

# Uploaded pictures are decoded, cropped and encoded again: only our own encoding is stored and served.
PICTURE_SIDE = 256  # pixels
PICTURE_MEDIA_TYPE = "image/webp"
MAX_PICTURE_BYTES = 1024 * 1024
MAX_PIXELS = 16_000_000  # 64 MB once decoded
MAX_SIDE = 16_000  # the decoder needs memory for each row of pixels, even a short one
UNREADABLE_PICTURE = "This is not a picture that can be read. Use a PNG, JPEG or WebP file."
TOO_MANY_PIXELS = "This picture has too many pixels. Make it at most 4,000 by 4,000, and try again."
TOO_LARGE = "This picture is too large: at most 1 MiB is possible."
# Each decoding needs memory for up to MAX_PIXELS.
decoding = Bulkhead(at_once=1, waiting=4, seconds=10.0)


def resize_picture(raw: bytes) -> bytes:
    """The centre of a PNG, JPEG or WebP picture as a square WebP of ``PICTURE_SIDE`` pixels, without metadata.

    Raises InvalidInput, Busy.
    """
    if len(raw) > MAX_PICTURE_BYTES:
        raise _invalid(TOO_LARGE)
    with decoding.slot():
        return _crop(raw)


def _crop(raw: bytes) -> bytes:
    from PIL import Image, ImageOps  # takes 10 MB of memory, needed only for uploads

    try:
        with Image.open(BytesIO(raw), formats=("PNG", "JPEG", "WEBP")) as opened:
            if opened.width * opened.height > MAX_PIXELS or max(opened.size) > MAX_SIDE:
                raise _invalid(TOO_MANY_PIXELS)
            # A JPEG need not be decoded in full size.
            opened.draft("RGB", (PICTURE_SIDE * 2, PICTURE_SIDE * 2))
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    except Image.DecompressionBombError as error:
        raise _invalid(TOO_MANY_PIXELS) from error
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:  # struct: malformed EXIF
        raise _invalid(UNREADABLE_PICTURE) from error
    # A new image, because it has no metadata that would be saved, too.
    square = Image.new("RGBA", (PICTURE_SIDE, PICTURE_SIDE))
    square.paste(ImageOps.fit(upright, (PICTURE_SIDE, PICTURE_SIDE)))
    webp = BytesIO()
    square.save(webp, "WEBP", quality=85)
    return webp.getvalue()


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, {"picture": message})


PORTRAITS = Path(__file__).parents[3] / "assets" / "avatars"
_FIRST_NAMES = ("Maya", "Daniel", "Sofia", "Marcus", "Aisha", "Kenji", "Emma", "Amara", "James")
_MORE_NAMES = {file.stem.title() for file in PORTRAITS.glob("*.svg")} - set(_FIRST_NAMES)
BUILT_IN_NAMES = (*_FIRST_NAMES, *sorted(_MORE_NAMES))
MAX_AVATARS = 100
OTHER_AVATAR = "other"  # the form's value for an ID that is typed instead
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


class AvatarView(View):
    """An avatar to choose from; ``generator_id`` is sent to the webhooks.

    Built-in avatars have no ``avatar_id``. Without a ``picture_url``, the initials are shown.
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
    """In the order of the form; ``are_built_in`` while the installation has no avatars of its own."""

    avatars: list[AvatarView]
    are_built_in: bool


BUILT_IN_AVATARS = [
    AvatarView(name=name, generator_id=name, picture_url=f"/avatars/{name.lower()}.svg#portrait")
    for name in BUILT_IN_NAMES
]


def list_avatars(_caller: Caller) -> AvatarsView:
    """The avatars of the form, for everyone who is signed in."""
    with reading() as session:
        return _view(_rows(session))


def read_picture(_caller: Caller, avatar_id: str) -> bytes:
    """A square WebP of ``PICTURE_SIDE`` pixels. Raises NotFound."""
    with reading() as session:
        row = session.get(Avatar, avatar_id)
        if row is None or row.picture is None:
            raise NotFound("There is no such picture.")
        return row.picture


def add(caller: Caller, avatar: Mapping[str, str]) -> AvatarView:
    """Add an avatar at the end: ``avatar`` has a ``name`` and a ``generatorId``.

    Raises Forbidden for non-admins, InvalidInput, Conflict if there are ``MAX_AVATARS``.
    """
    check_admin(caller)
    clean = _validate(avatar)
    with transaction() as session:
        rows = _lock_rows(session, caller)
        if len(rows) >= MAX_AVATARS:
            raise Conflict(f"There are {MAX_AVATARS} avatars already. Delete one first.")
        _check_unused(rows, clean["generatorId"])
        position = rows[-1].position + 1 if rows else 0
        row = Avatar(name=clean["name"], generator_id=clean["generatorId"], position=position)
        session.add(row)
        _audit(session, "avatar_added", caller, row)
        return AvatarView.of(row)


def change(caller: Caller, avatar_id: str, avatar: Mapping[str, str]) -> AvatarView:
    """Set ``name`` or ``generatorId``, or both. Raises Forbidden, NotFound, InvalidInput."""
    check_admin(caller)
    with transaction() as session:
        rows = _lock_rows(session, caller)
        row = _get(rows, avatar_id)
        clean = _validate({"name": row.name, "generatorId": row.generator_id, **avatar})
        _check_unused([other for other in rows if other is not row], clean["generatorId"])
        row.name, row.generator_id = clean["name"], clean["generatorId"]
        _audit(session, "avatar_changed", caller, row)
        return AvatarView.of(row)


def set_picture(caller: Caller, avatar_id: str, raw: bytes | None) -> AvatarView:
    """Set or remove the picture. Raises Forbidden, NotFound, and as ``resize_picture`` does."""
    check_admin(caller)
    picture = None if raw is None else resize_picture(raw)
    with transaction() as session:
        row = _get(_lock_rows(session, caller), avatar_id)
        row.picture = picture
        row.picture_hash = hashlib.sha256(picture).hexdigest()[:16] if picture else ""
        _audit(session, "avatar_changed", caller, row)
        return AvatarView.of(row)


def reorder(caller: Caller, avatar_ids: Sequence[str]) -> AvatarsView:
    """Set the order. Raises Forbidden, Conflict unless ``avatar_ids`` names each avatar exactly once."""
    check_admin(caller)
    with transaction() as session:
        rows = {row.id: row for row in _lock_rows(session, caller)}
        if sorted(avatar_ids) != sorted(rows):
            raise Conflict("The avatars have changed meanwhile. Load the page again.")
        for position, avatar_id in enumerate(avatar_ids):
            rows[avatar_id].position = position
        session.add(Event(kind="avatars_reordered", actor_id=caller.user_id))
        return _view([rows[avatar_id] for avatar_id in avatar_ids])


def remove(caller: Caller, avatar_id: str) -> None:
    """Delete an avatar. Raises Forbidden, NotFound."""
    check_admin(caller)
    with transaction() as session:
        row = _get(_lock_rows(session, caller), avatar_id)
        session.delete(row)
        _audit(session, "avatar_deleted", caller, row)


def _rows(session: Session) -> Sequence[Avatar]:
    order = col(Avatar.position), col(Avatar.id)
    no_picture = defer(Avatar.picture)  # type: ignore[arg-type] # a column; only the route of one picture reads it
    return session.exec(select(Avatar).options(no_picture).order_by(*order)).all()


def _lock_rows(session: Session, caller: Caller) -> Sequence[Avatar]:
    """All avatars, locked until this transaction ends."""
    advisory_lock(session, "avatars")
    recheck_admin(session, caller)
    return _rows(session)


def _get(rows: Sequence[Avatar], avatar_id: str) -> Avatar:
    row = next((row for row in rows if row.id == avatar_id), None)
    if row is None:
        raise NotFound("This avatar has been deleted.")
    return row


def _validate(avatar: Mapping[str, str]) -> dict[str, str]:
    clean = fields.validate(RULES, avatar)
    if clean["generatorId"] == OTHER_AVATAR:
        message = f"“{OTHER_AVATAR}” is what the form calls an ID that is typed. Use another one."
        raise InvalidInput(message, {"generatorId": message})
    return clean


def _check_unused(rows: Sequence[Avatar], generator_id: str) -> None:
    owner = next((row.name for row in rows if row.generator_id == generator_id), None)
    if owner is not None:
        message = f"{owner} has this ID already."
        raise InvalidInput(message, {"generatorId": message})


def _audit(session: Session, kind: str, caller: Caller, row: Avatar) -> None:
    detail = {"name": row.name, "generatorId": row.generator_id}
    session.add(Event(kind=kind, actor_id=caller.user_id, detail=detail))


def _view(rows: Sequence[Avatar]) -> AvatarsView:
    own = [AvatarView.of(row) for row in rows]
    return AvatarsView(avatars=own or BUILT_IN_AVATARS, are_built_in=not own)
