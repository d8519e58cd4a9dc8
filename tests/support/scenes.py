"""Every page in every state that people meet, looked at by the screenshots and by axe."""

from dataclasses import dataclass

from tests.support import admin_paths, page_paths
from tests.support.showcase import CANCELLED, DRAFT, FAILED, NEWCOMER, OWNER, STORING, TOPICS, WORKING

FIRST = TOPICS[0]


@dataclass(frozen=True)
class Scene:
    name: str
    arrive: page_paths.Way
    who: str = ""
    own_tab: bool = False  # since what happens to it cannot be taken back


SCENES = (
    Scene("home", page_paths.page_at("/", "Short avatar videos, made from a sentence and kept safe")),
    Scene("login", page_paths.page_at("/login", "Sign in")),
    Scene("login-refused", page_paths.login_refused),
    Scene("register", page_paths.page_at("/register", "Create account")),
    Scene("forgot", page_paths.page_at("/forgot", "Forgot your password?")),
    Scene("forgot-sent", page_paths.page_at("/forgot?done=sent", "Forgot your password?")),
    Scene("reset", page_paths.page_at("/reset?token=x", "Choose a new password")),
    Scene("not-found", page_paths.page_at("/nowhere", "There is nothing here")),
    Scene("problem", page_paths.page_at("/problem?code=CONFLICT", "This video is not ready")),
    Scene("shared", page_paths.shared),
    Scene("shared-dead", page_paths.shared_no_more),
    Scene("create", page_paths.page_at("/create", "New video"), OWNER),
    Scene("create-errors", page_paths.create_with_errors, NEWCOMER),
    Scene("modal-writing", page_paths.writing, NEWCOMER),
    Scene("modal-script", page_paths.modal_of(DRAFT, "Your script"), OWNER),
    Scene("modal-rewriting", page_paths.writing_anew, OWNER),
    Scene("modal-working", page_paths.modal_of(WORKING, "Making your video"), OWNER),
    Scene("modal-storing", page_paths.modal_of(STORING, "Making your video"), OWNER),
    Scene("modal-ready", page_paths.ready, OWNER),
    Scene("modal-failed", page_paths.modal_of(FAILED, "This did not work"), OWNER),
    Scene("modal-failed-refused", page_paths.failed_address_refused, OWNER),
    Scene("modal-cancelled", page_paths.modal_of(CANCELLED, "Cancelled"), OWNER),
    Scene("gallery", page_paths.gallery, OWNER),
    Scene("gallery-loading", page_paths.nothing_comes, OWNER, own_tab=True),
    Scene("gallery-cut-off", page_paths.cut_off, OWNER, own_tab=True),
    Scene("gallery-empty", page_paths.page_at("/gallery", "Your videos will be here"), NEWCOMER),
    Scene("gallery-nothing-found", page_paths.page_at("/gallery?q=cake", "Nothing found for “cake”"), OWNER),
    Scene("gallery-drafts", page_paths.drafts, OWNER),
    Scene("gallery-failed", page_paths.failures, OWNER),
    Scene("gallery-selected", page_paths.several_selected, OWNER),
    Scene("player", page_paths.play, OWNER),
    Scene("rename", page_paths.renaming, OWNER),
    Scene("rename-refused", page_paths.rename_refused, OWNER),
    Scene("share", page_paths.pressed(f"Share {FIRST}"), OWNER),
    Scene("share-new-key", page_paths.new_key, OWNER),
    Scene("adding", page_paths.pressed("Add from a link"), OWNER),
    Scene("adding-refused", page_paths.address_refused, OWNER),
    Scene("delete", page_paths.pressed(f"Delete {FIRST}"), OWNER),
    Scene("delete-many", page_paths.several_to_delete, OWNER),
    Scene("account", page_paths.account, OWNER),
    Scene("account-token", page_paths.fresh_token, OWNER),
    Scene("notice", page_paths.notice, OWNER),
    Scene("admin", admin_paths.videos, OWNER),
    Scene("admin-selected", admin_paths.selected, OWNER),
    Scene("admin-delete", admin_paths.to_delete, OWNER),
    Scene("admin-people", admin_paths.people, OWNER),
    Scene("admin-person", admin_paths.person, OWNER),
    Scene("admin-invitation", admin_paths.invitation, OWNER),
    Scene("admin-avatars", admin_paths.avatars, OWNER),
    Scene("admin-avatar-refused", admin_paths.avatar_refused, OWNER),
    Scene("admin-activity", admin_paths.activity, OWNER),
    Scene("admin-system", admin_paths.system, OWNER),
    Scene("admin-system-broken", admin_paths.system_broken, OWNER),
    Scene("admin-inbox", admin_paths.inbox, OWNER),
    Scene("admin-unread", admin_paths.unread, OWNER),
    Scene("admin-test-order", admin_paths.ordered_on_trial, OWNER),
    Scene("admin-orphans", admin_paths.orphans, OWNER),
    Scene("admin-mending", admin_paths.mending, OWNER),
    Scene("admin-avatars-own", admin_paths.own_avatars, OWNER),
    Scene("admin-avatar-edited", admin_paths.avatar_edited, OWNER),
    Scene("admin-deleted", admin_paths.deleted, OWNER),
    Scene("admin-comparing", admin_paths.comparing, OWNER),
)
