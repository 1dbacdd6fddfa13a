import subprocess
from pathlib import Path

import pytest

from cli.vault import Vault, repository_here, repository_of
from shared.errors import InvalidInput
from tests.cli.conftest import Person


@pytest.mark.parametrize(
    "remote",
    [
        "git@github.com:acme/shop.git",
        "git@github.com:acme/shop",
        "https://github.com/acme/shop.git",
        "https://token@git.example.com/acme/shop/",
        "ssh://git@git.example.com:2222/acme/shop.git",
    ],
)
def test_a_remote_names_its_repository_in_every_form(remote: str) -> None:
    assert repository_of(remote) == "acme/shop"


@pytest.mark.parametrize("remote", ["/srv/git/shop.git", "https://git.example.com/a/b/c", "acme/shop", ""])
def test_another_form_names_none(remote: str) -> None:
    assert repository_of(remote) is None


def test_dots_in_a_name_stay() -> None:
    assert repository_of("git@github.com:acme/shop.github.io.git") == "acme/shop.github.io"


def test_outside_a_repository_one_is_told_how_to_name_the_vault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidInput, match=r"no git repository.*--vault owner/repo"):
        repository_here()


def test_a_repository_is_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "remote", "add", "origin", "git@host:acme/shop"], cwd=tmp_path, check=True)
    (tmp_path / "web").mkdir()
    monkeypatch.chdir(tmp_path / "web")

    assert repository_here() == "acme/shop"


def test_a_project_without_a_repository_has_no_place_on_keyways_wire() -> None:
    vault = Vault("1", "shop", ("production",))

    with pytest.raises(InvalidInput, match="not named like a repository"):
        _ = vault.keyway_path


def test_a_name_cannot_leave_its_part_of_the_path() -> None:
    assert Vault("1", "acme/shop?a#b", ()).keyway_path == "acme/shop%3Fa%23b"


def test_a_vault_that_is_there_already_is_called_so(person: Person) -> None:
    done = person.keytide("init")

    assert done.status == 1
    assert f"There is a vault {person.vault} already" in done.err
