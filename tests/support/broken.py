"""An installation whose settings point to unreachable services, for the System page."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.support.app import RunningApp, free_port, running_app
from tests.support.generator import Generator
from tests.support.listeners import FullListener
from videovault import installation
from videovault.config import EMBEDDED_BUCKET


@contextmanager
def broken_app(beside: RunningApp, generator: Generator) -> Iterator[RunningApp]:
    """An app without a worker that uses the S3 of the app ``beside`` with unknown keys.

    One webhook never answers, one refuses connections, and notices go to ``generator``, which rejects them. The host of
    its URL differs from that of the other app, so that they share no cookies.
    """
    s3_port = installation.load_or_create(beside.data_dir).s3_port
    unused = f"127.0.0.1:{free_port()}"
    with FullListener() as silent:
        settings = {
            "AWS_S3_BUCKET_NAME": EMBEDDED_BUCKET,
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{s3_port}",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "WORKERS": "0",
            "RATE_LIMITS": "off",
            "SCRIPT_WEBHOOK_URL": f"http://127.0.0.1:{silent}/script",
            "VIDEO_WEBHOOK_URL": f"http://{unused}/video",
            "NOTIFY_WEBHOOK_URL": f"{generator.url}/notices",
            "SMTP_URL": f"smtp://{unused}",
            "MAIL_FROM": "videos@brot.example",
            "PUBLIC_URL": f"http://{unused}",
        }
        with running_app(beside.data_dir / "broken", **settings) as app:
            yield replace(app, url=app.url.replace("localhost", "127.0.0.1"))
