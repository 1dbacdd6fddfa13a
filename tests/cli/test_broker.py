import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.retry import Retry

from cli.broker import EmbeddedBroker, serve
from cli.sockets import listen
from shared.broker import create_celery
from shared.settings import Settings
from tests.cli.waiting import wait_until

PASSWORD = "only-for-this-test"


@pytest.fixture
def port() -> Iterator[int]:
    """The port of an embedded broker that runs in this process."""
    with listen("127.0.0.1", 0) as listener:
        broker = EmbeddedBroker(listener, PASSWORD.encode())
        thread = threading.Thread(target=broker.serve_forever, args=(0.05,))
        thread.start()
        yield listener.getsockname()[1]
        broker.shutdown()
        thread.join()


@pytest.fixture
def client(port: int) -> Iterator[redis.Redis]:
    with redis.Redis(port=port, password=PASSWORD) as client:
        yield client


def exchange(port: int, sent: bytes) -> bytes:
    """Send *sent* and return everything that comes back until the broker hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: stranger.recv(4096), b""))


def threads_of_connections() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_with_the_password_is_served(port: int, protocol: int) -> None:
    with redis.Redis(port=port, password=PASSWORD, protocol=protocol) as client:
        client.set("key", "value")

        assert client.get("key") == b"value"


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_client_with_another_password_is_refused(port: int, protocol: int) -> None:
    with (
        redis.Redis(port=port, password="another", protocol=protocol, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


@pytest.mark.parametrize(
    "sent",
    [
        b"*1\r\n$4\r\nPING\r\n",
        b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n",
        b"*2\r\n$4\r\nAUTH\r\n$0\r\n\r\n",
        b"*2\r\n$4\r\nAUTH\r\n",
        b"PING\r\n",
        b"*99999999999\r\n",
        b"",
    ],
)
def test_a_stranger_gets_one_refusal_and_nothing_else(port: int, sent: bytes) -> None:
    answer = exchange(port, sent)

    assert answer == b"-NOAUTH Authentication required.\r\n"


def test_what_a_stranger_sends_after_a_refused_command_is_not_carried_out(
    port: int, client: redis.Redis
) -> None:
    exchange(port, b"*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1\r\n1\r\n")

    assert client.get("x") is None


def test_a_broker_without_a_password_does_not_start() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(ValueError, match="password"):
        serve(listener, SecretStr("redis://127.0.0.1/0"))


def test_an_error_answer_leaves_the_connection_open(port: int) -> None:
    client = redis.Redis(port=port, password=PASSWORD, single_connection_client=True)
    before = client.client_id()
    client.set("text", "not a list")

    with pytest.raises(redis.ResponseError):
        client.lpush("text", "x")

    assert client.client_id() == before
    client.close()


def test_a_waiting_client_gets_what_another_one_sends(port: int, client: redis.Redis) -> None:
    with redis.Redis(port=port, password=PASSWORD) as waiting:
        got: list[object] = []
        thread = threading.Thread(target=lambda: got.append(waiting.brpop(["queue"], timeout=20)))
        thread.start()

        client.lpush("queue", "hint")
        thread.join()

    assert got == [(b"queue", b"hint")]


def test_a_subscriber_hears_what_is_published(client: redis.Redis) -> None:
    subscriber: redis.client.PubSub
    with client.pubsub(ignore_subscribe_messages=True) as subscriber:  # type: ignore[no-untyped-call]
        subscriber.subscribe("channel")
        wait_until(lambda: client.pubsub_numsub("channel") == [(b"channel", 1)])
        subscriber.get_message(timeout=5)

        client.publish("channel", "news")
        message = subscriber.get_message(timeout=5)

    assert message is not None
    assert message["data"] == b"news"


def test_a_client_that_goes_away_leaves_no_thread_behind(port: int) -> None:
    before = threads_of_connections()
    clients = [redis.Redis(port=port, password=PASSWORD) for _ in range(5)]
    for client in clients:
        client.ping()
    assert threads_of_connections() == before + 5

    for client in clients:
        client.close()

    wait_until(lambda: threads_of_connections() == before)


def test_a_real_worker_carries_out_what_is_sent_through_the_broker(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYTIDE_BROKER_URL", f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    command = [sys.executable, "-m", "celery", "--quiet", "--app=tests.cli.echo", "worker", "--pool=threads"]
    options = ["--queues=changes", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    result = tmp_path / "result"

    worker = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with create_celery(Settings()) as app:
            app.send_task("echo", args=[str(result), "done"], queue="changes")
        wait_until(lambda: result.exists() and result.read_text() == "done")
    finally:
        worker.terminate()
        worker.wait(30)

    assert worker.returncode == os.EX_OK
