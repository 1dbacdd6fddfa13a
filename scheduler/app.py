"""Door 2: the Celery application of the scheduler. ``celery -A scheduler.app beat`` starts it."""

from typing import Any

from celery.signals import setup_logging

from scheduler.schedule import schedule
from shared import log
from shared.broker import create_celery
from shared.settings import Settings

_settings = Settings()

app = create_celery(_settings)
app.conf.beat_schedule = schedule(_settings)
# The schedule is static: nothing has to be remembered in a file between two starts.
app.conf.beat_scheduler = "celery.beat:Scheduler"
app.conf.beat_max_loop_interval = 5


@setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Send Celery's own logs where ours go."""
    log.configure(_settings)
