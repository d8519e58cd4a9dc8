"""Everybody's accounts: what they hold, and who may do what."""

from typing import Any

import reflex as rx

from videovault.components.dialog import dialog
from videovault.components.forms import (
    button,
    described,
    field,
    handed_over,
    link_button,
    problem,
    text_input,
)
from videovault.components.progress import bar
from videovault.components.text import is_empty, local_time
from videovault.pages.admin.layout import WHEN, address, admin_page, paging, searching, sorting
from videovault.state import wording
from videovault.state.admin.users import AdminUsersState

# The dialogs in which an admin changes an account, hands out a link to it, and invites somebody.

QUESTIONS = {
    "admin": ("Admins see and delete everybody's videos and accounts.", "Make an admin"),
    "no-admin": ("They keep their own videos and are signed out everywhere.", "Take the rights away"),
    "active": ("They can sign in again, and find everything as it was.", wording.REACTIVATE),
    "sessions": (
        "They are signed out on every device within seconds. Their API tokens keep working: to end those too, deactivate "
        "the account.",
        wording.SIGN_OUT_EVERYWHERE,
    ),
    "inactive": (
        "They are signed out everywhere at once and cannot sign in. Their videos and links stay.",
        wording.DEACTIVATE,
    ),
}


def person_dialog() -> rx.Component:
    person = AdminUsersState.user
    return dialog(
        person.email,
        rx.el.div(
            rx.el.p(f"{person.videos}, {person.storage}", class_name="soft figures"),
            rx.el.div(
                link_button("Activity of this person", person.activity, on_click=AdminUsersState.close),
                class_name="row",
            ),
            problem("user"),
            rx.match(
                AdminUsersState.confirming,
                *((what, _question(what)) for what in QUESTIONS),
                _rights(person),
            ),
            rx.el.hr(),
            _quota(),
            rx.el.hr(),
            _reset(person),
            class_name="stack",
        ),
        name="user",
        is_open=person.user_id != "",
        on_dismiss=AdminUsersState.close,
    )


def invitation_dialog() -> rx.Component:
    email = text_input(
        "email", type="email", hinted=True, auto_complete="off", placeholder="name@example.com"
    )
    return dialog(
        "Invite somebody",
        rx.cond(
            AdminUsersState.link != "",
            _link("Invitation", "It makes one account, within a week. Send it to whoever should have it."),
            rx.el.form(
                problem("invitation"),
                field(
                    "email",
                    wording.EMAIL,
                    email,
                    note=wording.OPTIONAL,
                    hint="Without one, the link is good for whoever has it.",
                ),
                rx.el.div(button("Make a link", look="main", type="submit"), class_name="actions"),
                on_submit=AdminUsersState.invite,
                reset_on_submit=False,
                no_validate=True,
                class_name="stack",
            ),
        ),
        name="invitation",
        is_open=AdminUsersState.is_inviting,
        on_dismiss=AdminUsersState.close,
    )


def _rights(person: Any) -> rx.Component:
    return rx.el.div(
        rx.cond(
            person.is_admin,
            _asking("Take admin rights away", "no-admin"),
            _asking("Make admin", "admin"),
        ),
        rx.cond(
            person.is_active,
            _asking(wording.DEACTIVATE, "inactive"),
            _asking(wording.REACTIVATE, "active"),
        ),
        _asking(wording.SIGN_OUT_EVERYWHERE, "sessions"),
        class_name="row",
    )


def _asking(text: str, what: str) -> rx.Component:
    return button(text, on_click=AdminUsersState.ask(what))


def _question(what: str) -> rx.Component:
    text, way_on = QUESTIONS[what]
    look = "danger" if what in ("no-admin", "inactive", "sessions") else "main"
    return rx.el.div(
        rx.el.p(text, role="alert"),
        rx.el.div(
            button(wording.CANCEL, on_click=AdminUsersState.cancel),
            button(way_on, look=look, on_click=AdminUsersState.change),
            class_name="actions",
        ),
        class_name="stack",
    )


