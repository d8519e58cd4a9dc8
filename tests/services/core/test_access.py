"""Access control: what each kind of caller may do with a video, and that all queries go through ``open_video``."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import videovault
from tests.support.videos import insert_video
from videovault import security
from videovault.db import transaction
from videovault.errors import Forbidden, VideoNotFound, WrongSecretKey
from videovault.models import Status, Video
from videovault.services import sharing
from videovault.services.accounts import accounts
from videovault.services.core.access import Action, Caller, Visitor, open_video
from videovault.services.videos import gallery

ACTIONS: tuple[Action, ...] = ("read", "change", "delete", "share", "watch")
OWNERS: set[Action] = {"read", "change", "delete", "share"}


@pytest.fixture
def stranger(bert: Caller) -> Caller:
    del bert
    return accounts.authenticate(accounts.register("carl@example.com", "correct horse").token)


@pytest.fixture
def video_id(bert: Caller) -> str:
    """A ready video of Bert, who is no admin."""
    return insert_video(bert, Status.READY)


def key_of(caller: Caller, video_id: str) -> str:
    with transaction() as session:
        return open_video(session, caller, video_id, "share").secret_key


def allowed(caller: Caller | Visitor, video_id: str) -> set[Action]:
    return {action for action in ACTIONS if _opens(caller, video_id, action)}


def _opens(caller: Caller | Visitor, video_id: str, action: Action) -> bool:
    refusal = WrongSecretKey if isinstance(caller, Visitor) else VideoNotFound
    try:
        with transaction() as session:
            open_video(session, caller, video_id, action)
    except refusal:
        return False
    return True


def test_owner_and_admin_may_do_everything_but_watch_by_link(
    anna: Caller, bert: Caller, video_id: str
) -> None:
    assert allowed(bert, video_id) == OWNERS
    assert anna.is_admin
    assert allowed(anna, video_id) == OWNERS


def test_a_generator_changes_what_it_reports_on_and_sees_nothing(bert: Caller, video_id: str) -> None:
    assert allowed(Caller(bert.user_id, "", is_generator=True), video_id) == {"change"}


def test_a_read_only_token_gets_no_key(anna: Caller, bert: Caller, video_id: str) -> None:
    """A key would give the video to anyone, even after the token has expired."""
    for caller in (anna, bert):
        reader = replace(caller, session_id="", may_write=False)
        for look in (sharing.get_secret_key, sharing.get_link):
            with pytest.raises(Forbidden, match="only read"):
                look(reader, video_id)
        assert gallery.get(reader, video_id, links=False).title == "A title"


def test_a_stranger_does_nothing(stranger: Caller, video_id: str) -> None:
    assert allowed(stranger, video_id) == set()
    assert allowed(Caller(stranger.user_id, "", is_generator=True), video_id) == set()
    with transaction() as session, pytest.raises(Forbidden):
        open_video(session, stranger, video_id, "read", owner_id="somebody")


def test_a_visitor_with_the_key_may_watch_only(bert: Caller, video_id: str) -> None:
    key = key_of(bert, video_id)
    assert allowed(Visitor(key), video_id) == {"watch"}
    for wrong in ("", key[:-1], key + "x", key.swapcase(), "é", "\ud800"):
        assert allowed(Visitor(wrong), video_id) == set()
    assert allowed(Visitor(key), "video_1_absent") == set()


@pytest.mark.parametrize("status", [status for status in Status if status != Status.READY])
def test_a_video_that_is_not_ready_cannot_be_watched(bert: Caller, status: Status) -> None:
    video_id = insert_video(bert, status)
    if status == Status.DELETING:
        assert allowed(bert, video_id) == set()
        return
    assert allowed(Visitor(key_of(bert, video_id)), video_id) == set()


def test_a_row_moved_to_another_owner_cannot_be_opened(
    anna: Caller, bert: Caller, stranger: Caller, video_id: str
) -> None:
    with transaction() as session:
        session.get_one(Video, video_id).owner_id = stranger.user_id
    for caller in (anna, bert, stranger):
        assert allowed(caller, video_id) == set()


def test_the_repr_of_visitors_and_opened_videos_hides_the_key(bert: Caller, video_id: str) -> None:
    key = key_of(bert, video_id)
    with transaction() as session:
        opened = open_video(session, bert, video_id, "share")
        assert key not in repr(opened)
    assert key not in repr(Visitor(key))


@pytest.mark.parametrize("same", [True, False])
def test_keys_must_match_entirely(same: bool) -> None:
    key = security.new_secret_key()
    assert security.keys_match(key if same else key[:-1], key) == same


# Only ``open_video`` may load a video by its id on behalf of a caller.

ROOT = Path(videovault.__file__).parent
OPEN_VIDEO = "services/core/access.py:open_video"
# System functions, which use ids from a row, a bucket or ``open_video``.
SYSTEM = {
    "services/admin/audit_log.py:_owners": "the owners of videos in events, for admins",
    "services/admin/audit_log.py:_titles": "the titles of videos in events, for admins",
    "services/generation/webhook_log.py:_titles": "the titles of videos in webhook calls, for admins",
    "services/admin/videos.py:_search": "which videos a search of the admin's list finds",
    "services/admin/rescue.py:_unread_calls": "webhook calls of waiting videos, for an admin, before open_video",
    "services/core/access.py:reseal_key": "a row already loaded, if its key is unchanged",
    "services/core/audit.py:_is_outdated": "whether the video of an old event is gone",
    "services/core/lifecycle.py:queue_notices": "notifies the owner in the transaction of the change",
    "services/core/lifecycle.py:update_if_unchanged": "the conditional UPDATE of every change, on a row already loaded",
    "services/core/quota.py:used": "a sum that excludes the video",
    "services/generation/callbacks.py:signed_generator_caller": "the owner of a reported video, before open_video",
    "services/generation/order_lease.py:_renew": "the worker's heartbeat on the order that it sends",
    "services/generation/orders.py:_claim": "the worker claims a waiting order",
    "services/generation/orders.py:fail_overdue": "renders past their deadline",
    "services/generation/polling.py:_claim": "the worker polls a generator",
    "services/generation/webhook_log.py:_insert": "whether a webhook call names an existing video",
    "services/maintenance/keys.py:_pages": "whether each sealed key can be unsealed, at the first start after the update",
    "services/maintenance/keys.py:count_unopenable": "whether any sealed key cannot be unsealed",
    "services/maintenance/keys.py:rekey": "the command that replaces keys which cannot be unsealed",
    "services/maintenance/keys.py:reseal_videos": "the command that seals all keys again",
    "services/maintenance/reconcile/compare.py:_is_unchanged": "compares bucket and database",
    "services/maintenance/reconcile/compare.py:ready_videos": "compares bucket and database",
    "services/maintenance/reconcile/compare.py:rows_by_folder": "compares bucket and database",
    "services/maintenance/reconcile/rebuild.py:_rebuild_folder": "whether a video in the bucket has a row",
    "services/maintenance/reconcile/runner.py:_is_claimed": "whether an object belongs to an existing video",
    "services/sharing.py:_count_in": "counts a view, after open_video",
    "services/transfer/cleanup.py:remove_leftovers": "the worker releases a row that it holds",
    "services/transfer/cleanup.py:is_referenced": "whether an upload in S3 belongs to a row",
    "services/transfer/playable_copy.py:_claim": "the worker's next copy, of the rows that are due",
    "services/transfer/scheduler.py:_next": "the worker's next video, of each owner's first",
    "services/transfer/pipeline.py:_row": "the worker reads its job",
    "services/transfer/playable_copy.py:_discard": "whether another worker now holds a copy that was given up",
    "services/transfer/scheduler.py:_requeue": "a dead worker's video",
    "services/transfer/store.py:_title_from_source": "whether the title was changed during the transfer",
    "services/transfer/store.py:clean_up_after": "the worker cleans up after itself",
    "services/transfer/store.py:load": "the worker resumes an upload that it holds",
    "services/videos/deletion.py:finish": "deletes the row, after open_video",
    "services/videos/deletion.py:resume": "whether a video that open_video refuses is being deleted",
    "services/videos/gallery.py:statuses": "for the server's own waiting calls; shows no video",
    "services/videos/integrity.py:_note_tagged": "whether the video was deleted during the tagging",
    "services/videos/integrity.py:tag": "whether the key was replaced during the tagging",
    "services/videos/live_updates.py:_read": "progress of all users' videos, grouped by owner",
    "services/videos/sidecar.py:_as_is": "reads the row for its sidecar",
    "services/videos/sidecar.py:_note_written": "marks the sidecar as written",
}


class Finder(ast.NodeVisitor):
    """Finds functions that load a video by its id: ``get(Video, …)``, or a condition on ``Video.id``."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self.callers: dict[str, bool] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.functions.append(node)
        self.generic_visit(node)
        self.functions.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's own way of naming

    def visit_Call(self, node: ast.Call) -> None:
        named = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        by_key = named in {"get", "get_one"} and any(_is_video(argument) for argument in node.args[:1])
        by_list = named in {"in_", "like", "startswith", "between"} and _is_id(node.func)
        if by_key or by_list or named == "filter_by":
            self._found()
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if any(_is_id(side) for side in (node.left, *node.comparators)):
            self._found()
        self.generic_visit(node)

    def _found(self) -> None:
        function = self.functions[-1]
        self.found.add(function.name)
        parameters = [*function.args.args, *function.args.kwonlyargs]
        self.callers[function.name] = any("Caller" in _text(each.annotation) for each in parameters)


