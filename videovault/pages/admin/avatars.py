"""The page of the avatars that the create page offers: add, edit, sort and delete them."""

from typing import Any

import reflex as rx

from videovault.components.elements import button, field, form, form_error, icon_button, portrait, text_input
from videovault.components.overlays import confirmation, dialog
from videovault.pages.admin.admin_layout import admin_page
from videovault.state import wording
from videovault.state.admin.avatars import AdminAvatarsState

OWN = "The create page shows these avatars in this order."
BUILT_IN = "The create page shows built-in avatars until you add your own."


class PictureUpload(rx.Component):
    """A file input whose picture is scaled down and uploaded to ``url``; ``upload_error`` is shown if that fails."""

    library = "$/public/js/picture_upload.js"
    tag = "PictureUpload"
    url: rx.Var[str]
    label: rx.Var[str]
    upload_error: rx.Var[str]
    on_done: rx.EventHandler[rx.event.no_args_event_spec]  # type: ignore[type-arg,valid-type] # Reflex's spelling


def avatars() -> rx.Component:
    return admin_page(
        "/admin/avatars",
        rx.cond(
            AdminAvatarsState.is_loaded,
            rx.el.ul(
                rx.foreach(AdminAvatarsState.avatars, _avatar),
                class_name="panel avatars",
                aria_label=wording.AVATARS,
            ),
            rx.el.div(class_name="skeleton tall", aria_hidden="true"),
        ),
        _form(),
        _delete_dialog(),
        text=rx.cond(AdminAvatarsState.are_built_in, BUILT_IN, OWN),
        actions=[button(wording.ADD_AVATAR, variant="main", symbol="new", on_click=AdminAvatarsState.add)],
    )


def _avatar(avatar: Any, place: Any) -> rx.Component:
    return rx.el.li(
        portrait(avatar),
        rx.el.div(
            rx.el.strong(avatar.name),
            rx.el.span(avatar.generator_id, class_name="soft small", dir="auto"),
            class_name="line-text",
        ),
        rx.cond(
            avatar.avatar_id != "",
            rx.el.div(
                _move_button("Move up", "up", avatar, -1, place == 0),
                _move_button("Move down", "down", avatar, 1, place == AdminAvatarsState.last),
                button(
                    "Edit",
                    on_click=AdminAvatarsState.edit(avatar.avatar_id),
                    aria_label=f"Edit {avatar.name}",
                ),
                icon_button(
                    wording.to_delete(avatar.name),
                    "delete",
                    on_click=AdminAvatarsState.ask_removal(avatar.avatar_id),
                ),
                class_name="row",
            ),
            rx.el.span("Built-in", class_name="badge"),
        ),
        key=f"{avatar.avatar_id}{avatar.generator_id}",
    )


def _move_button(text: str, symbol: str, avatar: Any, by: int, is_at_end: Any) -> rx.Component:
    return icon_button(
        f"{text}: {avatar.name}",
        symbol,
        on_click=AdminAvatarsState.move(avatar.avatar_id, by),
        aria_disabled=is_at_end,
    )


def _form() -> rx.Component:
    edited = AdminAvatarsState.edited
    is_new = edited.avatar_id == ""
    return dialog(
        rx.cond(is_new, wording.ADD_AVATAR, "Edit avatar"),
        rx.el.div(
            form_error("avatar"),
            rx.cond(is_new, rx.fragment(), _picture_field(edited)),
            form(
                field("name", wording.NAME, text_input("name", default_value=edited.name, max_length=200)),
                field(
                    "generatorId",
                    wording.AVATAR_ID,
                    text_input(
                        "generatorId",
                        hinted=True,
                        default_value=edited.generator_id,
                        auto_complete="off",
                        spell_check=False,
                    ),
                    hint="As it is called in your video service. It is sent to both webhooks.",
                ),
                rx.cond(
                    is_new,
                    rx.el.p("You can add a picture after saving.", class_name="soft small"),
                ),
                rx.el.div(button(wording.SAVE, variant="main", type="submit"), class_name="actions"),
                on_submit=AdminAvatarsState.save,
                key=AdminAvatarsState.form_number,
            ),
            class_name="stack",
        ),
        name="avatar-form",
        is_open=AdminAvatarsState.is_editing,
        on_dismiss=AdminAvatarsState.close,
    )


def _picture_field(edited: Any) -> rx.Component:
    return rx.el.div(
        portrait(edited),
        rx.el.div(
            PictureUpload.create(
                url=f"/api/admin/avatars/{edited.avatar_id}/picture",
                label=rx.cond(edited.picture_url != "", "Replace picture", "Add picture"),
                upload_error="The picture could not be sent. Check your connection and try again.",
                on_done=AdminAvatarsState.picture_changed,
            ),
            rx.el.span("PNG, JPEG or WebP, cropped to a square.", class_name="soft small"),
            rx.cond(
                edited.picture_url != "",
                button("Remove picture", variant="little", on_click=AdminAvatarsState.remove_picture),
            ),
            class_name="stack close line-text",
        ),
        class_name="row picture-row",
    )


def _delete_dialog() -> rx.Component:
    return confirmation(
        f"{wording.to_delete(AdminAvatarsState.to_delete.name)}?",
        rx.el.p("The create page no longer shows it. Existing videos and scripts are kept."),
        name="avatar-removal",
        is_open=AdminAvatarsState.to_delete.avatar_id != "",
        is_busy=False,
        on_confirm=AdminAvatarsState.remove,
        on_dismiss=AdminAvatarsState.cancel_removal,
    )
