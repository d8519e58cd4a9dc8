"""Health check of a container: exit status 0 if its role answers. Usage: healthcheck.py web|worker."""

import os
import sys
import urllib.request

PORTS = {"web": "PORT", "worker": "WORKER_PORT"}
SECONDS = 4


def main(role: str) -> int:
    url = f"http://127.0.0.1:{os.environ[PORTS[role]]}/healthz"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS):
            return 0
    except OSError as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
