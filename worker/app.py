"""Door 1: the Celery application of the workers. ``celery -A worker.app worker`` starts one."""

from shared.broker import create_celery
from worker.lifecycle import settings

app = create_celery(settings())
app.conf.imports = ("worker.tasks",)
