"""The one door to a video: who may do what with it, for every kind of caller."""

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
from videovault.services.accounts import accounts
from videovault.services.core.access import Action, Caller, Visitor, open_video
from videovault.services.sharing import share_links
from videovault.services.videos import gallery

ACTIONS: tuple[Action, ...] = ("read", "change", "delete", "share", "watch")
OWNERS: set[Action] = {"read", "change", "delete", "share"}


@pytest.fixture
def stranger(bert: Caller) -> Caller:
    del bert
    return accounts.authenticate(accounts.register("carl@example.com", "correct horse").token)


@pytest.fixture
def video_id(bert: Caller) -> str:
    """A ready video of Bert's, who is no admin."""
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


def test_owner_and_admin_do_everything_but_watch_by_a_link(anna: Caller, bert: Caller, video_id: str) -> None:
    assert allowed(bert, video_id) == OWNERS
    assert anna.is_admin
    assert allowed(anna, video_id) == OWNERS


def test_a_generator_changes_what_it_reports_on_and_sees_nothing(bert: Caller, video_id: str) -> None:
    assert allowed(Caller(bert.user_id, "", is_generator=True), video_id) == {"change"}


def test_who_may_only_read_learns_no_key(anna: Caller, bert: Caller, video_id: str) -> None:
    """It would open the video to everybody, after the token has ended too; an admin's would open everybody's."""
    for caller in (anna, bert):
        reader = replace(caller, session_id="", may_write=False)
        for look in (share_links.get_secret_key, share_links.get_link):
            with pytest.raises(Forbidden, match="only read"):
                look(reader, video_id)
        assert gallery.get(reader, video_id, links=False).title == "A title"


def test_a_stranger_does_nothing(stranger: Caller, video_id: str) -> None:
    assert allowed(stranger, video_id) == set()
    assert allowed(Caller(stranger.user_id, "", is_generator=True), video_id) == set()
    with transaction() as session, pytest.raises(Forbidden):
        open_video(session, stranger, video_id, "read", owner_id="somebody")


def test_whoever_has_the_key_watches_and_nothing_else(bert: Caller, video_id: str) -> None:
    key = key_of(bert, video_id)
    assert allowed(Visitor(key), video_id) == {"watch"}
    for wrong in ("", key[:-1], key + "x", key.swapcase(), "é", "\ud800"):
        assert allowed(Visitor(wrong), video_id) == set()
    assert allowed(Visitor(key), "video_1_absent") == set()


@pytest.mark.parametrize("status", [status for status in Status if status != Status.READY])
def test_what_is_not_ready_is_not_to_be_watched(bert: Caller, status: Status) -> None:
    video_id = insert_video(bert, status)
    if status == Status.DELETING:
        assert allowed(bert, video_id) == set()
        return
    assert allowed(Visitor(key_of(bert, video_id)), video_id) == set()


def test_a_row_that_was_moved_to_another_owner_opens_for_nobody(
    anna: Caller, bert: Caller, stranger: Caller, video_id: str
) -> None:
    with transaction() as session:
        session.get_one(Video, video_id).owner_id = stranger.user_id
    for caller in (anna, bert, stranger):
        assert allowed(caller, video_id) == set()


def test_neither_a_visitor_nor_an_opened_video_tells_its_key_by_accident(bert: Caller, video_id: str) -> None:
    key = key_of(bert, video_id)
    with transaction() as session:
        opened = open_video(session, bert, video_id, "share")
        assert key not in repr(opened)
    assert key not in repr(Visitor(key))


@pytest.mark.parametrize("same", [True, False])
def test_keys_are_compared_whole(same: bool) -> None:
    key = security.new_secret_key()
    assert security.keys_match(key if same else key[:-1], key) == same


# No query but that of ``open_video`` loads a video by its id on behalf of a caller.

