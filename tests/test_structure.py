"""The structure that docs/architecture.md describes, in figures: `python -m scripts.structure` prints all of them."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from scripts import structure
from tests.api.requests import generate
from tests.support.installation import Configure
from tests.support.people import Person
from videovault.services.transfer import pipeline

PATHS = structure.modules()
GRAPH = structure.imports(PATHS)
# Small modules with one importer, and why each is a subject of its own.
SMALL = {
    "videovault.embedded.previous_assets": "needs the web framework, which a start without it should not import",
}
MAX_FILES_ENTERED = 59


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert structure.cycles(GRAPH) == []


def test_packages_of_services_import_downwards() -> None:
    assert structure.upward(structure.arrows(GRAPH)) == set()


def test_small_modules_with_one_importer_have_a_reason() -> None:
    assert set(structure.small_with_one_importer(PATHS, GRAPH)) == set(SMALL)


@contextmanager
def files_entered() -> Iterator[set[str]]:
    """The files of the product in which a function is called while the block runs, in every thread."""
    found: set[str] = set()
    product = str(structure.ROOT / structure.PRODUCT)

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(product):
            found.add(frame.f_code.co_filename.removeprefix(product))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.mark.usefixtures("moto_s3", "generator")
def test_few_files_are_entered_from_the_request_to_the_ready_video(ada: Person, configure: Configure) -> None:
    configure(GENERATE_WAIT_SECONDS=0)
    with files_entered() as found:
        video_id = generate(ada).json()["data"]["videoId"]
        pipeline.produce(video_id, stopping=lambda: False)
    print(len(found), *sorted(found), sep="\n")
    assert len(found) <= MAX_FILES_ENTERED
