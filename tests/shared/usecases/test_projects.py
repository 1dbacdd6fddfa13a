"""Projects and their environments."""

import pytest

from shared.errors import Conflict, InvalidInput, NotFound
from shared.runtime import Runtime
from shared.usecases import projects
from shared.usecases.environments import create_environment
from shared.usecases.projects import create_project
from tests.shared.usecases.world import together
from tests.support import ManualClock


def test_a_project_is_named_after_its_name_or_as_it_is_told(runtime: Runtime) -> None:
    assert create_project(runtime, "My Shop!").project.slug == "my-shop"
    assert create_project(runtime, "x", slug="owner/repo").project.slug == "owner/repo"
    assert create_project(runtime, "!").project.slug == "project"


def test_two_projects_of_one_name_have_slugs_of_their_own(runtime: Runtime) -> None:
    first, second = create_project(runtime, "Shop"), create_project(runtime, "Shop")

    assert first.project.slug == "shop"
    assert second.project.slug.startswith("shop-")


def test_a_slug_that_was_asked_for_is_given_once(runtime: Runtime) -> None:
    create_project(runtime, "Shop", slug="shop")

    with pytest.raises(Conflict, match="already a project"):
        create_project(runtime, "Other", slug="shop")


def test_a_slug_that_is_asked_for_twice_at_once_is_given_once(runtime: Runtime) -> None:
    refused: list[Conflict] = []

    def create() -> None:
        try:
            create_project(runtime, "Shop", slug="shop")
        except Conflict as error:
            refused.append(error)

    together([create] * 3)

    assert len(refused) == 2


@pytest.mark.parametrize("slug", ["", "a b", "/repo", "owner/", "a/b/c", "ä"])
def test_a_slug_that_is_none_is_refused(runtime: Runtime, slug: str) -> None:
    with pytest.raises(InvalidInput):
        create_project(runtime, "Shop", slug=slug)


def test_each_project_has_a_data_key_of_its_own(runtime: Runtime) -> None:
    first, second = create_project(runtime, "One").project, create_project(runtime, "Two").project

    assert first.data_key != second.data_key


def test_projects_are_listed_oldest_first(runtime: Runtime, clock: ManualClock) -> None:
    for name in ("One", "Two", "Three"):
        create_project(runtime, name)
        clock.advance(seconds=1)

    def listed(limit: int, offset: int) -> list[str]:
        return [view.project.name for view in projects.list_projects(runtime, limit=limit, offset=offset)]

    assert listed(10, 0) == ["One", "Two", "Three"]
    assert listed(1, 1) == ["Two"]


def test_an_environment_is_added_last(runtime: Runtime) -> None:
    project_id = create_project(runtime, "Shop").project.id

    create_environment(runtime, project_id, slug="preview", name="Preview")

    environments = projects.get_project(runtime, project_id).environments
    assert [row.slug for row in environments][-1] == "preview"
    with pytest.raises(Conflict):
        create_environment(runtime, project_id, slug="preview", name="Again")


@pytest.mark.parametrize("slug", ["", "Preview", "pre view", "-a", "a--b"])
def test_an_environment_without_a_proper_slug_is_refused(runtime: Runtime, slug: str) -> None:
    project_id = create_project(runtime, "Shop").project.id

    with pytest.raises(InvalidInput):
        create_environment(runtime, project_id, slug=slug, name="x")


def test_a_project_is_found_by_its_slug(runtime: Runtime) -> None:
    project = create_project(runtime, "Shop", slug="owner/repo").project

    assert projects.find_by_slug(runtime, "owner/repo").project.id == project.id
    with pytest.raises(NotFound):
        projects.find_by_slug(runtime, "owner/other")
