import socket

import pytest

from cli.sockets import base_url, listen
from shared.errors import Conflict


def test_a_port_in_use_is_named_in_a_sentence() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]

        with pytest.raises(Conflict, match=f"Port {port} on 127.0.0.1 is already in use"):
            listen("127.0.0.1", port)


def test_a_host_that_is_not_here_is_named_in_a_sentence() -> None:
    with pytest.raises(Conflict, match=r"Cannot listen on 192\.0\.2\.1, port 8200"):
        listen("192.0.2.1", 8200)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_address_of_a_listener_can_be_connected_to(host: str) -> None:
    with listen(host, 0) as listener:
        port = listener.getsockname()[1]

        url = base_url(host, port)

        assert url == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port)).close()


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert base_url("::", 8200) == "http://[::1]:8200"
