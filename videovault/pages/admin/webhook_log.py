"""The callback inbox: each webhook call as it was, with the ways to help a stuck video on."""

from typing import Any

import reflex as rx

from videovault.components.forms import button
from videovault.components.import_dialog import Wording, url_dialog
from videovault.components.text import is_empty, local_time, sentence
from videovault.pages.admin.layout import WHEN, choosing, section
from videovault.state import wording
from videovault.state.admin.webhook_log import AdminAttachFileState, AdminWebhookLogState

DIRECTIONS = {"": "In and out", "in": "What reached us", "out": "What we sent"}


def webhook_log() -> rx.Component:
    state = AdminWebhookLogState
    return section(
        "Webhook log",
        choosing(
            "direction",
            wording.SHOW,
            state.direction,
            state.show,
            *(rx.el.option(text, value=value) for value, text in DIRECTIONS.items()),
        ),
        rx.cond(
            state.chosen_field != "",
            rx.el.div(
                rx.el.p(
                    sentence(
                        "The video's address is read from {field}.", field=rx.el.code(state.chosen_field)
                    )
                ),
                button("Stop using this field", look="plain", on_click=AdminWebhookLogState.reset_field),
                class_name="row apart",
            ),
        ),
        rx.cond(
            is_empty(state.calls),
            rx.cond(state.is_loaded, rx.el.p("No webhook has been called yet.", class_name="soft")),
            rx.el.ul(rx.foreach(state.calls, _call), class_name="lines calls"),
        ),
        rx.cond(
            state.has_more, rx.el.div(button(wording.SHOW_OLDER, on_click=state.more), class_name="more")
        ),
        name="inbox",
        text="The webhook calls of the last 30 days. Secrets and full URLs are left out.",
    )


def _call(call: Any) -> rx.Component:
    return rx.el.li(
        rx.el.details(
            rx.el.summary(
                rx.el.span(call.title, class_name="call-title"),
                rx.cond(call.video != "", rx.el.span(call.video, class_name="soft call-video")),
                rx.el.span(call.verdict, class_name=rx.cond(call.is_bad, "badge bad", "badge")),
                rx.el.time(
                    local_time(call.at, WHEN),
                    custom_attrs={"dateTime": call.at},
                    class_name="soft small figures",
                ),
            ),
            rx.el.div(
                rx.cond(call.why != "", rx.el.p(call.why, class_name="error")),
                _text("Video", call.video_id),
                _text("Client address", call.address),
                _text("Headers", call.headers),
                _text("Body", call.body),
                _text(wording.ANSWER, call.answer),
                _choices(call),
                _ways(call),
                class_name="stack close call",
            ),
        ),
        key=call.delivery_id,
    )


def _text(name: str, text: Any) -> rx.Component:
    return rx.cond(
        text != "",
        rx.el.div(rx.el.h3(name, class_name="small"), rx.el.pre(text, tab_index=0)),
    )


def _choices(call: Any) -> rx.Component:
    """Where the video's address stands, for an answer that was not understood."""
    return rx.cond(
        is_empty(call.choices),
        rx.fragment(),
        rx.el.div(
            rx.el.h3("Which of these is the finished video?", class_name="small"),
            rx.el.p(
                "The field you choose is read in all answers from now on, and waiting videos continue.",
                class_name="soft",
            ),
            rx.el.ul(
                rx.foreach(
                    call.choices,
                    lambda choice: rx.el.li(
                        button(
                            f"Use {choice.path}",
                            on_click=AdminWebhookLogState.choose(call.delivery_id, choice.path),
                        ),
                        rx.el.code(choice.address),
                        class_name="row",
                        key=choice.path,
                    ),
                ),
                class_name="stack close",
            ),
            class_name="stack close",
        ),
    )


def _ways(call: Any) -> rx.Component:
    return rx.cond(
        (call.video_id != "") | call.can_be_replayed,
        rx.el.div(
            rx.cond(
                call.can_be_replayed,
                button("Apply again", on_click=AdminWebhookLogState.replay(call.delivery_id)),
            ),
            rx.cond(
                call.video_id != "",
                button(wording.ATTACH_FILE, on_click=AdminAttachFileState.open(call.video_id)),
            ),
            class_name="row",
        ),
    )


# The dialog that gives a stuck video the address of its finished file.


def attach_file_dialog() -> rx.Component:
    stuck = AdminAttachFileState.video
    return url_dialog(
        f"Store the file of “{stuck.title}”",
        name="rescue",
        says=Wording(
            text="For a video that the generator finished without telling us.",
            label="Address of the file",
            hint="It is stored for its owner, and nothing is paid for again.",
            way_back=wording.CANCEL,
            way_on="Store it",
            waiting=wording.CHECKING,
        ),
        state=AdminAttachFileState,
        is_open=stuck.video_id != "",
        on_submit=AdminAttachFileState.attach,
    )
