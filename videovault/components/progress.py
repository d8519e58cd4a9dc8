"""How far the work on a video is: steps, a bar, and figures that tell how long it still takes."""

from typing import Any

import reflex as rx

from videovault.components.text import has, sentence
from videovault.state import wording
from videovault.state.create import CreateState
from videovault.state.live_updates import ProgressState
from videovault.state.view_models import VideoProgress

STEPS = (wording.REQUESTED, "Generating", "Storing", wording.READY)


def bar(percent: Any, name: str) -> rx.Component:
    """``percent`` below 0 is a wait of which nobody knows how far it is."""
    return rx.cond(
        percent >= 0,
        rx.el.progress(value=percent, max=100, aria_label=name),
        rx.el.progress(aria_label=name),
    )


def steps(current: Any) -> rx.Component:
    return rx.el.ol(*(_step(number, text, current) for number, text in enumerate(STEPS)), class_name="steps")


def full_progress(video_id: Any) -> rx.Component:
    """All that is known of the work, for the modal."""
    return rx.cond(
        has(ProgressState.progress, video_id),
        _known(ProgressState.progress[video_id]),
        _known(VideoProgress(), has_begun=False),
    )


@rx.memo
def small_progress(video_id: rx.Var[str]) -> rx.Component:
    """A step and its bar, for a card; drawn by itself as it moves, not with all that is around it."""
    work = ProgressState.progress[video_id]  # type: ignore[index] # a var of it is meant
    return rx.el.div(
        rx.cond(
            has(ProgressState.progress, video_id),
            rx.fragment(
                rx.el.span(work.activity),
                bar(work.percent, wording.PROGRESS),
                rx.el.span(work.amount_done, class_name="figures"),
                rx.cond(work.problem != "", rx.el.span(wording.UNREAD, class_name="error")),
            ),
            rx.fragment(rx.el.span(wording.REQUESTED), rx.el.progress(aria_label=wording.PROGRESS)),
        ),
        class_name="live",
    )


def _known(work: Any, *, has_begun: bool = True) -> rx.Component:
    return rx.el.div(
        steps(work.step),
        rx.el.div(
            rx.el.div(
                rx.el.p(work.activity, role="status", class_name="label"),
                rx.cond(work.percent >= 0, rx.el.span(f"{work.percent} %", class_name="soft figures")),
                class_name="row apart",
            ),
            bar(work.percent if has_begun else rx.Var.create(-1), wording.PROGRESS),
            rx.el.div(
                rx.el.span(work.amount_done, data_testid="so-far"),
                rx.el.span(work.remaining, data_testid="pace"),
                class_name="row apart soft figures one-line",
            ),
            rx.cond(work.note, rx.el.p(work.note, role="status", class_name="soft")),
            class_name="stack close",
        ),
        rx.cond(work.problem != "", rx.el.p(work.problem, class_name="alert calm", role="alert")),
        class_name="stack",
    )


def _step(number: int, text: str, current: Any) -> rx.Component:
    is_current = rx.Var.create(current) == number
    is_past = rx.Var.create(current) > number
    return rx.el.li(
        text,
        class_name=rx.cond(is_past, "done", ""),
        aria_current=rx.cond(is_current, "step", "false"),
    )


# What waits say: how long the script webhook has been waited for, and what to do where nothing comes.


class PlainLink(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """One that the browser follows by itself: in the router's own, an empty address leaves out the query."""

    tag = "a"
    href: rx.Var[str]


def waited_so_far() -> rx.Var[str]:
    return rx.Var.create(f"{CreateState.waited_seconds} s elapsed. We wait up to {CreateState.max_wait}.")


def late() -> rx.Component:
    """Is to be seen once what is shown in its place has not come for long."""
    again = PlainLink.create("Load the page again", href="")
    return rx.el.p(sentence("This takes longer than usual. {link}", link=again), class_name="late")


# How many videos may still be made today, where that is limited.


def budget_line() -> rx.Component:
    return rx.cond(
        CreateState.budget != "",
        rx.el.p(CreateState.budget, class_name="soft figures", data_testid="budget"),
    )
