"""A worker that prints a line of JSON when it is ready, and for each task that it starts."""

import json
import os
import sys
import time

from videovault import worker


def main() -> None:
    huey = worker.queue().huey
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keeps the log out of the answers

    def send(**message: object) -> None:
        os.write(output, json.dumps(message).encode() + b"\n")  # at once: there are several threads

    @huey.pre_execute()  # type: ignore[untyped-decorator] # huey has no types
    def started(task: object) -> None:
        del task
        send(started=time.monotonic())

    @huey.on_startup()  # type: ignore[untyped-decorator] # as above
    def ready() -> None:
        send(ready=True)

    worker.run()


if __name__ == "__main__":
    main()
