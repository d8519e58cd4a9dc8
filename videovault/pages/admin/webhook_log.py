"""The webhook log on the system page, and the dialog that attaches a file to a stuck video."""

from typing import Any

import reflex as rx

from videovault.components.elements import DATE_TIME, button, is_empty, local_time, options, sentence
from videovault.components.overlays import UrlDialogTexts, url_dialog
from videovault.pages.admin.admin_layout import section, select_filter
from videovault.state import wording
from videovault.state.admin.webhook_log import AdminAttachFileState, AdminWebhookLogState

DIRECTIONS = {"": "All calls", "in": "Incoming", "out": "Outgoing"}


def webhook_log() -> rx.Component:
    state = AdminWebhookLogState
    return section(
        "Webhook log",
        select_filter(
            "direction",
            wording.SHOW,
            state.direction,
            state.show,
            *options(DIRECTIONS),
        ),
        rx.cond(
            state.chosen_field != "",
            rx.el.div(
                rx.el.p(
                    sentence("The video URL is read from {field}.", field=rx.el.code(state.chosen_field))
                ),
                button("Stop using this field", variant="plain", on_click=state.reset_field),
                class_name="row apart",
            ),
        ),
        rx.cond(
            is_empty(state.calls),
            rx.cond(state.is_loaded, rx.el.p("No webhook calls yet.", class_name="soft")),
            rx.el.ul(rx.foreach(state.calls, _call), class_name="lines calls"),
        ),
        rx.cond(
            state.has_more, rx.el.div(button(wording.SHOW_OLDER, on_click=state.more), class_name="more")
        ),
        name="inbox",
        text="Webhook calls of the last 30 days, without secrets and full URLs.",
    )


def _call(call: Any) -> rx.Component:
    return rx.el.li(
        rx.el.details(
            rx.el.summary(
                rx.el.span(call.title, class_name="call-title"),
                rx.cond(call.video != "", rx.el.span(call.video, class_name="soft call-video")),
                rx.el.span(call.verdict, class_name=rx.cond(call.is_bad, "badge bad", "badge")),
                rx.el.time(
                    local_time(call.at, DATE_TIME),
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
                _call_actions(call),
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
    """The fields that may hold the video URL, for a response that was not understood."""
    return rx.cond(
        ~is_empty(call.choices),
        rx.el.div(
            rx.el.h3("Which of these is the finished video?", class_name="small"),
            rx.el.p(
                "Your choice applies to all responses from now on, and waiting videos continue.",
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


def _call_actions(call: Any) -> rx.Component:
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


def attach_file_dialog() -> rx.Component:
    video = AdminAttachFileState.video
    return url_dialog(
        f"Attach a file to “{video.title}”",
        name="rescue",
        texts=UrlDialogTexts(
            text="For a video that the generator finished but did not report.",
            label="File URL",
            hint="The file is stored for the video's owner. No new order is placed.",
            submit="Attach",
        ),
        state=AdminAttachFileState,
        is_open=video.video_id != "",
        on_submit=AdminAttachFileState.attach,
    )
