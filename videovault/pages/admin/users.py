"""The page of all accounts, and the dialogs to manage one and to invite someone."""

from typing import Any

import reflex as rx

from videovault.components.elements import (
    DATE_TIME,
    button,
    field,
    form,
    form_error,
    is_empty,
    link_button,
    local_time,
    one_time_secret,
    select_field,
    text_input,
)
from videovault.components.overlays import dialog
from videovault.components.progress import bar
from videovault.pages.admin.admin_layout import admin_page, paging, query_string, search_filter, sorting
from videovault.state import wording
from videovault.state.admin.users import AdminUsersState

COLUMNS = {"created": "Joined", "email": wording.EMAIL, "seen": "Last seen", "storage": wording.STORAGE}
# The changes of an account that need a confirmation: button, consequence.
CHANGES = {
    "admin": ("Make admin", "Admins can see and delete everyone's videos and accounts."),
    "no-admin": ("Remove admin role", "They keep their own videos and are signed out on every device."),
    "active": ("Reactivate", "They can sign in again and find everything as they left it."),
    "sessions": (
        "Sign out everywhere",
        "They are signed out on every device within seconds. Their API tokens keep working: deactivate the account to "
        "stop those too.",
    ),
    "inactive": (
        "Deactivate",
        "They are signed out everywhere at once and cannot sign in. Their videos and links are kept.",
    ),
}


def users() -> rx.Component:
    return admin_page(
        "/admin/people",
        rx.el.div(
            search_filter(
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
                rx.el.p("No matching users", class_name="empty below-tools"),
            ),
            rx.el.ul(
                rx.foreach(AdminUsersState.users, _row),
                class_name="panel people below-tools",
                aria_label=wording.PEOPLE,
            ),
        ),
        paging(AdminUsersState, "Pages of people"),
        _account_dialog(),
        _invitation_dialog(),
        query_string(query=AdminUsersState.address),
        text=AdminUsersState.total,
        actions=[
            rx.cond(
                AdminUsersState.invites,
                button("Invite", variant="main", symbol="new", on_click=AdminUsersState.open_invitation),
            )
        ],
    )


def _row(user: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.div(
                rx.el.strong(user.email),
                rx.cond(user.name != "", rx.el.span(user.name, class_name="small")),
                rx.cond(user.is_admin, rx.el.span(wording.ADMIN, class_name="badge good")),
                rx.cond(user.is_active, rx.fragment(), rx.el.span("Deactivated", class_name="badge bad")),
                class_name="badged",
            ),
            rx.el.span(
                rx.cond(
                    user.seen_at != "",
                    f"Last seen {local_time(user.seen_at, DATE_TIME)}",
                    "Never signed in",
                ),
                class_name="soft small",
            ),
            class_name="line-text",
        ),
        rx.el.div(
            rx.el.span(
                rx.el.a(
                    user.videos,
                    href=f"/admin?owner={user.user_id}",
                    aria_label=f"{user.videos} of {user.email}",
                ),
                rx.el.span(user.storage, class_name="soft"),
                class_name="row apart small figures",
            ),
            rx.cond(user.percent >= 0, bar(user.percent, f"Storage of {user.email}")),
            class_name="stack storage",
        ),
        button(
            "Manage",
            on_click=AdminUsersState.open(user.user_id),
            aria_label=f"Manage {user.email}",
        ),
        key=user.user_id,
    )


def _account_dialog() -> rx.Component:
    user = AdminUsersState.user
    return dialog(
        user.email,
        rx.el.div(
            rx.el.p(f"{user.videos}, {user.storage}", class_name="soft figures"),
            rx.el.div(
                link_button("Show activity", user.activity, on_click=AdminUsersState.close), class_name="row"
            ),
            form_error("user"),
            rx.match(
                AdminUsersState.confirming,
                *((what, _question(what)) for what in CHANGES),
                _change_buttons(user),
            ),
            rx.el.hr(),
            _quota(),
            rx.el.hr(),
            _reset(user),
            class_name="stack",
        ),
        name="user",
        is_open=user.user_id != "",
        on_dismiss=AdminUsersState.close,
    )


def _invitation_dialog() -> rx.Component:
    email = text_input(
        "email", type="email", hinted=True, auto_complete="off", placeholder="name@example.com"
    )
    return dialog(
        "Invite someone",
        rx.cond(
            AdminUsersState.link != "",
            _link(
                "Invitation", "Valid for one account and one week. Send it to the person you want to invite."
            ),
            form(
                form_error("invitation"),
                field(
                    "email",
                    wording.EMAIL,
                    email,
                    note=wording.OPTIONAL,
                    hint="If empty, anyone with the link can use it.",
                ),
                rx.el.div(button("Create link", variant="main", type="submit"), class_name="actions"),
                on_submit=AdminUsersState.invite,
            ),
        ),
        name="invitation",
        is_open=AdminUsersState.is_inviting,
        on_dismiss=AdminUsersState.close,
    )


def _change_buttons(user: Any) -> rx.Component:
    return rx.el.div(
        rx.cond(user.is_admin, _change_button("no-admin"), _change_button("admin")),
        rx.cond(user.is_active, _change_button("inactive"), _change_button("active")),
        _change_button("sessions"),
        class_name="row",
    )


def _change_button(what: str) -> rx.Component:
    return button(CHANGES[what][0], on_click=AdminUsersState.ask(what))


def _question(what: str) -> rx.Component:
    confirm, text = CHANGES[what]
    variant = "danger" if what in ("no-admin", "inactive", "sessions") else "main"
    return rx.el.div(
        rx.el.p(text, role="alert"),
        rx.el.div(
            button(wording.CANCEL, on_click=AdminUsersState.cancel),
            button(confirm, variant=variant, on_click=AdminUsersState.change),
            class_name="actions",
        ),
        class_name="stack",
    )


def _quota() -> rx.Component:
    user = AdminUsersState.user
    kinds = {
        "default": f"Default: {AdminUsersState.default_quota}",
        "own": "Custom",
        "none": wording.NO_LIMIT,
    }
    size = text_input("quota", default_value=user.quota, input_mode="decimal", max_length=12)
    return form(
        rx.el.div(
            select_field(
                "quotaKind",
                wording.STORAGE,
                kinds,
                value=AdminUsersState.quota_kind,
                on_change=AdminUsersState.choose_quota,
            ),
            rx.cond(AdminUsersState.quota_kind == "own", field("quota", "GB", size)),
            class_name="pair",
        ),
        rx.el.div(button("Save quota", type="submit"), class_name="actions"),
        on_submit=AdminUsersState.set_quota,
        key=AdminUsersState.form_number,
    )


def _reset(user: Any) -> rx.Component:
    return rx.cond(
        AdminUsersState.link != "",
        _link("Password reset link", "Works once, within an hour. Send it only to this person."),
        rx.el.div(
            rx.el.span("Forgotten password?", class_name="soft"),
            button(
                "Create reset link",
                on_click=AdminUsersState.create_reset_link,
                aria_disabled=~user.is_active,
            ),
            class_name="row apart",
        ),
    )


def _link(label: str, hint: str) -> rx.Component:
    until = local_time(AdminUsersState.link_until, DATE_TIME)
    below = rx.el.p(wording.expires(until), class_name="soft small")
    return rx.el.div(one_time_secret("link", label, AdminUsersState.link, below, hint=hint), role="status")
