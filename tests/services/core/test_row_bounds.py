"""What callers can write without end has a bound, and the newest is kept."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from tests.support.installation import Configure
from videovault.clock import utcnow
from videovault.db import reading, transaction
from videovault.errors import NotSignedIn
from videovault.models import Channel, OutboxMessage, Session
from videovault.services.accounts import accounts, password_reset, sessions
from videovault.services.core.access import Caller
from videovault.services.maintenance import repair
from videovault.services.notifications import outbox

ANNA, PASSWORD = "anna@example.com", "correct horse"


def test_a_user_has_so_many_sessions(anna: Caller, bert: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 3)
    tokens = [accounts.login(ANNA, PASSWORD).token for _ in range(4)]
    with pytest.raises(NotSignedIn):
        accounts.authenticate(tokens[0])
    assert {accounts.authenticate(token).user_id for token in tokens[1:]} == {anna.user_id}
    with reading() as session:
        assert len(session.exec(select(Session).where(Session.user_id == bert.user_id)).all()) == 1


def test_letters_to_nobody_go_with_the_next_purge(anna: Caller, configure: Configure) -> None:
    del anna
    configure(SMTP_URL="smtp://127.0.0.1:9", MAIL_FROM="videos@example.com")
    password_reset.request_reset("nobody@example.com")
    password_reset.request_reset(ANNA)
    with transaction() as session:
        given_up = letter("msg_given_up", last_error="refused")
        delivered = letter("msg_delivered", delivered_at=utcnow())
        session.add_all([given_up, delivered])
        session.flush()
        given_up.next_attempt_at = delivered.next_attempt_at = None
    repair.clean_up()
    with reading() as session:
        kept = session.exec(select(OutboxMessage)).all()
    assert {message.last_error for message in kept if not message.next_attempt_at} == {"refused", None}
    assert len(kept) == 3


def test_the_outbox_is_bounded(anna: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    del anna
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 2)
    with transaction() as session:
        session.add_all(
            letter(f"msg_{number}", created_at=utcnow() - timedelta(minutes=number)) for number in range(5)
        )
    repair.clean_up()
    with reading() as session:
        assert set(session.exec(select(OutboxMessage.id))) == {"msg_0", "msg_1"}


def letter(message_id: str, **values: Any) -> OutboxMessage:
    return OutboxMessage(id=message_id, kind="mail", channel=Channel.MAIL, video_id="", payload={}, **values)
