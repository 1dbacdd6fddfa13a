"""The tasks: ids in, one use-case called. Each may be delivered twice, late, or never."""

from uuid import UUID

from shared.broker import Task
from shared.usecases import dispatch, prune, reconcile, run_job, sweep
from worker.app import app
from worker.lifecycle import runtime


@app.task(name=Task.DISPATCH.value)
def dispatch_changes() -> None:
    """Queue the jobs that open change events ask for."""
    dispatch.dispatch(runtime())


@app.task(name=Task.RUN_JOB.value)
def run_one_job(job_id: str) -> None:
    """Carry out one queued job. A job can be claimed only once."""
    run_job.run_job(runtime(), UUID(job_id))


@app.task(name=Task.SWEEP.value)
def sweep_up() -> None:
    """Find the work that no message tells about."""
    sweep.sweep(runtime())


@app.task(name=Task.RECONCILE.value)
def reconcile_what_is_due() -> None:
    """Queue a reconcile for each sync whose time has come."""
    reconcile.reconcile_due(runtime())


@app.task(name=Task.PRUNE.value)
def prune_history() -> None:
    """Remove what is older than it is kept."""
    prune.prune(runtime())
