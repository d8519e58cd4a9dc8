"""The measured programs: our engine and its rivals, each in processes of its own."""

import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.json_process import START_SECONDS, JsonProcess, json_process
from benchmarks.process_usage import (
    Command,
    Pipeline,
    RunFailed,
    RunningPipelines,
    Usage,
    peak_memory,
    reset_peak,
)
from benchmarks.testbed import TransferTestbed
from videovault.embedded import s3

WARM_UP_BYTES = 1024**2
NO_AWS = "aws is not installed here: make setup-dev, or pip install awscli"


@dataclass(frozen=True)
class Job:
    url: str
    key: str
    size: int


class Contender(ABC):
    """``name`` is what the tables call it."""

    name: str

    @abstractmethod
    def run(self, jobs: Sequence[Job], timeout: float) -> Usage:
        """Run the jobs at the same time. Raises RunFailed."""

    @abstractmethod
    def close(self) -> None:
        """Stop all processes."""


class ExternalProgram(Contender):
    """Programs that are started for each run, so that their start-up counts."""

    def __init__(
        self,
        name: str,
        testbed: TransferTestbed,
        build: Callable[[TransferTestbed, Sequence[Job]], Sequence[Pipeline]],
    ) -> None:
        self.name = name
        self._testbed = testbed
        self._build = build

    def run(self, jobs: Sequence[Job], timeout: float) -> Usage:
        pipelines = self._build(self._testbed, jobs)
        return RunningPipelines(pipelines, self._testbed.folder / "rival.log").wait(timeout)

    def close(self) -> None:
        """Nothing is left after a run."""


class LongLivedProcess(Contender):
    """A module's ``transfer`` in a process that is kept from run to run, like a worker."""

    def __init__(self, name: str, testbed: TransferTestbed, module: str) -> None:
        self.name = name
        self._testbed = testbed
        self._module = module
        self._stack = ExitStack()
        self._process: JsonProcess | None = None

    def run(self, jobs: Sequence[Job], timeout: float) -> Usage:
        process = self._process or self._start()
        try:
            reset_peak(process.pid)
            cost = self._ask(process, jobs, timeout)
            return Usage(cost["seconds"], cost["cpu_seconds"], peak_memory(process.pid))
        except (RunFailed, OSError):
            self.close()
            raise

    def close(self) -> None:
        self._stack.close()
        self._process = None

    def _start(self) -> JsonProcess:
        folder = self._testbed.folder
        arguments = ("benchmarks.transfer_process", self._module)
        process = self._stack.enter_context(
            json_process(*arguments, folder=folder, prefix=self._testbed.prefix, env=_settings(self._testbed))
        )
        self._process = process
        process.receive(START_SECONDS)
        key = f"warm-up-{self._module}"
        self._ask(
            process, [Job(self._testbed.url("warm-up", WARM_UP_BYTES), key, WARM_UP_BYTES)], START_SECONDS
        )
        self._testbed.pop_size(key)
        return process

    @staticmethod
    def _ask(process: JsonProcess, jobs: Sequence[Job], timeout: float) -> dict[str, float]:
        process.send([{"url": job.url, "key": job.key} for job in jobs])
        return process.receive(timeout)


def ours(testbed: TransferTestbed) -> Contender:
    return LongLivedProcess("VideoVault", testbed, "benchmarks.videovault_transfer")


def plain(testbed: TransferTestbed) -> Contender:
    return LongLivedProcess("httpx + upload_fileobj", testbed, "benchmarks.httpx_transfer")


def copyurl(testbed: TransferTestbed) -> Contender:
    return ExternalProgram("rclone copyurl", testbed, _copyurl)


def copyurls(testbed: TransferTestbed) -> Contender:
    return ExternalProgram("rclone copyurl --urls", testbed, _copyurls)


def copyto(testbed: TransferTestbed) -> Contender:
    return ExternalProgram("rclone copyto, 8 streams", testbed, _copyto)


def curl_to_aws(testbed: TransferTestbed) -> Contender:
    return ExternalProgram("curl | aws s3 cp -", testbed, _curl_to_aws)


def _settings(testbed: TransferTestbed) -> dict[str, str]:
    """The settings of a worker with this S3; without a bucket name it uses the embedded one."""
    env = testbed.env | {"SOURCE_ALLOW_HOSTS": testbed.source_host, "LOG_LEVEL": "warning"}
    env |= {"BENCHMARK_BUCKET": testbed.bucket}
    if testbed.embedded:
        return env | {"DATA_DIR": str(testbed.embedded.data_dir)}
    return env | {"DATA_DIR": str(testbed.folder / "var"), "AWS_S3_BUCKET_NAME": testbed.bucket}


def _rclone(testbed: TransferTestbed, *arguments: str) -> Command:
    access_key, secret_key = testbed.keys
    target = {
        "TYPE": "s3",
        "PROVIDER": "Rclone" if testbed.embedded else "Other",
        "ENDPOINT": testbed.endpoint,
        "ACCESS_KEY_ID": access_key,
        "SECRET_ACCESS_KEY": secret_key,
        "NO_CHECK_BUCKET": "true",
    }
    env = testbed.env | {"RCLONE_CONFIG": os.devnull}
    env |= {f"RCLONE_CONFIG_TARGET_{name}": value for name, value in target.items()}
    env |= {"RCLONE_CONFIG_SOURCE_TYPE": "http", "RCLONE_CONFIG_SOURCE_URL": testbed.source}
    ca_options = ["--ca-cert", str(testbed.authority)] if testbed.authority else []
    return Command([*testbed.prefix, s3.rclone_path(), *arguments, *ca_options], env)


def _copyurl(testbed: TransferTestbed, jobs: Sequence[Job]) -> list[Pipeline]:
    return [[_rclone(testbed, "copyurl", job.url, f"target:{testbed.bucket}/{job.key}")] for job in jobs]


def _copyurls(testbed: TransferTestbed, jobs: Sequence[Job]) -> list[Pipeline]:
    table = testbed.folder / "urls.csv"
    table.write_text("".join(f"{job.url},{job.key}\n" for job in jobs))
    target = f"target:{testbed.bucket}/"
    return [[_rclone(testbed, "copyurl", "--urls", str(table), target, "--transfers", str(len(jobs)))]]


def _copyto(testbed: TransferTestbed, jobs: Sequence[Job]) -> list[Pipeline]:
    streams = ("--multi-thread-streams", "8", "--multi-thread-cutoff", "16Mi")
    return [
        [_rclone(testbed, "copyto", f"source:{name}", f"target:{testbed.bucket}/{job.key}", *streams)]
        for job in jobs
        for name in [job.url.removeprefix(f"{testbed.source}/")]
    ]


def _curl_to_aws(testbed: TransferTestbed, jobs: Sequence[Job]) -> list[Pipeline]:
    program = aws()
    if not program:
        raise RunFailed(NO_AWS)
    ca_options = ["--cacert", str(testbed.authority)] if testbed.authority else []
    pipelines: list[Pipeline] = []
    for job in jobs:
        curl = Command([*testbed.prefix, "curl", "--silent", "--fail", *ca_options, job.url], testbed.env)
        target = f"s3://{testbed.bucket}/{job.key}"
        upload = Command([*testbed.prefix, program, "s3", "cp", "-", target, "--quiet"], testbed.env)
        pipelines.append([curl, upload])
    return pipelines


def aws() -> str | None:
    """From the requirements, otherwise from the PATH."""
    return shutil.which("aws", path=str(Path(sys.executable).parent)) or shutil.which("aws")
