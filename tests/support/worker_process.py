"""Workers reduced to one video each, for tests that kill them: `python -m tests.support.worker_process`.

Its input is a line of JSON with a video's id and the environment of its worker, and then ``kill`` or ``wait``; it prints
``ended`` once the worker has ended. Workers are forked from this process, since imports would take longer than most of
their work.
"""

import json
import os
import signal
import sys

import boto3

from videovault.services.transfer import pipeline


def main() -> None:
    boto3.client("s3", region_name="us-east-1")  # reads the description of S3's calls
    while line := sys.stdin.readline():
        video_id, environment = json.loads(line)
        worker = os.fork()
        if worker == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keeps its log out of the answers
            os.environ.clear()
            os.environ.update(environment)
            pipeline.produce(video_id, stopping=lambda: False)
            return
        if sys.stdin.readline() == "kill\n":
            os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
