"""The periodic tasks that recover from crashes and delete expired rows. A failed step does not stop the others."""

from collections.abc import Callable

from videovault import db, logs
from videovault.errors import VideoVaultError
from videovault.services import outbox
from videovault.services.accounts import accounts, sessions
from videovault.services.admin.checks import object_store
from videovault.services.core import audit, idempotency, quota
from videovault.services.core.lifecycle import Enqueue
from videovault.services.generation import budget, callbacks, order_lease, orders, webhook_log
from videovault.services.transfer import cleanup, lease, response_video, scheduler
from videovault.services.videos import deletion, sidecar

Step = Callable[[], object]

log = logs.get(__name__)


def run_all(*steps: Step) -> None:
    """Run every step, and log those that fail."""
    for step in steps:
        try:
            step()
        except VideoVaultError as error:
            log.warning("maintenance step postponed", step=_name(step), reason=error.public_message)
        except Exception:  # the step runs again later, and must not stop the others
            log.exception("maintenance step failed", step=_name(step))


# Each kind of row or object with a limited lifetime has a function here that deletes the expired ones.
PURGES: tuple[Step, ...] = (
    sessions.purge,
    accounts.purge,
    webhook_log.purge,
    idempotency.purge,
    outbox.purge,
    lease.purge,
    audit.purge,
    budget.purge,
    callbacks.purge,
    object_store.sweep,
)


def repair(*, enqueue: Enqueue) -> None:
    """Recover from crashes. Safe to run at any time and on several machines at once, since each change is conditional."""
    take_back(enqueue=enqueue)
    finish_interrupted(enqueue=enqueue)


def take_back(*, enqueue: Enqueue) -> None:
    """Take the videos of dead workers back."""

    def requeue_expired() -> None:
        scheduler.requeue_expired(enqueue=enqueue)

    run_all(requeue_expired, response_video.release_expired, order_lease.release_expired)


def finish_interrupted(*, enqueue: Enqueue) -> None:
    """Enqueue what is not in the queue, fail overdue generations, finish deletions.

    Steps that only need the database come first, since S3 may delay the rest.
    """

    def enqueue_stranded() -> None:
        db.check_database_disk_space()  # without it, no worker could claim a video
        for video_id in scheduler.stranded():
            enqueue(video_id)

    run_all(
        orders.fail_overdue,
        enqueue_stranded,
        accounts.finish_closing,
        deletion.finish_pending,
        cleanup.clean_up_failed,
        sidecar.write_due,
    )


def clean_up() -> None:
    """Less urgent than ``repair``: expired rows, the disk reserve, and orphaned uploads in S3."""
    run_all(*PURGES, quota.recount_next, db.refill_disk_reserve, cleanup.abort_orphaned_uploads)


def _name(step: Step) -> str:
    return getattr(step, "__name__", repr(step))
