"""One process each: what ``keytide up`` starts for you, and what a larger installation starts by itself.

The doors are named here, not imported: each runs in a process of its own. For the same reason the
libraries are imported where they are used: a process carries only its own.
"""

import warnings
from importlib import import_module
from typing import Annotated, Any

import typer

from cli.environment import is_embedded_database, read_settings, read_settings_with_broker
from cli.lifeline import end_with_parent
from cli.sockets import adopt, listen
from shared import log
from shared.settings import Settings

Supervised = Annotated[bool, typer.Option("--supervised", hidden=True, help="End when standard input does.")]
Descriptor = Annotated[int | None, typer.Option("--descriptor", hidden=True, help="A socket to inherit.")]

#: SQLite has one writer at a time; more threads would only wait for each other.
_SQLITE_THREADS = 8


def api(supervised: Supervised = False, descriptor: Descriptor = None) -> None:
    """Serve the API and its documentation at /docs."""
    import uvicorn

    settings = _begin(supervised=supervised)
    listener = listen(settings.host, settings.port) if descriptor is None else adopt(descriptor)
    config = uvicorn.Config(
        "api.app:create_app",
        factory=True,
        log_config=None,
        access_log=False,
        server_header=False,
        # Who the client is, nobody in between may tell us.
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listener])


def worker(supervised: Supervised = False) -> None:
    """Carry out jobs. Start as many as you like, on as many machines."""
    settings = _begin(supervised=supervised)
    app = _celery("worker.app")
    # Remote control needs Lua scripts, which the embedded broker does not run.
    app.conf.worker_enable_remote_control = not supervised
    app.start(["--quiet", "worker", *_worker_options(settings)])


def beat(supervised: Supervised = False) -> None:
    """Start what is due: the sweep, reconciling, pruning. A second one is harmless."""
    _begin(supervised=supervised)
    _celery("scheduler.app").start(["--quiet", "beat", "--loglevel=WARNING"])


def broker(descriptor: Descriptor = None, supervised: Supervised = False) -> None:
    """Serve the embedded broker; its password stands in KEYTIDE_BROKER_URL."""
    from cli.broker import serve

    if descriptor is None:
        raise typer.BadParameter("The embedded broker is started by 'keytide up'.")
    settings = _begin(supervised=supervised)
    serve(adopt(descriptor), settings.broker_url)


def migrate() -> None:
    """Bring the database up to date, and create the administrator's token if there is none."""
    from shared.usecases.setup import prepare

    settings = read_settings()
    log.configure(settings)
    prepare(settings)
    typer.echo(f"The database is up to date. Administrator's token: {settings.admin_token_file}")


def _begin(*, supervised: bool) -> Settings:
    settings = read_settings_with_broker()
    log.configure(settings)
    if supervised:
        end_with_parent()
    return settings


def _celery(module: str) -> Any:
    from celery.exceptions import SecurityWarning

    # Celery warns of running as root because of pickle; we accept nothing but JSON.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # Imported by us, not by Celery: it would look in the working directory first, which may have a
    # "worker" of its own.
    return import_module(module).app


def _worker_options(settings: Settings) -> list[str]:
    from shared.broker import Queue

    threads = settings.worker_threads
    if is_embedded_database(settings):
        threads = min(threads, _SQLITE_THREADS)
    return [
        "--pool=threads",
        f"--concurrency={threads}",
        f"--queues={','.join(Queue)}",
        # Nobody listens to the other workers' events, and the database knows who is alive.
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        "--loglevel=WARNING",
    ]
