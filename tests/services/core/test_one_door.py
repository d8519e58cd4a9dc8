"""No query but that of ``open_video`` loads a video by its id on behalf of a caller."""

import ast
from collections.abc import Iterator
from pathlib import Path

import videovault

ROOT = Path(videovault.__file__).parent
DOOR = "services/core/access.py:open_video"
# Functions in which the server itself looks at, or changes, a video whose id it has from a row, a bucket or the door.
SYSTEM = {
    "services/admin/audit_log.py:_owners": "whose the videos are that events name, for admins",
    "services/admin/audit_log.py:_titles": "what admins see of the videos that events name",
    "services/core/audit.py:_is_outdated": "whether the video of an old event is gone",
    "services/generation/callbacks.py:signed_generator": "whose video a generator's proof is good for; the door comes after",
    "services/videos/deletion.py:go_on": "whether a video that the door refuses is one whose deletion S3 interrupted",
    "services/videos/deletion.py:finish": "removes the row of a video that the door has let go",
    "services/generation/orders.py:_claim": "the worker takes an order that waits",
    "services/transfer/playable_copy.py:_let_go": "whether a copy that was given up is another worker's now",
    "services/maintenance/reconcile/mending.py:_delete_versions": "whether a version belongs to a video that is there",
    "services/admin/webhook_log.py:_unread": "the calls of videos that wait, for an admin; the door comes after",
    "services/admin/webhook_log.py:_titles": "of the videos that webhook calls are about, for admins",
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
    "services/generation/webhook_log.py:_keep": "whether a webhook call names a video that exists",
    "services/core/quota.py:used": "a sum that leaves the video out",
    "services/maintenance/reconcile/comparing.py:_is_as_seen": "bucket against database",
    "services/maintenance/reconcile/folders.py:ready_rows": "bucket against database",
    "services/maintenance/reconcile/folders.py:rows_of": "bucket against database",
    "services/maintenance/reconcile/mending.py:_delete_orphan": "bucket against database",
    "services/maintenance/reconcile/rebuilding.py:_one": "whether a bucket's video has a row",
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
