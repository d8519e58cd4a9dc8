"""The script of a video to be: three parts to change by hand or to have written anew, each with its length."""

from typing import Any

import reflex as rx

from videovault.components.budget import budget_line
from videovault.components.buttons import button
from videovault.components.forms import autosave, described, field_error, problem
from videovault.components.icons import icon
from videovault.components.vars import has
from videovault.components.waiting import waited_so_far
from videovault.services.scripts import PARTS
from videovault.state import wording
from videovault.state.script import kept_as
from videovault.state.studio import StudioState

HINTS = {
    "hook": "The first sentence, which makes people stay.",
    "body": "What there is to say.",
    "conclusion": "What people should do next.",
}


class Meter(rx.Component):
    """How long these parts of the form are, counted as one types."""

    library = "$/public/js/meter.js"
    tag = "Meter"
    parts: rx.Var[list[str]]
    one: rx.Var[str]
    many: rx.Var[str]
    seconds: rx.Var[str]
    words_a_minute: rx.Var[int]


class Submit(rx.Component):
    """The button of a form, disabled while anything that the form requires is empty."""

    library = "$/public/js/meter.js"
    tag = "Submit"
    disabled: rx.Var[bool]


def script_form() -> rx.Component:
    return autosave(
        rx.el.form(
            rx.el.p("Change whatever you like. It is kept as you type.", class_name="soft"),
            *(_part(part) for part in PARTS),
            problem("script"),
            rx.el.p(StudioState.said_of_parts, role="status", class_name="unseen"),
            budget_line(),
            rx.el.div(
                _meter("meter", *PARTS, class_name="soft figures first"), _submit(), class_name="actions"
            ),
            on_submit=StudioState.make,
            reset_on_submit=False,
            no_validate=True,
            class_name="stack script",
        ),
        name=kept_as(StudioState.script_id),
        on_save=StudioState.keep,
        on_restore=StudioState.restore,
        key=StudioState.video.video_id,
    )


def _part(part: str) -> rx.Component:
    is_busy = StudioState.waiting_for == part
    return rx.el.div(
        rx.el.div(
            rx.el.label(part.capitalize(), html_for=part),
            _meter(f"{part}-meter", part, class_name="soft small figures"),
            class_name="part-head",
        ),
        rx.el.textarea(
            **described(part, hinted=True),
            default_value=StudioState.parts[part],
            required=True,
            read_only=is_busy,
            rows="3",
            key=f"{part}-{StudioState.part_numbers[part]}",
        ),
        field_error(part),
        rx.el.div(
            rx.el.span(
                rx.cond(is_busy, _waiting(), HINTS[part]), id=f"{part}-hint", class_name="soft small figures"
            ),
            rx.el.div(_undo(part), _rewrite(part, is_busy), class_name="part-actions"),
            class_name="part-foot",
        ),
        class_name="field part",
        aria_busy=is_busy,
    )


def _waiting() -> rx.Component:
    return rx.fragment(
        rx.el.progress(aria_label=wording.WRITING),
        waited_so_far(),
    )


def _rewrite(part: str, is_busy: Any) -> rx.Component:
    """One button for both, so that the focus stays where it is."""
    return rx.cond(
        StudioState.can_rewrite,
        button(
            rx.cond(is_busy, wording.CANCEL, rx.fragment(icon("again", 16), "Rewrite")),
            look="plain little",
            on_click=StudioState.rewrite(part),
            disabled=(StudioState.waiting_for != "") & ~is_busy | StudioState.is_requesting,
            aria_label=rx.cond(is_busy, f"Cancel writing the {part}", f"Rewrite: {part}"),
        ),
    )


def _undo(part: str) -> rx.Component:
    way = StudioState.ways_back[part]
    return rx.cond(
        has(StudioState.ways_back, part),
        button(
            rx.fragment(icon("back", 16), way),
            look="plain little",
            on_click=StudioState.undo(part),
            disabled=StudioState.waiting_for == part,
            aria_label=rx.cond(way == wording.UNDO, f"Undo the new {part}", f"Redo the new {part}"),
        ),
    )


def _meter(name: str, *parts: str, **props: Any) -> rx.Component:
    return Meter.create(
        parts=list(parts), words_a_minute=wording.WORDS_A_MINUTE, data_testid=name, **wording.METER, **props
    )


def _submit() -> rx.Component:
    return Submit.create(
        rx.cond(StudioState.is_requesting, wording.HANDING_OVER, "Create video"),
        class_name="button main",
        disabled=(StudioState.waiting_for != "") | StudioState.is_requesting,
    )
