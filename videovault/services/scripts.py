"""The first webhook: a brief becomes a script, kept as a draft so that a closed modal loses nothing."""

from collections.abc import Mapping

from sqlmodel import col, select

from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import Conflict
from videovault.gateways import webhooks
from videovault.models import Event, Status, Video
from videovault.services import fields, lifecycle, limiting, recording
from videovault.services.access import Caller, open_video
from videovault.services.naming import title_of
from videovault.services.views import ScriptView


def write(caller: Caller, brief: Mapping[str, str]) -> ScriptView:
    """Have a script written for the brief and keep both as a draft.

    Without a script webhook the parts are empty, to be written by hand. Raises InvalidInput, RateLimited,
    WebhookError.
    """
    clean = fields.checked(fields.BRIEF, brief)
    limiting.check(limiting.SCRIPTS, "scripts", caller.user_id)
    script = webhooks.Script()
    if settings().script_webhook:
        wanted = {**clean, "email": caller.email}
        script = webhooks.connected().write_script(wanted, note=recording.outgoing("script"))
    parts = {name: _fitted(name, getattr(script, name)) for name in ("hook", "body", "conclusion")}
    with transaction() as session:
        video = lifecycle.new_video(caller.user_id, Status.DRAFT, title_of(clean["topic"]), **clean, **parts)
        session.add(video)
        session.add(Event(kind="draft", actor_id=caller.user_id, video_id=video.id))
        return ScriptView.of(video)


def save(caller: Caller, video_id: str, script: Mapping[str, str]) -> ScriptView:
    """Keep what was typed into a draft so far, whether complete or not."""
    optional = {
        name: fields.Rule(rule.label, rule.longest, multiline=rule.multiline)
        for name, rule in fields.SCRIPT.items()
        if name in script
    }
    clean = fields.checked(optional, script)
    with transaction() as session:
        video = open_video(session, caller, video_id, "change").row
        changeable = video.status in (Status.DRAFT, Status.FAILED)
        if not changeable or not lifecycle.change(session, video, **clean):
            raise Conflict("The script of this video is in work and cannot be changed.")
        return ScriptView.of(video)


def read(caller: Caller, video_id: str) -> ScriptView:
    with transaction() as session:
        return ScriptView.of(open_video(session, caller, video_id, "read").row)


def latest(caller: Caller) -> ScriptView | None:
    """The caller's newest script, from which the next brief takes what stays the same."""
    written = (
        select(Video)
        .where(Video.owner_id == caller.user_id, Video.avatar != "", Video.status != Status.DELETING)
        .order_by(col(Video.created_at).desc(), col(Video.id).desc())
        .limit(1)
    )
    with reading() as session:
        video = session.exec(written).first()
        return ScriptView.of(video) if video else None


def _fitted(name: str, text: str) -> str:
    """What a webhook wrote, made to pass our own rules: it may be mended by hand afterwards."""
    rule = fields.SCRIPT[name]
    printable = "".join(char for char in text if char in "\n\t" or char.isprintable())
    return printable.strip()[: rule.longest]