ROOT = Path(videovault.__file__).parent
DOOR = "services/core/access.py:open_video"
# Functions in which the server itself looks at, or changes, a video whose id it has from a row, a bucket or the door.
SYSTEM = {
    "services/admin/audit_log.py:_owners": "whose the videos are that events name, for admins",
    "services/admin/audit_log.py:_titles": "what admins see of the videos that events name",
    "services/core/audit.py:_is_outdated": "whether the video of an old event is gone",
    "services/generation/callbacks.py:signed_generator_caller": "whose video a generator's proof is good for; the door comes after",
    "services/videos/deletion.py:go_on": "whether a video that the door refuses is one whose deletion S3 interrupted",
    "services/videos/deletion.py:finish": "removes the row of a video that the door has let go",
    "services/generation/orders.py:_claim": "the worker takes an order that waits",
    "services/transfer/playable_copy.py:_let_go": "whether a copy that was given up is another worker's now",
    "services/maintenance/reconcile/runner.py:_delete_versions": "whether a version belongs to a video that is there",
    "services/admin/rescue.py:_unread_calls": "the calls of videos that wait, for an admin; the door comes after",
    "services/generation/webhook_log.py:_titles": "of the videos that webhook calls are about, for admins",
    "services/transfer/cleanup.py:clear_away": "the worker lets go of a row that it holds",
    "services/transfer/store.py:load": "the worker goes on with an upload that it holds",
    "services/maintenance/keys.py:_pages": "whether each sealed key opens, at the first start after the update",
    "services/maintenance/keys.py:rekey": "the command that replaces keys which do not open",
    "services/maintenance/keys.py:unopened": "whether any sealed key does not open",
    "services/core/lifecycle.py:change": "the conditional UPDATE that every change goes through, on a row already loaded",
    "services/core/lifecycle.py:queue": "tells the owner of a change, in the transaction that makes it",
    "services/videos/integrity.py:_note_tagged": "whether the video was deleted while its object was tagged",
    "services/videos/integrity.py:tag": "whether its key was replaced while its object was tagged",
    "services/generation/orders.py:fail_overdue": "renders whose deadline has passed",
    "services/transfer/pipeline.py:_row": "the worker looks at what it was handed",
    "services/generation/polling.py:_claim": "the worker asks a generator",
    "services/generation/webhook_log.py:_insert": "whether a webhook call names a video that exists",
    "services/core/quota.py:used": "a sum that leaves the video out",
    "services/maintenance/reconcile/compare.py:_is_as_seen": "bucket against database",
    "services/maintenance/reconcile/folders.py:ready_rows": "bucket against database",
    "services/maintenance/reconcile/folders.py:rows_of": "bucket against database",
    "services/maintenance/reconcile/runner.py:_delete_orphan": "bucket against database",
    "services/maintenance/reconcile/rebuild.py:_one": "whether a bucket's video has a row",
    "services/maintenance/keys.py:_page": "the command that seals all keys anew",
    "services/maintenance/keys.py:reseal_videos": "the command that seals all keys anew",
    "services/core/access.py:seal_again": "on a row already loaded, if its key is still the same",
    "services/videos/sidecar.py:_as_is": "what is written beside a stored video",
    "services/videos/sidecar.py:_note_written": "that it has been written",
    "services/transfer/store.py:_better_title": "whether a person has given the stored video a title meanwhile",
    "services/transfer/store.py:let_go": "the worker clears up after itself",
    "services/transfer/scheduler.py:take_back": "what dead workers held",
    "services/videos/gallery.py:statuses": "the server's own look for calls that wait; shows no video",
    "services/videos/live_updates.py:_videos": "what moves of everybody's videos, handed out by owner",
    "services/sharing/share_access.py:_counted": "counts a view of what the door has just let in",
}


class Finder(ast.NodeVisitor):
    """Names the functions that reach a video by its id: ``get(Video, …)``, or a condition on ``Video.id``."""

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
    """``Video.id``, also inside ``col(…)`` or as what a method is called on, but not within a whole query."""
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


def test_only_the_door_and_the_server_itself_reach_a_video_by_its_id() -> None:
    found = {f"{file}:{name}" for file, finder in walked() for name in finder.found}
    assert found == {DOOR, *SYSTEM}


def test_none_of_the_servers_own_functions_acts_for_a_caller() -> None:
    acting = {f"{file}:{name}" for file, finder in walked() for name, acts in finder.callers.items() if acts}
    assert acting == {DOOR}


def test_the_search_finds_every_way_to_write_it() -> None:
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
