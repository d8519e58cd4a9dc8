"""Who carries the transfers out: our engine and its rivals, each measured in processes of its own."""

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
    forget_peak,
    peak_memory,
)
from benchmarks.testbed import Testbed
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
        """Carry the jobs out at the same time. Raises RunFailed."""

    @abstractmethod
    def close(self) -> None:
        """End what was started."""


class Rival(Contender):
    """Programs that are started for the jobs and end with them: their start-up counts."""

    def __init__(
        self, name: str, stage: Testbed, build: Callable[[Testbed, Sequence[Job]], Sequence[Pipeline]]
    ) -> None:
        self.name = name
        self._stage = stage
        self._build = build

    def run(self, jobs: Sequence[Job], timeout: float) -> Usage:
        pipelines = self._build(self._stage, jobs)
        return RunningPipelines(pipelines, self._stage.folder / "rival.log").wait(timeout)

    def close(self) -> None:
        """Nothing outlives its run."""


class Resident(Contender):
    """A module's ``transfer`` in a process that lives from run to run, as a worker does."""

    def __init__(self, name: str, stage: Testbed, module: str) -> None:
        self.name = name
        self._stage = stage
        self._module = module
        self._stack = ExitStack()
        self._process: JsonProcess | None = None

    def run(self, jobs: Sequence[Job], timeout: float) -> Usage:
        process = self._process or self._start()
        try:
            forget_peak(process.pid)
            cost = self._ask(process, jobs, timeout)
            return Usage(cost["seconds"], cost["cpu_seconds"], peak_memory(process.pid))
        except (RunFailed, OSError):
            self.close()
            raise

    def close(self) -> None:
        self._stack.close()
        self._process = None

    def _start(self) -> JsonProcess:
        folder = self._stage.folder
        arguments = ("benchmarks.transfer_process", self._module)
        process = self._stack.enter_context(
            json_process(*arguments, folder=folder, inside=self._stage.inside, env=_settings(self._stage))
        )
        self._process = process
        process.hear(START_SECONDS)
        key = f"warm-up-{self._module}"
        self._ask(
            process, [Job(self._stage.url("warm-up", WARM_UP_BYTES), key, WARM_UP_BYTES)], START_SECONDS
        )
        self._stage.take_out(key)
        return process

    @staticmethod
    def _ask(process: JsonProcess, jobs: Sequence[Job], timeout: float) -> dict[str, float]:
        process.tell([{"url": job.url, "key": job.key} for job in jobs])
        return process.hear(timeout)


def ours(stage: Testbed) -> Contender:
    return Resident("VideoVault", stage, "benchmarks.videovault_transfer")


def plain(stage: Testbed) -> Contender:
    return Resident("httpx + upload_fileobj", stage, "benchmarks.httpx_transfer")


def copyurl(stage: Testbed) -> Contender:
    return Rival("rclone copyurl", stage, _copyurl)


def copyurls(stage: Testbed) -> Contender:
    return Rival("rclone copyurl --urls", stage, _copyurls)


def copyto(stage: Testbed) -> Contender:
    return Rival("rclone copyto, 8 streams", stage, _copyto)


def curl_to_aws(stage: Testbed) -> Contender:
    return Rival("curl | aws s3 cp -", stage, _curl_to_aws)


def _settings(stage: Testbed) -> dict[str, str]:
    """The settings of a worker beside this S3; without the bucket's name it uses the embedded one."""
    env = stage.env | {"SOURCE_ALLOW_HOSTS": stage.source_host, "LOG_LEVEL": "warning"}
    env |= {"BENCHMARK_BUCKET": stage.bucket}
    if stage.embedded:
        return env | {"DATA_DIR": str(stage.embedded.data_dir)}
    return env | {"DATA_DIR": str(stage.folder / "var"), "AWS_S3_BUCKET_NAME": stage.bucket}


def _rclone(stage: Testbed, *arguments: str) -> Command:
    access_key, secret_key = stage.keys
    target = {
        "TYPE": "s3",
        "PROVIDER": "Rclone" if stage.embedded else "Other",
        "ENDPOINT": stage.endpoint,
        "ACCESS_KEY_ID": access_key,
        "SECRET_ACCESS_KEY": secret_key,
        "NO_CHECK_BUCKET": "true",
    }
    env = stage.env | {"RCLONE_CONFIG": os.devnull}
    env |= {f"RCLONE_CONFIG_TARGET_{name}": value for name, value in target.items()}
    env |= {"RCLONE_CONFIG_SOURCE_TYPE": "http", "RCLONE_CONFIG_SOURCE_URL": stage.source}
    trusted = ["--ca-cert", str(stage.authority)] if stage.authority else []
    return Command([*stage.inside, s3.rclone_path(), *arguments, *trusted], env)


def _copyurl(stage: Testbed, jobs: Sequence[Job]) -> list[Pipeline]:
    return [[_rclone(stage, "copyurl", job.url, f"target:{stage.bucket}/{job.key}")] for job in jobs]


def _copyurls(stage: Testbed, jobs: Sequence[Job]) -> list[Pipeline]:
    table = stage.folder / "urls.csv"
    table.write_text("".join(f"{job.url},{job.key}\n" for job in jobs))
    target = f"target:{stage.bucket}/"
    return [[_rclone(stage, "copyurl", "--urls", str(table), target, "--transfers", str(len(jobs)))]]


def _copyto(stage: Testbed, jobs: Sequence[Job]) -> list[Pipeline]:
    streams = ("--multi-thread-streams", "8", "--multi-thread-cutoff", "16Mi")
    return [
        [_rclone(stage, "copyto", f"source:{name}", f"target:{stage.bucket}/{job.key}", *streams)]
        for job in jobs
        for name in [job.url.removeprefix(f"{stage.source}/")]
    ]


def _curl_to_aws(stage: Testbed, jobs: Sequence[Job]) -> list[Pipeline]:
    program = aws()
    if not program:
        raise RunFailed(NO_AWS)
    trusted = ["--cacert", str(stage.authority)] if stage.authority else []
    pipelines: list[Pipeline] = []
    for job in jobs:
        curl = Command([*stage.inside, "curl", "--silent", "--fail", *trusted, job.url], stage.env)
        target = f"s3://{stage.bucket}/{job.key}"
        upload = Command([*stage.inside, program, "s3", "cp", "-", target, "--quiet"], stage.env)
        pipelines.append([curl, upload])
    return pipelines


def aws() -> str | None:
    """The one that came with the requirements, else any."""
    return shutil.which("aws", path=str(Path(sys.executable).parent)) or shutil.which("aws")
