"""The benchmark itself: its servers follow HTTP and S3, and its ratios are correct."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.config import Config

from benchmarks import report
from benchmarks.process_usage import Usage
from benchmarks.results import Section, checks, document, table, with_sections
from benchmarks.rounds import Outcome
from benchmarks.scenarios import BASELINE, SCENARIOS, STREAMS
from benchmarks.testbed import TransferTestbed, TransferTestbedConfig, running_testbed

pytestmark = pytest.mark.process

ROOT = Path(__file__).parent.parent.parent
MIB = 1024**2


@pytest.fixture(scope="module")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransferTestbed]:
    with running_testbed(TransferTestbedConfig(), tmp_path_factory.mktemp("testbed")) as made:
        yield made


def test_the_source_serves_ranges_of_the_same_bytes(testbed: TransferTestbed) -> None:
    url = testbed.url("video", 3 * MIB)
    whole = httpx.get(url)
    part = httpx.get(url, headers={"Range": "bytes=1000000-1999999", "If-Range": whole.headers["etag"]})
    assert (len(whole.content), whole.content[4:8]) == (3 * MIB, b"ftyp")
    assert (part.status_code, part.headers["content-range"]) == (206, f"bytes 1000000-1999999/{3 * MIB}")
    assert part.content == whole.content[1000000:2000000]


@pytest.mark.parametrize(
    ("wanted", "status"),
    [({"If-Range": '"other"', "Range": "bytes=1-2"}, 200), ({"Range": "bytes=99-"}, 416)],
)
def test_the_source_refuses_invalid_ranges(
    testbed: TransferTestbed, wanted: dict[str, str], status: int
) -> None:
    assert httpx.get(testbed.url("video", 99), headers=wanted).status_code == status


@pytest.mark.parametrize("size", [1, 20 * MIB])
def test_the_sink_accepts_uploads_of_boto3(testbed: TransferTestbed, size: int, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(size))
    client = boto3.client(
        "s3",
        endpoint_url=testbed.endpoint,
        region_name="us-east-1",
        aws_access_key_id=testbed.keys[0],
        aws_secret_access_key=testbed.keys[1],
        config=Config(s3={"addressing_style": "path"}),
    )
    client.upload_file(str(file), testbed.bucket, "file")
    assert client.head_object(Bucket=testbed.bucket, Key="file")["ContentLength"] == size
    assert testbed.pop_size("file") == size


def test_targets_are_ratios_to_the_baseline() -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario.letter == "c")
    ours = Outcome("VideoVault", 100_000_000, [Usage(1, 1, 50_000_000)])
    outcomes = [ours]
    outcomes += [Outcome(name, 100_000_000, [Usage(2, 1, 100_000_000)]) for name in (BASELINE, STREAMS)]
    found = {check.name: (check.value, check.reached) for check in checks(scenario, outcomes)}
    assert found == {
        "speed": (2, False),
        "CPU": (1, True),
        "peak memory": (50, True),
        f"speed to {STREAMS}": (2, True),
    }
    assert "| VideoVault | 100 | 2.00 |" in table(scenario, outcomes)


def test_our_engine_can_be_measured() -> None:
    """benchmarks/videovault_transfer.py fits the current engine."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "f"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "| VideoVault, 64 MiB |" in done.stdout, done.stdout + done.stderr
    assert "failed" not in done.stdout


def test_a_new_measurement_replaces_its_section_only() -> None:
    sections = [Section(letter, "title", f"figures of {letter}\n") for letter in "abc"]
    again = with_sections(
        document(sections), [Section("b", "title", "better\n"), Section("c", "title", "new\n")]
    )
    assert [line for line in again.splitlines() if line.startswith("## ")] == [
        f"## ({letter}) title" for letter in "abc"
    ]
    assert "figures of a" in again
    assert "figures of b" not in again
    assert "better\n- measured by itself on 20" in again
    assert with_sections(again, [Section("b", "title", "third\n")]).count("better") == 0
    assert with_sections(again, [Section("d", "title", "figures of d\n")]).index(
        "figures of d"
    ) > again.index("new")


def test_programs_write_rows_and_sections_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, details = tmp_path / "RESULTS.md", tmp_path / "CLUSTER.md"
    results.write_text(document([Section("a", "title", "figures of a\n")]))
    monkeypatch.setattr(report, "RESULTS", results)
    report.write_row("gallery", "9 / 20 ms", is_reached=True)
    report.write_row("start", "4 s", is_reached=False)
    report.write_row("gallery", "8 / 30 ms", is_reached=False)
    written = results.read_text()
    assert written.count("\n| ") == 1 + 1 + len(report.TARGETS)
    assert "| 8 / 30 ms | **missed** |" in written
    assert "| 4 s | **missed** |" in written
    assert "9 / 20 ms" not in written
    assert "figures of a" in written
    assert str(report.table_of(written)) in written
    for body in ("first", "second"):
        report.write_section("Outages", body, file=details)
        report.write_section("Kills", body, file=details)
    headings = [line for line in details.read_text().splitlines() if line.startswith("## ")]
    assert headings == ["## Outages", "## Kills"]
    assert "first" not in details.read_text()
