"""The main job with real processes: edit a secret, the destination has it."""

import signal

import redis

from tests.e2e.conftest import REDIS
from tests.e2e.installation import eventually
from tests.e2e.product import Product, post
from tests.fakes.railway import Token
from tests.fakes.service import Fail, Hang

#: A value that must turn up nowhere but at the destination.
CANARY = "canary-7f3a9c51e2"


def test_an_edit_is_at_the_destination_and_the_sync_says_so(product: Product) -> None:
    product.set("TOKEN", "one", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="one")

    product.set("TOKEN", "two")
    seen = product.until_synced(sync["id"], TOKEN="two")

    assert seen["lastSyncJobId"]
    assert seen["lastSyncedAt"]
    assert seen["lastSyncMessage"] is None


def test_an_edit_in_an_imported_folder_arrives_too(product: Product) -> None:
    folder = {"projectId": product.project_id, "environment": "production"}
    post(product.client, "/api/v2/folders", **folder, name="common", path="/")
    post(
        product.client,
        "/api/v2/secret-imports",
        **folder,
        path="/",
        **{"import": {"environment": "production", "path": "/common"}},
    )
    product.set("SHARED", "one", path="/common", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], SHARED="one")

    product.set("SHARED", "two", path="/common")

    product.until_synced(sync["id"], SHARED="two")


def test_a_killed_worker_is_replaced_and_the_value_arrives_once(product: Product) -> None:
    product.set("TOKEN", "one", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="one")
    hang = Hang(applied=True)
    product.railway.fail_next(hang, where=product.railway.is_write)

    product.set("TOKEN", "two")
    eventually(lambda: product.sync(sync["id"])["syncStatus"] == "running")
    eventually(lambda: product.held()["TOKEN"] == "two")
    product.installation.signal("worker", signal.SIGKILL)
    seen = product.until_synced(sync["id"], TOKEN="two")

    assert seen["syncStatus"] == "succeeded"
    live = product.client.get(
        "/api/v1/secrets-live",
        params={"projectId": product.project_id, "environment": "production", "secretPath": "/"},
    ).json()["secrets"]
    assert [(entry["secretKey"], entry["version"]) for entry in live] == [("TOKEN", 2)]


def test_an_emptied_broker_loses_nothing(product: Product) -> None:
    product.set("TOKEN", "one", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="one")
    embedded = "KEYTIDE_BROKER_URL" not in product.installation.environment

    # Nobody takes the message before it is lost.
    product.installation.signal("worker", signal.SIGSTOP)
    product.set("TOKEN", "two")
    if embedded:
        product.installation.signal("broker", signal.SIGKILL)
    else:
        with redis.Redis.from_url(REDIS or "") as client:
            client.flushdb()
    product.installation.signal("worker", signal.SIGCONT)

    product.until_synced(sync["id"], TOKEN="two")


def test_two_hundred_edits_are_a_handful_of_runs_and_the_last_one_wins(product: Product) -> None:
    product.set("TOKEN", "0", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="0")
    before = len(product.jobs(sync["id"]))

    for number in range(1, 201):
        product.set("TOKEN", str(number))
    product.until_synced(sync["id"], TOKEN="200")

    runs = len(product.jobs(sync["id"])) - before
    # Edits come one after the other over HTTP, so several runs fit between them; two hundred do not.
    assert runs < 100


def test_two_hundred_edits_while_nobody_works_are_one_run(product: Product) -> None:
    product.set("TOKEN", "0", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="0")
    before = len(product.jobs(sync["id"]))

    product.installation.signal("worker", signal.SIGSTOP)
    for number in range(1, 201):
        product.set("TOKEN", str(number))
    product.installation.signal("worker", signal.SIGCONT)
    product.until_synced(sync["id"], TOKEN="200")

    assert len(product.jobs(sync["id"])) - before <= 5


def test_a_token_that_died_fails_at_once_in_words_for_a_person(product: Product) -> None:
    product.set("TOKEN", "one", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="one")
    mine = "short-lived"
    product.railway.tokens[mine] = Token("account")
    product.client.patch(
        f"/api/v1/app-connections/railway/{product.connection_id}", json={"credentials": {"apiToken": mine}}
    ).raise_for_status()
    product.until_status(sync["id"], "succeeded")
    product.railway.tokens.pop(mine)
    before = len(product.jobs(sync["id"]))

    product.set("TOKEN", "two")
    seen = product.until_status(sync["id"], "failed")

    assert "Railway" in seen["lastSyncMessage"]
    assert len(product.jobs(sync["id"])) == before + 1
    assert product.jobs(sync["id"])[0]["attempt"] == 0


def test_an_outage_is_told_and_healed(product: Product) -> None:
    product.set("TOKEN", "one", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="one")
    product.railway.fail_next(Fail(503), times=2)

    product.set("TOKEN", "two")
    told = eventually(lambda: product.sync(sync["id"])["lastSyncMessage"])
    product.until_synced(sync["id"], TOKEN="two")

    assert "attempt" in told.lower()
    assert "503" in told


def test_a_secret_is_in_no_file_no_log_line_and_no_message(product: Product) -> None:
    product.set("TOKEN", "one", new=True)
    sync = product.create_sync()
    product.until_synced(sync["id"], TOKEN="one")

    product.installation.signal("worker", signal.SIGSTOP)
    # The worker has asked for a message already, and is given the first one.
    product.set("TOKEN", "two")
    product.set("TOKEN", CANARY)
    messages = _queued_messages(product)
    product.installation.signal("worker", signal.SIGCONT)
    product.until_synced(sync["id"], TOKEN=CANARY)

    assert CANARY not in messages
    assert CANARY not in product.installation.said()
    assert CANARY not in str(product.jobs(sync["id"]))
    for file in product.installation.data_dir.rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file


def _queued_messages(product: Product) -> str:
    """Return all that waits in the broker, as text; the embedded one lets nobody in."""
    if "KEYTIDE_BROKER_URL" not in product.installation.environment:
        return ""
    with redis.Redis.from_url(REDIS or "") as client:
        queues = [key for key in client.scan_iter() if client.type(key) == b"list"]
        waiting = [message for key in queues for message in client.lrange(key, 0, -1)]
    assert waiting
    return repr(waiting)
