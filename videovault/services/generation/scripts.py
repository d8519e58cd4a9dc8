"""Scripts: the script webhook turns a brief into a script, saved as a draft so that a closed modal loses nothing."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

from sqlmodel import col, select

from videovault import metrics
from videovault.config import settings
from videovault.db import reading, transaction
from videovault.errors import Conflict, WebhookError
from videovault.gateways import webhooks
from videovault.gateways.webhook_reply import Script
from videovault.models import Event, Status, Video
from videovault.services.core import fields, lifecycle, quota, rate_limits
from videovault.services.core.access import Caller, open_video
from videovault.services.core.naming import title_from_text
from videovault.services.core.views import ScriptView
from videovault.services.generation import webhook_log
from videovault.services.generation.result_field import script_result_field

Part = Literal["hook", "body", "conclusion"]
PARTS: tuple[Part, ...] = get_args(Part)
MAX_SEED = 10**6  # any number will do: a different seed makes a template or a model choose other words


def write_draft(caller: Caller, brief: Mapping[str, str]) -> ScriptView:
    """Have a script written for the brief and save both as a draft.

    Without a script webhook the parts are empty, to be written by hand. Raises InvalidInput, RateLimited,
    QuotaExceeded, WebhookError.
    """
    return save_draft(caller, compose(caller, brief))


def compose(caller: Caller, brief: Mapping[str, str]) -> dict[str, str]:
    """The brief with the script that the webhook writes for it, not yet saved; raises as ``write_draft`` does."""
    clean = fields.validate(fields.BRIEF, brief)
    rate_limits.check(rate_limits.SCRIPTS, "scripts", caller.user_id)
    with reading() as session:
        quota.check_video_count(session, caller.user_id, adding=1)
    script = _call_webhook(caller, clean) if settings().script_webhook else Script()
    return clean | {part: _fit(part, getattr(script, part)) for part in PARTS}


def compose_part(caller: Caller, video_id: str, part: Part) -> str:
    """One part of a draft, rewritten by the script webhook to match the others; not yet saved.

    Raises VideoNotFound, Conflict without a script webhook, RateLimited, WebhookError.
    """
    if not settings().script_webhook:
        raise Conflict("Nothing is set up to write scripts. Ask the admin to set SCRIPT_WEBHOOK_URL.")
    with reading() as session:
        video = open_video(session, caller, video_id, "change").row
        known = {name: getattr(video, name) for name in (*fields.BRIEF, *PARTS)}
        known["topic"] = video.topic or video.title
    rate_limits.check(rate_limits.SCRIPTS, "scripts", caller.user_id)
    script = _call_webhook(caller, known | {"part": part, "seed": str(secrets.randbelow(MAX_SEED))})
    text = _fit(part, getattr(script, part))
    if not text:
        raise WebhookError(f"The script service answered without a {part}.")
    return text


def missing_parts(script: Mapping[str, str]) -> list[Part]:
    """The parts that the script webhook did not write; none without a script webhook."""
    return [part for part in PARTS if not script[part]] if settings().script_webhook else []


def save_draft(caller: Caller, script: Mapping[str, str]) -> ScriptView:
    """Save the result of ``compose`` as a draft."""
    with transaction() as session:
        video = lifecycle.new_video(caller.user_id, Status.DRAFT, title_from_text(script["topic"]), **script)
        session.add(video)
        session.add(Event(kind="draft", actor_id=caller.user_id, video_id=video.id))
        return ScriptView.of(video)


def update_draft(caller: Caller, video_id: str, script: Mapping[str, str]) -> ScriptView:
    """Save the text typed into a draft so far, complete or not."""
    optional = {name: replace(rule, required=False) for name, rule in fields.SCRIPT.items() if name in script}
    clean = fields.validate(optional, script)
    with transaction() as session:
        video = open_video(session, caller, video_id, "change").row
        changeable = video.status in (Status.DRAFT, Status.FAILED)
        if not changeable or not lifecycle.update_if_unchanged(
            session, video, **lifecycle.script_changes(video, clean)
        ):
            raise Conflict("This video is being made, so its script cannot be changed.")
        return ScriptView.of(video)


def read(caller: Caller, video_id: str) -> ScriptView:
    with transaction() as session:
        return ScriptView.of(open_video(session, caller, video_id, "read").row)


def latest(caller: Caller) -> ScriptView | None:
    """The caller's newest script, which prefills the next brief."""
    written = (
        select(Video)
        .where(Video.owner_id == caller.user_id, Video.avatar != "", Video.status != Status.DELETING)
        .order_by(col(Video.created_at).desc(), col(Video.id).desc())
        .limit(1)
    )
    with reading() as session:
        video = session.exec(written).first()
        return ScriptView.of(video) if video else None


def _call_webhook(caller: Caller, brief: Mapping[str, str]) -> Script:
    payload = {**brief, "email": caller.email}
    record = webhook_log.outgoing_recorder("script")
    try:
        script = webhooks.connected().write_script(payload, record=record, field=script_result_field())
    except WebhookError as error:
        webhook_log.count_failure("script", error)
        raise
    metrics.WEBHOOK_ANSWERS.inc(webhook="script", answer="ready")
    return script


def _fit(name: str, text: str) -> str:
    """Cut to our own rules, so that the draft can be saved and edited."""
    rule = fields.SCRIPT[name]
    printable = "".join(char for char in text if char in "\n\t" or char.isprintable())
    return printable.strip()[: rule.max_length]
