"""How long the script webhook has been waited for, and for how long it will be."""

import reflex as rx

from videovault.state.waiting import WaitState


def waited_so_far() -> rx.Var[str]:
    return rx.Var.create(f"{WaitState.waited} s so far. We wait up to {WaitState.patience}.")
