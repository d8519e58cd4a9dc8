"""What is done again and again so that nothing stays for ever; one part that fails does not keep the others."""

from collections.abc import Callable

from videovault import logs
from videovault.errors import VideoVaultError
from videovault.services import (
    audit,
    budget,
    idempotency,
    inbox,
    invitations,
    outbox,
    presence,
    sessions,
    webhook_ids,
)
from videovault.services.system import probes

Step = Callable[[], object]
log = logs.get(__name__)


def each(*steps: Step) -> None:
    """Take every step, whatever becomes of the others; the log tells of those that failed."""
    for step in steps:
        try:
            step()
        except VideoVaultError as error:
            log.warning("upkeep waits", step=_name(step), reason=error.public_message)
        except Exception:  # it comes round again, and the other steps must not wait for it
            log.exception("upkeep failed", step=_name(step))


# Whatever is kept for a time only has its function here, which deletes what is older.
PURGES: tuple[Step, ...] = (
    sessions.purge,
    invitations.purge,
    inbox.purge,
    idempotency.purge,
    outbox.purge,
    presence.purge,
    audit.purge,
    budget.purge,
    webhook_ids.purge,
    probes.sweep,
)


def _name(step: Step) -> str:
    return getattr(step, "__name__", repr(step))
