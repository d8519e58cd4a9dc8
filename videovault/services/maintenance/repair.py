"""What is done again and again so that nothing stays for ever; one part that fails does not keep the others."""

from collections.abc import Callable

from videovault import db, logs
from videovault.errors import VideoVaultError
from videovault.services.accounts import accounts as accounts_deletion
from videovault.services.accounts import invitations, sessions
from videovault.services.admin.checks import object_store
from videovault.services.core import audit, idempotency
from videovault.services.core.lifecycle import Enqueue
from videovault.services.generation import budget, callbacks, orders, webhook_log
from videovault.services.notifications import outbox
from videovault.services.transfer import cleanup, response_video, scheduler, worker_registry
from videovault.services.videos import deletion as videos_deletion
from videovault.services.videos import sidecar

Step = Callable[[], object]

log = logs.get(__name__)


def run_all(*steps: Step) -> None:
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
    webhook_log.purge,
    idempotency.purge,
    outbox.purge,
    worker_registry.purge,
    audit.purge,
    budget.purge,
    callbacks.purge,
    object_store.sweep,
)


def repair(*, enqueue: Enqueue) -> None:
    """The answer to every crash: go on with what a dead worker left, fail what is overdue, finish deletions.

    Safe to run at any time, on several machines at once: each change is conditional. What needs only the
    database comes first, since S3 may keep the rest waiting.
    """

    def hand_out() -> None:
        db.check_database_disk_space()  # no worker could claim one
        for video_id in scheduler.stranded():
            enqueue(video_id)

    run_all(
        scheduler.requeue_expired,
        response_video.release_expired,
        orders.fail_overdue,
        hand_out,
        videos_deletion.finish_pending,
        accounts_deletion.finish_closing,
        cleanup.clean_up_failed,
        sidecar.write_due,
    )


def clean_up() -> None:
    """What ``repair`` need not look for every few seconds: strays in S3, and what was to be kept for a time only; and room."""
    run_all(*PURGES, db.refill_disk_reserve, cleanup.abort_orphaned_uploads)


def _name(step: Step) -> str:
    return getattr(step, "__name__", repr(step))
