"""Workers reduced to one video each, for tests that kill them: `python -m tests.support.worker_process`.

It takes the id of a video from its standard input, then either ``kill`` or ``wait``, and says ``ended`` once the
worker has. Workers are forked from here: importing everything, and learning what S3 is, takes longer than most of what
they do.
"""

import os
import signal
import sys

from videovault.gateways import source, storage
from videovault.services.transfer import pipeline


def main() -> None:
    storage.connected(), source.connected()  # which opens no connection yet
    while video_id := sys.stdin.readline().strip():
        worker = os.fork()
        if worker == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # its log is no answer
            pipeline.produce(video_id, stopping=lambda: False)
            return
        if sys.stdin.readline() == "kill\n":
            os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
