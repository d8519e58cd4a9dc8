"""How many videos may still be made today, where that is limited."""

import reflex as rx

from videovault.state.studio import StudioState


def budget_line() -> rx.Component:
    return rx.cond(
        StudioState.budget != "",
        rx.el.p(StudioState.budget, class_name="soft figures", data_testid="budget"),
    )
