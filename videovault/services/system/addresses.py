"""Checks of what lies outside: webhooks, the way back for generators, and the mail server."""

from videovault import untrusted_json
from videovault.config import settings
from videovault.gateways import mail, reach
from videovault.services.system.outcome import Outcome, broken

NO_SUCH_METHOD = 501  # it takes no OPTIONS, and is there


def script_webhook() -> Outcome:
    nothing = "None is set: scripts are written by hand."
    return _webhook(settings().script_webhook, "SCRIPT_WEBHOOK_URL", nothing)


def video_webhook() -> Outcome:
    nothing = "None is set: no videos are generated, only stored from links."
    return _webhook(settings().video_webhook, "VIDEO_WEBHOOK_URL", nothing)


def notify_webhook() -> Outcome:
    nothing = "None is set: nobody outside is told of finished videos."
    return _webhook(settings().notify_webhook_url, "NOTIFY_WEBHOOK_URL", nothing)


def callback() -> Outcome:
    """This server asks for itself at the address that generators are given."""
    url = f"{settings().base_url}/healthz"
    mend = (
        "Set PUBLIC_URL to the address under which generators and people reach this installation, and check its "
        "name, its certificate and the proxy in front."
    )
    try:
        answer = reach.ask(url)
    except reach.Unreachable as error:
        return broken(error, mend)
    if answer.status == 200 and _is_ours(answer.body):
        return Outcome("ok", f"{settings().base_url} leads here.")
    found = f"Something else than VideoVault answers at {settings().base_url} (HTTP {answer.status})."
    return Outcome("broken", found, mend)


def mail_server() -> Outcome:
    if settings().smtp is None:
        return Outcome("ok", "None is set: nobody is told by e-mail.")
    mail.connected().try_out()
    return Outcome("ok", "The mail server takes our sign-in. Nothing was sent.")


def _webhook(url: str, setting: str, nothing: str) -> Outcome:
    """Asked what it takes (OPTIONS), which renders nothing and costs nothing; any answer shows that it is there."""
    if not url:
        return Outcome("ok", nothing)
    mend = f"Check {setting}, and that the service behind it is running and can be reached from this machine."
    try:
        answer = reach.ask(url, "OPTIONS")
    except reach.Unreachable as error:
        return broken(error, mend)
    if answer.status >= 500 and answer.status != NO_SUCH_METHOD:
        return Outcome("warning", f"It answers, but is out of order (HTTP {answer.status}).", mend)
    milliseconds = max(1, round(answer.seconds * 1000))
    return Outcome("ok", f"It answers within {milliseconds:,} ms. It was only asked whether it is there.")


def _is_ours(body: bytes) -> bool:
    try:
        said = untrusted_json.loads(body)
    except ValueError:
        return False
    return bool(said == {"status": "ok"})
