"""Ending together with the process that started this one, even if that one was killed.

The parent holds the writing end of the pipe that is our standard input and never writes to it. When the
parent ends, however it does, the system closes that end and reading returns. Unlike Linux's parent-death
signal this works on every Unix, and does not depend on which thread of the parent started us.
"""

import os
import signal
import sys
import threading
import time

#: How long this process may take to end by itself, in seconds.
GRACE = 8.0


def end_with_parent(grace: float = GRACE) -> None:
    """Let this process end, within *grace* seconds, once its standard input is closed."""
    threading.Thread(target=_watch, args=(sys.stdin.fileno(), grace), name="lifeline", daemon=True).start()


def _watch(descriptor: int, grace: float) -> None:
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace)
    os._exit(1)