def _quota() -> rx.Component:
    person = AdminUsersState.user
    kind = rx.el.select(
        rx.el.option(f"As everybody: {AdminUsersState.default_quota}", value="default"),
        rx.el.option("Their own", value="own"),
        rx.el.option(wording.NO_LIMIT, value="none"),
        value=AdminUsersState.quota_kind,
        on_change=AdminUsersState.choose_quota,
        **described("quotaKind"),
    )
    size = text_input("quota", default_value=person.quota, input_mode="decimal", max_length=12)
    return rx.el.form(
        rx.el.div(
            field("quotaKind", wording.STORAGE, kind),
            rx.cond(AdminUsersState.quota_kind == "own", field("quota", "GB", size)),
            class_name="pair",
        ),
        rx.el.div(button("Save quota", type="submit"), class_name="actions"),
        on_submit=AdminUsersState.set_quota,
        reset_on_submit=False,
        no_validate=True,
        key=AdminUsersState.form_number,
        class_name="stack",
    )


def _reset(person: Any) -> rx.Component:
    return rx.cond(
        AdminUsersState.link != "",
        _link("Link for a new password", "It works once, within an hour. Hand it to nobody but them."),
        rx.el.div(
            rx.el.span("They forgot their password?", class_name="soft"),
            button(
                "Make a reset link",
                on_click=AdminUsersState.create_reset_link,
                aria_disabled=~person.is_active,
            ),
            class_name="row apart",
        ),
    )


def _link(label: str, hint: str) -> rx.Component:
    until = local_time(AdminUsersState.link_until, WHEN)
    below = rx.el.p(wording.works_until(until), class_name="soft small")
    return rx.el.div(handed_over("link", label, AdminUsersState.link, below, hint=hint), role="status")


COLUMNS = {"created": "Joined", "email": wording.EMAIL, "seen": "Last seen", "storage": wording.STORAGE}


def users() -> rx.Component:
    return admin_page(
        "/admin/people",
        rx.el.div(
            searching(
                "search",
                wording.SEARCH,
                AdminUsersState.q,
                AdminUsersState.search.debounce(250),
                wording.NAME_OR_EMAIL,
            ),
            sorting(AdminUsersState, COLUMNS),
            class_name="tools",
            role="search",
        ),
        rx.cond(
            is_empty(AdminUsersState.users),
            rx.cond(
                AdminUsersState.is_loaded,
                rx.el.p("Nobody is found by this.", class_name="empty below-tools"),
            ),
            rx.el.ul(
                rx.foreach(AdminUsersState.users, _person),
                class_name="panel people below-tools",
                aria_label=wording.PEOPLE,
            ),
        ),
        paging(AdminUsersState, "Pages of people"),
        person_dialog(),
        invitation_dialog(),
        address(query=AdminUsersState.address),
        text=AdminUsersState.total,
        actions=[
            rx.cond(
                AdminUsersState.invites,
                button("Invite", look="main", symbol="new", on_click=AdminUsersState.open_invitation),
            )
        ],
    )


def _person(person: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.div(
                rx.el.strong(person.email),
                rx.cond(person.name != "", rx.el.span(person.name, class_name="small")),
                rx.cond(person.is_admin, rx.el.span(wording.ADMIN, class_name="badge good")),
                rx.cond(person.is_active, rx.fragment(), rx.el.span("Deactivated", class_name="badge bad")),
                class_name="badged",
            ),
            rx.el.span(
                rx.cond(
                    person.seen_at != "",
                    f"Last seen {local_time(person.seen_at, WHEN)}",
                    "Never signed in",
                ),
                class_name="soft small",
            ),
            class_name="line-text",
        ),
        rx.el.div(
            rx.el.span(
                rx.el.a(
                    person.videos,
                    href=f"/admin?owner={person.user_id}",
                    aria_label=f"{person.videos} of {person.email}",
                ),
                rx.el.span(person.storage, class_name="soft"),
                class_name="row apart small figures",
            ),
            rx.cond(person.percent >= 0, bar(person.percent, f"Storage of {person.email}")),
            class_name="stack storage",
        ),
        button(
            "Manage",
            on_click=AdminUsersState.open(person.user_id),
            aria_label=f"Manage {person.email}",
        ),
        key=person.user_id,
    )
