import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.env_file import LocalFile, unwritable
from shared.errors import InvalidInput

KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(values=st.dictionaries(KEYS, VALUES))
def test_every_value_that_is_written_is_read_again(
    values: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("env") / ".env"

    LocalFile.read(path).write(values, removed=[])

    assert LocalFile.read(path).values == values


def test_only_what_was_removed_is_gone_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nexport A=1\nB='2'\n\nC=3 # three\n")

    LocalFile.read(path).write({"A": "1", "C": "4"}, removed=["B"])

    assert path.read_text() == "# mine\nexport A=1\n\nC=4 # three\n"


def test_a_file_that_others_could_read_is_its_owners_alone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.touch(mode=0o644)

    LocalFile.read(path).write({"A": "1"}, removed=[])

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_is_followed_to_the_file_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / ".env").write_text("A=1\n")
    (tmp_path / ".env").symlink_to(tmp_path / "real" / ".env")

    LocalFile.read(tmp_path / ".env").write({"A": "2"}, removed=[])

    assert (tmp_path / "real" / ".env").read_text() == "A=2\n"
    assert (tmp_path / ".env").is_symlink()


def test_a_quote_that_is_never_closed_swallows_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text('A="never closed\n')

    with pytest.raises(InvalidInput, match="close it first"):
        LocalFile.read(path).write({"B": 'say "hi"'}, removed=[])

    assert path.read_text() == 'A="never closed\n'


def test_the_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text('A="two\nlines"\n# fine\nnot an assignment\n')

    with pytest.raises(InvalidInput, match="line 4"):
        LocalFile.read(path).require_clean()


def test_keys_and_values_that_no_env_file_holds_are_named() -> None:
    assert unwritable({"GOOD": "1", "with-hyphen": "1", "NUL": "\0"}) == ["NUL", "with-hyphen"]
