"""A Celery application with one task, for a worker that has nothing else to do."""

from pathlib import Path

from shared.broker import create_celery
from shared.settings import Settings

app = create_celery(Settings())
# As "keytide worker" does under "keytide up".
app.conf.worker_enable_remote_control = False


@app.task(name="echo")  # type: ignore[untyped-decorator]
def echo(path: str, text: str) -> None:
    """Write *text* to *path*."""
    Path(path).write_text(text)