def _is_video(node: ast.expr) -> bool:
    return _text(node).endswith("Video")


def _is_id(node: ast.expr) -> bool:
    """``Video.id``, also inside ``col(…)`` or as the object of a method call, but not within a whole query."""
    if isinstance(node, ast.Attribute) and not _text(node).endswith("Video.id"):
        return _is_id(node.value)
    if isinstance(node, ast.Call) and _text(node.func).endswith("col"):
        return _is_id(node.args[0])
    return isinstance(node, ast.Attribute)


def _text(node: ast.expr | None) -> str:
    return ast.unparse(node) if node else ""


def walked() -> Iterator[tuple[str, Finder]]:
    for folder in ("services", "api", "state", "pages", "components"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            finder = Finder()
            finder.visit(ast.parse(file.read_text()))
            yield file.relative_to(ROOT).as_posix(), finder
    for file in sorted(ROOT.glob("*.py")):
        finder = Finder()
        finder.visit(ast.parse(file.read_text()))
        yield file.name, finder


def test_only_open_video_and_system_functions_load_a_video_by_id() -> None:
    found = {f"{file}:{name}" for file, finder in walked() for name in finder.found}
    assert found == {OPEN_VIDEO, *SYSTEM}


def test_no_system_function_acts_for_a_caller() -> None:
    acting = {f"{file}:{name}" for file, finder in walked() for name, acts in finder.callers.items() if acts}
    assert acting == {OPEN_VIDEO}


def test_the_check_recognizes_every_way_to_write_it() -> None:
    ways = (
        "session.get(Video, video_id)",
        "session.get_one(models.Video, video_id)",
        "select(Video).where(Video.id == video_id)",
        "select(Video).where(col(Video.id) == video_id)",
        "select(Video.title).where(col(Video.id).in_([video_id]))",
        "select(Video).filter_by(id=video_id)",
        "select(Video).where(video_id == models.Video.id)",
    )
    for way in ways:
        finder = Finder()
        finder.visit(ast.parse(f"def reach(caller: Caller, video_id):\n    {way}"))
        assert finder.found == {"reach"}, way
        assert finder.callers == {"reach": True}
