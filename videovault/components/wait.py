"""What waits say: how long the script webhook has been waited for, and what to do where nothing comes."""

import reflex as rx

from videovault.components.text import sentence
from videovault.state.create import StudioState
from videovault.state.wait import WaitState


class PlainLink(rx.el.Div):  # type: ignore[misc] # Reflex ships its elements without types
    """One that the browser follows by itself: in the router's own, an empty address leaves out the query."""

    tag = "a"
    href: rx.Var[str]


def waited_so_far() -> rx.Var[str]:
    return rx.Var.create(f"{WaitState.waited} s so far. We wait up to {WaitState.patience}.")


def late() -> rx.Component:
    """Is to be seen once what is shown in its place has not come for long."""
    again = PlainLink.create("Load the page again", href="")
    return rx.el.p(sentence("This takes longer than usual. {link}", link=again), class_name="late")


# How many videos may still be made today, where that is limited.


def budget_line() -> rx.Component:
    return rx.cond(
        StudioState.budget != "",
        rx.el.p(StudioState.budget, class_name="soft figures", data_testid="budget"),
    )
