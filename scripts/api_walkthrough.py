"""Calls the guide's five endpoints with curl on a running installation and writes a transcript.

    python scripts/api_walkthrough.py http://localhost:3000 docs/api-walkthrough.md

The installation must be new and use the built-in studio. Tokens, keys and signatures are omitted.
"""

import json
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHOWN_ADDRESS = "http://localhost:3000"
EMAIL = "user@example.com"
# The guide's own bodies.
SCRIPT = {
    "hook": "Video prompt",
    "body": "Video description",
    "conclusion": "Video conclusion",
    "company_name": "Company Name",
    "social_handles": "@handle",
    "license": "License Info",
    "avatar": "Avatar Name",
    "email": EMAIL,
}
METADATA = {"duration": 120, "size": 10485760, "format": "mp4"}
HEAD = f"""# The API, step by step

Written by `scripts/api_walkthrough.py` against an installation just started by `make run`; a test checks it.
Ids, times and sizes differ between runs; tokens, keys and signatures are omitted. `{SHOWN_ADDRESS}/api/docs`
describes every endpoint, field and answer.
"""


@dataclass
class Transcript:
    """The transcript so far; ``token`` is written as ``$TOKEN``."""

    address: str
    token: str = ""
    lines: list[str] = field(default_factory=lambda: [HEAD])

    def step(self, title: str, text: str, method: str, path: str, body: Any = None) -> Any:
        """Write a section with one call, and return the ``data`` of the response."""
        self.lines.append(f"## {title}\n\n{text}\n")
        return self.call(method, path, body)

    def call(self, method: str, path: str, body: Any = None, *, signed_in: bool = True) -> Any:
        command = self._command(method, path, body, signed_in=signed_in)
        status, answer = self._curl(command)
        body = json.loads(answer)
        shown = json.dumps(_without_secrets(body), indent=2, ensure_ascii=False)
        self._write(_shell(command), f"HTTP {status}\n{shown}")
        return body.get("data")

    def save(self, path: str) -> None:
        """Download the file through the redirect, and describe it."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "video.mp4"
            plain = self._command("GET", path, None, signed_in=True)
            status, _ = self._curl([*plain, "--location", "--output", str(file)])
            start = file.read_bytes()[:12]
            size = file.stat().st_size
        shown = f"HTTP {status}\n{size} bytes, which begin with {start[4:8].decode()!r} as an MP4 file does"
        self._write(_shell([*plain, "--location", "--output", "video.mp4"]), shown)

    def note(self, text: str) -> None:
        self.lines.append(f"{text}\n")

    def text(self) -> str:
        whole = "\n".join(self.lines).replace(self.address, SHOWN_ADDRESS)
        return whole.replace(self.token, "$TOKEN") if self.token else whole

    def _command(self, method: str, path: str, body: Any, *, signed_in: bool) -> list[str]:
        command = ["curl", *([] if method == "GET" else ["-X", method]), f"{self.address}{path}"]
        if signed_in and self.token:
            command += ["-H", f"Authorization: Bearer {self.token}"]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        return command

    def _curl(self, command: list[str]) -> tuple[int, str]:
        quiet = [*command, "--silent", "--show-error", "--write-out", "\n%{http_code}"]
        done = subprocess.run(quiet, check=True, capture_output=True, text=True)
        answer, _, status = done.stdout.rpartition("\n")
        return int(status), answer

    def _write(self, command: str, answer: str) -> None:
        self.lines.append(f"```console\n$ {command}\n{answer}\n```\n")


def walk(address: str) -> str:
    """Make all calls, and return the transcript as Markdown."""
    transcript = Transcript(address)
    user = _sign_in(transcript)
    stored = _generate_and_store(transcript, user)
    _list_and_delete(transcript, user, stored)
    _show_failures(transcript)
    return transcript.text()


def _sign_in(transcript: Transcript) -> str:
    """Create the account of the guide's examples, and return its id."""
    account = {"email": EMAIL, "password": "correct horse battery"}
    text = "The token goes with every call from here on. (Browsers get a cookie instead.)"
    data = transcript.step("Sign in", text, "POST", "/api/auth/register", account)
    transcript.token = data["token"]
    return str(data["user"]["userId"])


def _generate_and_store(transcript: Transcript, user: str) -> str:
    brief = {name: SCRIPT[name] for name in ("company_name", "social_handles", "license", "avatar", "email")}
    transcript.step(
        "The first webhook: a brief becomes a script",
        "Beside the guide; the draft is kept.",
        "POST",
        "/api/auth/create-video",
        {"topic": "A kettle that whistles in tune", **brief},
    )
    generated = transcript.step(
        "1. Generate a video",
        "The guide's body. The call waits for the generator; after `GENERATE_WAIT_SECONDS` it would answer with the "
        'guide\'s "Processing" and HTTP 202.',
        "POST",
        "/api/auth/create-video/generate-video",
        SCRIPT,
    )
    stored = transcript.step(
        "2. Download and store it",
        "Storing began when the address arrived, so this waits for the same video to be in S3 and proven whole. Any "
        "other address of a video is stored just so.",
        "POST",
        "/api/auth/video/download",
        {"videoUrl": generated["videoUrl"], "userEmail": EMAIL},
    )
    transcript.step(
        "3. Update its status",
        "Metadata fills only what was not measured: the file itself knows better.",
        "PUT",
        "/api/auth/video/status",
        {"userId": user, "videoId": stored["videoId"], "status": "ready", "metadata": METADATA},
    )
    return str(stored["videoId"])


def _list_and_delete(transcript: Transcript, user: str, video: str) -> None:
    title, text = "4. Look at the gallery", "Counts are over everything the user has but drafts."
    transcript.step(title, text, "GET", f"/api/auth/video/gallery?userId={user}")
    transcript.note("The file itself, by a fresh presigned link each time:")
    transcript.save(f"/api/auth/video/{video}/download")
    title, text = "5. Delete it", "From S3 and from the database."
    transcript.step(title, text, "DELETE", "/api/auth/video/delete", {"userId": user, "videoId": video})


def _show_failures(transcript: Transcript) -> None:
    text = (
        "One shape for all, with a code for programs and a sentence for people. A required field is missing:"
    )
    title, generate = "When something is wrong", "/api/auth/create-video/generate-video"
    transcript.step(
        title, text, "POST", generate, {"hook": "Video prompt", "avatar": "Avatar Name", "email": EMAIL}
    )
    download = {"videoUrl": "https://example.com/video.mp4", "userEmail": "nobody@example.com"}
    transcript.note("The user's e-mail address is unknown, or another user's:")
    transcript.call("POST", "/api/auth/video/download", download)
    transcript.note("The address leads into a private network:")
    transcript.call(
        "POST", "/api/auth/video/download", {"videoUrl": "http://10.0.0.1/a.mp4", "userEmail": EMAIL}
    )
    transcript.note("The caller is not signed in:")
    transcript.call("GET", "/api/auth/me", signed_in=False)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        hidden = {"token", "secretKey"}
        return {name: "…" if name in hidden else _without_secrets(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_without_secrets(entry) for entry in value]
    if isinstance(value, str) and "X-Amz-Signature" in value:
        return value.partition("?")[0] + "?…"
    return value


def _shell(command: list[str]) -> str:
    """The command as a person would type it: one option per line, the token as a variable."""
    text = shlex.join(command)
    text = re.sub(r"'Authorization: Bearer [^']+'", '"Authorization: Bearer $TOKEN"', text)
    return re.sub(r" (-H|-d|--location)(?= )", r" \\\n    \1", text)


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(walk(sys.argv[1].rstrip("/")))
