"""The avatars that the create form offers: to choose from for everybody, to edit for admins."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import Response

from videovault.api.auth import SignedInCaller
from videovault.api.middleware.body_limit import RawBody
from videovault.api.responses import Nothing, Success, failures
from videovault.api.schemas import AvatarBody, AvatarChangeBody, AvatarOrderBody, Id
from videovault.services.generation import avatars
from videovault.services.generation.avatars import AvatarsView, AvatarView

router = APIRouter(prefix="/api")
AvatarId = Annotated[Id, Path(alias="avatarId")]
# An address names the picture's content, so a browser may keep what it got there.
KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}
ADMIN: dict[str, Any] = {"tags": ["Administration"], "response_model_exclude_none": True}
PICTURE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "description": f"A PNG, JPEG or WebP picture of at most {avatars.MAX_PICTURE_BYTES // 1024} KiB.",
        "content": dict.fromkeys(("image/png", "image/jpeg", "image/webp"), PICTURE),
    }
}


@router.get("/auth/avatars", tags=["Videos"], response_model_exclude_none=True, responses=failures(401))
def list_avatars(caller: SignedInCaller) -> Success[AvatarsView]:
    """The avatars to choose from: `generatorId` is what a brief or script takes as its `avatar`."""
    return Success(message="Avatars retrieved successfully", data=avatars.list_avatars(caller))


@router.get(
    "/auth/avatars/{avatarId}/picture",
    tags=["Videos"],
    response_class=Response,
    responses={200: {"content": {avatars.PICTURE_MEDIA_TYPE: PICTURE}}, **failures(401, 404)},
)
def avatar_picture(caller: SignedInCaller, avatar_id: AvatarId) -> Response:
    """Its picture, 256 pixels wide and high."""
    return Response(
        avatars.read_picture(caller, avatar_id), media_type=avatars.PICTURE_MEDIA_TYPE, headers=KEPT
    )


@router.post("/admin/avatars", status_code=201, responses=failures(400, 401, 403, 409), **ADMIN)
def add_avatar(caller: SignedInCaller, body: AvatarBody) -> Success[AvatarView]:
    """Offer one more avatar. The built-in ones are offered only while there is no other."""
    return Success(
        message="Avatar added successfully", data=avatars.add(caller, body.model_dump(by_alias=True))
    )


@router.put("/admin/avatars/order", responses=failures(400, 401, 403, 409), **ADMIN)
def order_avatars(caller: SignedInCaller, body: AvatarOrderBody) -> Success[AvatarsView]:
    """Offer them in this order; all of them are named."""
    return Success(message="Avatars ordered successfully", data=avatars.reorder(caller, body.avatar_ids))


@router.patch("/admin/avatars/{avatarId}", responses=failures(400, 401, 403, 404), **ADMIN)
def change_avatar(caller: SignedInCaller, avatar_id: AvatarId, body: AvatarChangeBody) -> Success[AvatarView]:
    """Change its name or the generator's ID; videos that were made with the earlier ID keep it."""
    wanted = body.model_dump(by_alias=True, exclude_none=True)
    return Success(message="Avatar updated successfully", data=avatars.change(caller, avatar_id, wanted))


@router.delete("/admin/avatars/{avatarId}", responses=failures(401, 403, 404), **ADMIN)
def delete_avatar(caller: SignedInCaller, avatar_id: AvatarId) -> Success[Nothing]:
    """Offer it no longer; videos that were made with it stay as they are."""
    avatars.remove(caller, avatar_id)
    return Success(message="Avatar deleted successfully", data=Nothing())


@router.put(
    "/admin/avatars/{avatarId}/picture",
    responses=failures(400, 401, 403, 404, 429),
    openapi_extra=PICTURE_BODY,
    **ADMIN,
)
def set_picture(caller: SignedInCaller, avatar_id: AvatarId, picture: RawBody) -> Success[AvatarView]:
    """Show this picture with it: the middle of it, made small."""
    return Success(message="Picture saved successfully", data=avatars.set_picture(caller, avatar_id, picture))


@router.delete("/admin/avatars/{avatarId}/picture", responses=failures(401, 403, 404), **ADMIN)
def remove_picture(caller: SignedInCaller, avatar_id: AvatarId) -> Success[AvatarView]:
    """Show its initials instead of a picture."""
    return Success(message="Picture removed successfully", data=avatars.set_picture(caller, avatar_id, None))
