"""Two syncs whose places are not the same, but could hold the same variable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from shared.db.jobs import Kind
from shared.errors import Conflict, InvalidInput, KeytideError
from shared.usecases import syncs
from shared.usecases.connections import ConnectionDraft, create_connection
from shared.usecases.projects import create_project
from shared.usecases.syncs import SyncChanges, SyncDraft
from tests.fakes.netlify import FakeNetlify
from tests.fakes.vercel import FakeVercel
from tests.shared.usecases.world import World, sync_options, together

SITE = {"accountId": "acc-1", "siteId": "site-shop", "context": "production"}


def team(*environments: str, projects: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the place of a team's shared variables, as the wire has it."""
    wire = {"scope": "team", "teamId": "team_1", "targetEnvironments": list(environments)}
    return {**wire, "targetProjects": projects}


@dataclass
class Syncs:
    """Creates syncs to one provider."""

    world: World
    provider: str
    connection_id: UUID

    def create(
        self, name: str, config: Mapping[str, Any], *, project_id: UUID | None = None, **options: Any
    ) -> UUID:
        draft = SyncDraft(
            destination=self.provider,
            name=name,
            project_id=project_id or self.world.project_id,
            connection_id=self.connection_id,
            environment="production",
            secret_path="/",
            destination_config=config,
            sync_options=sync_options(**options),
        )
        return syncs.create_sync(self.world.runtime, draft).sync.id

    def change(self, sync_id: UUID, **changes: Any) -> None:
        syncs.update_sync(self.world.runtime, self.provider, sync_id, SyncChanges(**changes))

    def jobs(self, sync_id: UUID) -> list[str]:
        found = syncs.list_jobs(self.world.runtime, self.provider, sync_id, limit=100, offset=0)
        return [job.kind for job in found]

    def duplicate(self, config: Mapping[str, Any], *, exclude: UUID | None = None) -> UUID | None:
        found = syncs.find_duplicate(self.world.runtime, self.provider, config, exclude=exclude)
        return found.id if found else None


@pytest.fixture
def vercel_syncs(world: World, vercel: FakeVercel) -> Syncs:
    draft = ConnectionDraft("vercel", "Vercel", "api-token", {"apiToken": "demo-vercel-token"})
    return Syncs(world, "vercel", create_connection(world.runtime, draft).id)


@pytest.fixture
def netlify_syncs(world: World, netlify: FakeNetlify) -> Syncs:
    draft = ConnectionDraft("netlify", "Netlify", "access-token", {"accessToken": "demo-access-token"})
    return Syncs(world, "netlify", create_connection(world.runtime, draft).id)


def test_a_team_sync_that_shares_an_environment_with_another_is_refused(vercel_syncs: Syncs) -> None:
    vercel_syncs.create("first", team("production"))

    with pytest.raises(Conflict, match="The sync 'first' already writes there"):
        vercel_syncs.create("second", team("production", "preview"))


def test_a_sync_of_another_project_is_not_named(world: World, vercel_syncs: Syncs) -> None:
    other = create_project(world.runtime, "Other").project.id
    vercel_syncs.create("first", team("production"), project_id=other)

    with pytest.raises(Conflict, match="A sync of another project already writes there"):
        vercel_syncs.create("second", team("production", "preview"))


def test_team_syncs_that_share_no_environment_or_no_project_live_together(
    world: World, vercel_syncs: Syncs
) -> None:
    vercel_syncs.create("first", team("production", projects=["prj_1"]))

    vercel_syncs.create("second", team("preview"))
    vercel_syncs.create("third", team("production", projects=["prj_2"]))

    assert len(world.sync_ids()) == 3


def test_team_syncs_with_keys_of_their_own_may_overlap(world: World, vercel_syncs: Syncs) -> None:
    vercel_syncs.create("first", team("production"), keySchema="A_{{secretKey}}")

    vercel_syncs.create("second", team("production", "preview"), keySchema="B_{{secretKey}}")

    assert len(world.sync_ids()) == 2


def test_a_team_sync_cannot_grow_into_another(vercel_syncs: Syncs) -> None:
    vercel_syncs.create("first", team("production"))
    second = vercel_syncs.create("second", team("preview"))

    with pytest.raises(Conflict, match="The sync 'first' already writes there"):
        vercel_syncs.change(second, destination_config=team("production", "preview"))


def test_of_team_syncs_that_overlap_and_are_created_at_once_one_is_refused(
    world: World, vercel_syncs: Syncs
) -> None:
    refused: list[KeytideError] = []

    def create(environment: str) -> None:
        try:
            vercel_syncs.create(environment, team("production", environment))
        except Conflict as error:
            refused.append(error)

    together([partial(create, environment) for environment in ("production", "preview", "development")])

    assert len(world.sync_ids()) == 1
    assert len(refused) == 2


def test_a_team_sync_may_grow_by_itself(vercel_syncs: Syncs) -> None:
    sync_id = vercel_syncs.create("first", team("production"))

    vercel_syncs.change(sync_id, destination_config=team("production", "preview"))

    assert vercel_syncs.duplicate(team("preview")) == sync_id


def test_what_a_grown_sync_still_needs_is_not_removed(vercel_syncs: Syncs, world: World) -> None:
    world.put(A="1")
    sync_id = vercel_syncs.create("first", team("production"))
    world.work()

    with pytest.raises(InvalidInput, match="overlap"):
        vercel_syncs.change(sync_id, destination_config=team("production", "preview"), remove_secrets=True)


def test_what_a_sync_wrote_to_a_place_apart_can_be_removed(vercel_syncs: Syncs, world: World) -> None:
    world.put(A="1")
    sync_id = vercel_syncs.create("first", team("production"))
    world.work()

    vercel_syncs.change(sync_id, destination_config=team("preview"), remove_secrets=True)

    [removing] = [each for each in world.sync_ids() if each != sync_id]
    assert vercel_syncs.jobs(removing) == [Kind.REMOVE]


def test_a_place_that_is_taken_in_part_is_a_duplicate(vercel_syncs: Syncs) -> None:
    sync_id = vercel_syncs.create("first", team("production", "preview"))

    assert vercel_syncs.duplicate(team("preview", "development")) == sync_id
    assert vercel_syncs.duplicate(team("development")) is None
    assert vercel_syncs.duplicate(team("preview"), exclude=sync_id) is None


def test_a_project_beside_its_team_is_no_duplicate(vercel_syncs: Syncs) -> None:
    vercel_syncs.create("first", team("production"))

    assert vercel_syncs.duplicate({"app": "prj_1", "env": "production", "teamId": "team_1"}) is None


def test_a_project_that_is_given_by_its_name_is_refused_by_its_field() -> None:
    with pytest.raises(InvalidInput, match=r"destinationConfig\.app: .*give the project's id") as refused:
        syncs.parse_config("vercel", {"app": "shop", "env": "production"})

    assert refused.value.field == ("destinationConfig", "app")


def test_a_site_whose_account_is_named_by_its_slug_is_the_same_site(netlify_syncs: Syncs) -> None:
    netlify_syncs.create("first", SITE)

    with pytest.raises(Conflict, match="The sync 'first' already writes there"):
        netlify_syncs.create("second", {**SITE, "accountId": "demo-team"})
