"""Progress: the steps and figures of a video in progress, waits for the script webhook, and slow loading."""

from typing import Any

import reflex as rx

from videovault.components.elements import has, sentence
from videovault.state import wording
from videovault.state.create import CreateState
from videovault.state.live_updates import ProgressState
from videovault.state.view_models import VideoProgress

STEPS = (wording.REQUESTED, "Generating", "Storing", wording.READY)


class PlainLink(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """A link that the browser follows: the router's link drops the query from an empty address."""

    tag = "a"
    href: rx.Var[str]


def bar(percent: Any, name: str) -> rx.Component:
    """A progress bar; indeterminate if ``percent`` is below 0."""
    return rx.cond(
        percent >= 0,
        rx.el.progress(value=percent, max=100, aria_label=name),
        rx.el.progress(aria_label=name),
    )


def full_progress(video_id: Any) -> rx.Component:
    """Steps, bar and figures, for the modal."""
    return rx.cond(
        has(ProgressState.progress, video_id),
        _details(ProgressState.progress[video_id]),
        _details(VideoProgress(), has_begun=False),
    )


@rx.memo
def small_progress(video_id: rx.Var[str]) -> rx.Component:
    """Step and bar for a card; a memo component, so that an update does not render the whole card."""
    work = ProgressState.progress[video_id]  # type: ignore[index] # a state var
    return rx.el.div(
        rx.cond(
            has(ProgressState.progress, video_id),
            rx.fragment(
                rx.el.span(work.activity),
                bar(work.percent, wording.PROGRESS),
                rx.el.span(work.amount_done, class_name="figures"),
                rx.cond(work.problem != "", rx.el.span(wording.UNREAD, class_name="error")),
                rx.cond(work.is_unanswered, rx.el.span(wording.UNANSWERED, class_name="error")),
            ),
            rx.fragment(rx.el.span(wording.REQUESTED), rx.el.progress(aria_label=wording.PROGRESS)),
        ),
        class_name="live",
    )


def is_unanswered(video_id: Any) -> Any:
    """Whether the generator's response to this video's order was lost."""
    return has(ProgressState.progress, video_id) & ProgressState.progress[video_id].is_unanswered


def _details(work: Any, *, has_begun: bool = True) -> rx.Component:
    return rx.el.div(
        rx.el.ol(*(_step(number, text, work.step) for number, text in enumerate(STEPS)), class_name="steps"),
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


def elapsed_wait() -> rx.Var[str]:
    return rx.Var.create(f"{CreateState.waited_seconds} s elapsed. We wait up to {CreateState.max_wait}.")


def slow_notice() -> rx.Component:
    """Appears after some seconds (by CSS) beside what has not loaded yet."""
    reload_link = PlainLink.create("Reload the page", href="")
    return rx.el.p(sentence("This is taking longer than usual. {link}", link=reload_link), class_name="late")


def budget_line() -> rx.Component:
    """How many videos may still be made today, if that is limited."""
    return rx.cond(
        CreateState.budget != "",
        rx.el.p(CreateState.budget, class_name="soft figures", data_testid="budget"),
    )
