"""Removing what nobody needs any more.

Old jobs, dispatched change events, logins that expired or were given up, rate-limit windows that are over,
and an audit log that is old enough.
"""

from datetime import timedelta

import structlog

from shared.db import audit, change_events, device_logins, jobs, oauth_states, rate_limits, tokens
from shared.runtime import Runtime

log = structlog.get_logger()

#: How long a dispatched change event is kept, for whoever asks what triggered a job.
KEEP_EVENTS = timedelta(days=1)


def prune(runtime: Runtime) -> None:
    """Remove what the ``KEYTIDE_KEEP_…`` settings do not keep, and what has expired."""
    now = runtime.clock()
    keep_jobs = timedelta(days=runtime.settings.keep_jobs_days)
    with runtime.database.transaction() as session:
        removed = jobs.delete_finished_before(session, now - keep_jobs)
        removed += jobs.delete_beyond(session, runtime.settings.keep_jobs_per_sync)
        events = change_events.delete_dispatched_before(session, now - KEEP_EVENTS)
        signins = oauth_states.delete_expired(session, now)
        device_logins.delete_expired_before(session, now - KEEP_EVENTS)
        rate_limits.delete_ended(session, now)
        tokens.delete_expired_logins(session, now)
        audit.delete_before(session, now - timedelta(days=runtime.settings.keep_audit_days))
    log.info("pruned", jobs=removed, events=events, signins=signins)
