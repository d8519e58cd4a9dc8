"""Checks of what lies outside: webhooks, the way back for generators, and the mail server."""

from videovault import untrusted_json
from videovault.config import settings
from videovault.gateways import http_check, mail
from videovault.services.admin.checks.result import Outcome, broken

HOW_TO = "docs/connect tells how to connect n8n, Make and generators."
NO_SUCH_METHOD = 501  # it takes no OPTIONS, and is there


def script_webhook() -> Outcome:
    nothing = f"None is set: scripts are written by hand. {HOW_TO}"
    return _webhook(settings().script_webhook, "SCRIPT_WEBHOOK_URL", nothing)


def video_webhook() -> Outcome:
    nothing = f"None is set: no videos are generated, only stored from links. {HOW_TO}"
    return _webhook(settings().video_webhook, "VIDEO_WEBHOOK_URL", nothing)


def notify_webhook() -> Outcome:
    nothing = "None is set: no notices about finished videos are sent."
    return _webhook(settings().notify_webhook_url, "NOTIFY_WEBHOOK_URL", nothing)


def callback() -> Outcome:
    """This server asks for itself at the address that generators are given."""
    base = settings().callback_url or settings().base_url
    name = "CALLBACK_URL" if settings().callback_url else "PUBLIC_URL"
    mend = (
        f"Set {name} to the address under which generators reach this installation, and check its name, its "
        "certificate and the proxy in front. If people use another name than generators, set both PUBLIC_URL and "
        "CALLBACK_URL."
    )
    try:
        answer = http_check.send_request(f"{base}/healthz")
    except http_check.Unreachable as error:
        return broken(error, mend)
    if answer.status == 200 and _is_ours(answer.body):
        return Outcome("ok", f"{base} leads here.")
    found = f"Something else than VideoVault answers at {base} (HTTP {answer.status})."
    return Outcome("broken", found, mend)


def source_headers() -> Outcome:
    """Names only: the values are secrets."""
    by_host = settings().source_extra_headers
    if not by_host:
        return Outcome("ok", "None are set: videos are fetched without credentials.")
    told = "; ".join(f"{host}: {', '.join(headers)}" for host, headers in by_host.items())
    return Outcome("ok", f"Sent to these hosts only: {told}.")


def mail_server() -> Outcome:
    if settings().smtp is None:
        return Outcome("ok", "None is set: no e-mail is sent.")
    mail.connected().check_login()
    return Outcome("ok", "The mail server takes our sign-in. Nothing was sent.")


def _webhook(url: str, setting: str, nothing: str) -> Outcome:
    """Asked what it takes (OPTIONS), which renders nothing and costs nothing; any answer shows that it is there."""
    if not url:
        return Outcome("ok", nothing)
    mend = f"Check {setting}, and that the service behind it is running and can be reached from this machine."
    try:
        answer = http_check.send_request(url, "OPTIONS")
    except http_check.Unreachable as error:
        return broken(error, mend)
    if answer.status >= 500 and answer.status != NO_SUCH_METHOD:
        return Outcome("warning", f"It answers, but is out of order (HTTP {answer.status}).", mend)
    milliseconds = max(1, round(answer.seconds * 1000))
    names = ", ".join(settings().webhook_extra_headers)
    sent = f" Orders carry these headers: {names}." if names and url in _with_headers() else ""
    return Outcome("ok", f"It answers within {milliseconds:,} ms. Only its presence was checked.{sent}")


def _with_headers() -> set[str | None]:
    """The webhooks that get WEBHOOK_HEADERS."""
    return {settings().script_webhook_url, settings().video_webhook_url}


def _is_ours(body: bytes) -> bool:
    try:
        said = untrusted_json.loads(body)
    except ValueError:
        return False
    return bool(said == {"status": "ok"})
