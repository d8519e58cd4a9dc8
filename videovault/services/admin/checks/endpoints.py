"""Checks of external endpoints: webhooks, the callback URL, and the mail server."""

from videovault import untrusted_json
from videovault.config import settings
from videovault.gateways import http_check, notifications
from videovault.services.admin.checks.result import CheckResult, failed_check

HOW_TO = "See docs/connect for how to connect n8n, Make and generators."
NO_SUCH_METHOD = 501  # no OPTIONS, but the service is there


def script_webhook() -> CheckResult:
    nothing = f"None is set: scripts are written by hand. {HOW_TO}"
    return _webhook(settings().script_webhook, "SCRIPT_WEBHOOK_URL", nothing)


def video_webhook() -> CheckResult:
    nothing = f"None is set: no videos are generated, only stored from links. {HOW_TO}"
    return _webhook(settings().video_webhook, "VIDEO_WEBHOOK_URL", nothing)


def notify_webhook() -> CheckResult:
    nothing = "None is set: no notices about finished videos are sent."
    return _webhook(settings().notify_webhook_url, "NOTIFY_WEBHOOK_URL", nothing)


def callback() -> CheckResult:
    """This server sends a request to itself at the URL that generators are given."""
    base = settings().callback_url or settings().base_url
    name = "CALLBACK_URL" if settings().callback_url else "PUBLIC_URL"
    advice = (
        f"Set {name} to the address under which generators reach this installation, and check its name, its "
        "certificate and the proxy in front. If people use another name than generators, set both PUBLIC_URL and "
        "CALLBACK_URL."
    )
    try:
        response = http_check.send_request(f"{base}/healthz")
    except http_check.Unreachable as error:
        return failed_check(error, advice)
    if response.status == 200 and _is_ours(response.body):
        return CheckResult("ok", f"{base} leads here.")
    found = f"Something other than VideoVault answers at {base} (HTTP {response.status})."
    return CheckResult("broken", found, advice)


def source_headers() -> CheckResult:
    """Only the names: the values are secret."""
    by_host = settings().source_extra_headers
    if not by_host:
        return CheckResult("ok", "None are set: videos are fetched without credentials.")
    headers = "; ".join(f"{host}: {', '.join(headers)}" for host, headers in by_host.items())
    return CheckResult("ok", f"Sent to these hosts only: {headers}.")


def mail_server() -> CheckResult:
    if settings().smtp is None:
        return CheckResult("ok", "None is set: no e-mail is sent.")
    notifications.connected_mailer().check_login()
    return CheckResult("ok", "The mail server accepts our sign-in. Nothing was sent.")


def _webhook(url: str, setting: str, nothing: str) -> CheckResult:
    """An OPTIONS request renders and costs nothing; any response shows that the service is there."""
    if not url:
        return CheckResult("ok", nothing)
    advice = (
        f"Check {setting}, and that the service behind it is running and can be reached from this machine."
    )
    try:
        response = http_check.send_request(url, "OPTIONS")
    except http_check.Unreachable as error:
        return failed_check(error, advice)
    if response.status >= 500 and response.status != NO_SUCH_METHOD:
        return CheckResult("warning", f"It responds, but with an error (HTTP {response.status}).", advice)
    milliseconds = max(1, round(response.seconds * 1000))
    names = ", ".join(settings().webhook_extra_headers)
    sent = f" Orders carry these headers: {names}." if names and url in _with_headers() else ""
    return CheckResult("ok", f"It answers within {milliseconds:,} ms. Only its presence was checked.{sent}")


def _with_headers() -> set[str | None]:
    """The webhooks that receive WEBHOOK_HEADERS."""
    return {settings().script_webhook_url, settings().video_webhook_url}


def _is_ours(body: bytes) -> bool:
    try:
        status = untrusted_json.loads(body)
    except ValueError:
        return False
    return bool(status == {"status": "ok"})
