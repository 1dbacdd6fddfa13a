"""What cannot be read in the vault deletes nothing at the destination."""

from shared.db.vault import Secret
from shared.usecases.folders import delete_folder
from tests.shared.usecases.world import World, message


def damage(world: World, key: str) -> None:
    """Leave a stored value that no key opens."""
    with world.runtime.database.transaction() as session:
        session.query(Secret).filter(Secret.key == key).update({"value": b"x" * 40})


def test_a_secret_that_cannot_be_decrypted_fails_the_job_and_deletes_nothing(world: World) -> None:
    world.put(A="1", BROKEN="1")
    world.sync()
    world.work()
    damage(world, "BROKEN")

    world.put(A="2")
    world.work()

    assert message(world).endswith("BROKEN: it cannot be decrypted.")
    assert world.held() == {"A": "1", "BROKEN": "1"}


def test_an_imported_secret_that_cannot_be_decrypted_fails_the_job_and_deletes_nothing(world: World) -> None:
    world.folder("base")
    world.put(path="/base", BROKEN="1")
    world.put(A="1")
    world.show("/base")
    world.sync()
    world.work()
    damage(world, "BROKEN")

    world.put(A="2")
    world.work()

    assert message(world).endswith("BROKEN: it cannot be decrypted.")
    assert world.held() == {"A": "1", "BROKEN": "1"}


def test_an_imported_value_whose_reference_leads_nowhere_is_never_sent_as_text(world: World) -> None:
    world.folder("base")
    world.put(path="/base", URL="db")
    world.show("/base")
    world.sync()
    world.work()

    world.put(path="/base", URL="${production.db.PASSWORD}")
    world.work()

    assert "URL: it refers to PASSWORD in /db of production, which does not exist" in message(world)
    assert world.held() == {"URL": "db"}


def test_a_reference_to_nothing_fails_the_job_and_deletes_nothing(world: World) -> None:
    world.put(A="1", URL="x")
    world.sync()
    world.work()

    world.put(URL="${production.db.PASSWORD}")
    world.work()

    assert "URL: it refers to PASSWORD in /db of production, which does not exist" in message(world)
    assert world.held() == {"A": "1", "URL": "x"}


def test_references_in_a_circle_fail_the_job(world: World) -> None:
    world.put(A="${B}", B="${A}")
    world.sync()

    world.work()

    assert "go round in a circle" in message(world)
    assert world.held() == {}


def test_a_reference_to_a_key_that_is_not_in_its_folder_is_a_warning(world: World) -> None:
    world.put(A="${HOME}/bin")
    sync_id = world.sync()

    world.work()

    assert world.held() == {"A": "${HOME}/bin"}
    assert world.jobs(sync_id)[0].details["warnings"] == [
        "A seems to refer to a secret that is not in its folder; the text was left as it is."
    ]


def test_a_source_folder_that_was_deleted_fails_the_sync_and_deletes_nothing(world: World) -> None:
    folder_id = world.folder("app")
    world.put(path="/app", A="1")
    world.sync(path="/app")
    world.work()
    world.railway.forget_calls()

    delete_folder(world.runtime, folder_id)
    world.work()

    assert message(world).startswith("The source environment or folder no longer exists")
    assert world.held() == {"A": "1"}
    assert world.railway.writes == []
