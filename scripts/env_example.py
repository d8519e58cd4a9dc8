"""Writes .env.example from the settings themselves, so that it never lags behind them."""

import sys
from pathlib import Path

from pydantic import SecretStr

from videovault.config import Settings

FILE = Path(__file__).parent.parent / ".env.example"
SECTIONS = {
    "host": "Where it listens and how it is reached",
    "database_url": "Database, queue and workers",
    "secret_key": "Secrets (made at the first start and kept in DATA_DIR)",
    "aws_region": "AWS S3 Configuration (without a bucket name the embedded S3 is used)",
    "script_webhook_url": "Webhooks (without them the embedded studio is used)",
    "max_video_bytes": "Limits",
    "notify_webhook_url": "Notices (of a video that is ready or failed, beside the one on the page)",
    "signup": "Accounts",
    "log_format": "Logs",
    "max_connections": "Connections",
}


def text() -> str:
    lines = ["# Copy to .env and uncomment what you want to change. Shown are the defaults."]
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            lines += ["", f"# --- {SECTIONS[name]} ---"]
        value = field.default
        shown = value.get_secret_value() if isinstance(value, SecretStr) else value
        lines += [f"# {field.description}", f"# {name.upper()}={'' if shown is None else shown}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
    print(f"wrote {FILE.name}", file=sys.stderr)
