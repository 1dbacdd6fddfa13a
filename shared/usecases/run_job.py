"""Carrying out one job: claim it, do what its kind asks for, and record what became of it.

What goes wrong is sorted here, once: a ``Transient`` is tried again, everything else waits for a person,
and a run that was stopped leaves the rest to whoever stopped it.
"""

from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared import backoff
from shared.broker import Task
from shared.db.jobs import Kind
from shared.errors import KeytideError, RunStopped, Transient, Unavailable
from shared.runtime import Runtime
from shared.usecases.claim import Claim, claim
from shared.usecases.finish import Ending, finish
from shared.usecases.import_secrets import import_secrets
from shared.usecases.outcome import Outcome
from shared.usecases.remove_secrets import remove_secrets
from shared.usecases.sync_secrets import sync_secrets

log = structlog.get_logger()

_CARRY_OUT = {Kind.SYNC: sync_secrets, Kind.IMPORT: import_secrets, Kind.REMOVE: remove_secrets}


def run_job(runtime: Runtime, job_id: UUID) -> None:
    """Carry out one queued job, if its turn has come. May be called any number of times for it."""
    claimed = claim(runtime, job_id)
    if claimed is None:
        return
    with structlog.contextvars.bound_contextvars(job_id=str(job_id), sync_id=str(claimed.sync.id)):
        outcome = Outcome()
        ending = _carry_out(claimed, outcome)
        for next_job in finish(claimed, outcome, ending):
            runtime.broker.send(Task.RUN_JOB, next_job)


def _carry_out(claimed: Claim, outcome: Outcome) -> Ending:
    try:
        _CARRY_OUT[claimed.kind](claimed, outcome)
    except RunStopped as stopped:
        return Ending.stopped(stopped.message)
    except Transient as error:
        return _try_again(claimed, error)
    except (InterfaceError, OperationalError, PoolTimeout):
        # The database's own text could hold anything.
        return _try_again(claimed, Unavailable("The database did not answer."))
    except KeytideError as error:
        return Ending.failed(error.message, error)
    except Exception as error:
        # A fault of ours. Its text could hold anything, so a person is pointed to the log.
        log.exception("job.crashed", error=type(error).__name__)
        return Ending.failed(f"An internal error ({type(error).__name__}) stopped this run; see the log.")
    return Ending.done(outcome)


def _try_again(claimed: Claim, error: Transient) -> Ending:
    failures = claimed.attempt + 1
    if failures >= backoff.MAX_ATTEMPTS:
        return Ending.failed(f"All {failures} attempts failed; the last one: {error.message}", error)
    wait = backoff.retry_delay(failures, retry_after=error.retry_after, rng=claimed.runtime.rng)
    return Ending.again(
        f"Attempt {failures} of {backoff.MAX_ATTEMPTS} failed: {error.message} Next try in {_told(wait)}.",
        wait,
        error,
    )


def _told(wait: timedelta) -> str:
    seconds = wait.total_seconds()
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
