"""Listening sockets that are opened here and handed on, so that a port in use is known at once."""

import errno
import socket

from shared.errors import Conflict

_BACKLOG = 512
#: An address that means all of them, and the one of them that is always this machine.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - recognised, not bound


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on *host* and *port*. Raises ``Conflict`` with the reason if it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"Port {port} on {host} is already in use: stop what uses it, or set KEYTIDE_PORT."
        else:
            reason = f"Cannot listen on {host}, port {port}: {error.strerror}."
        raise Conflict(reason) from None


def adopt(descriptor: int) -> socket.socket:
    """Return the listening socket that the parent process left us under *descriptor*."""
    return socket.socket(fileno=descriptor)


def base_url(host: str, port: int) -> str:
    """Return the address at which a client on this machine reaches what listens on *host* and *port*."""
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
