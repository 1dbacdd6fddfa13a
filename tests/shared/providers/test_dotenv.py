import errno
import io
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from dotenv.parser import parse_stream
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from shared.errors import AccessDenied, LeaseLost, ProviderError, RequestRejected, Unavailable
from shared.plan import Change, Delete, Remote
from shared.providers.base import Access
from shared.providers.dotenv import (
    KEY,
    DotenvConfig,
    DotenvCredentials,
    DotenvDestination,
    DotenvProvider,
    EnvText,
    quoted,
)
from tests.shared.providers.contract import (
    Ledger,
    ProviderContract,
    create,
    hundred,
    loopback_client,
    synchronise,
)

MESSY = st.text(alphabet="AB=='\"\\#$ \t\n\r\x0bnxü\ufeff\u2028", max_size=40)
LINES = st.lists(
    st.one_of(
        MESSY,
        st.sampled_from(
            ["A=1", "export B='x' # c", 'A="x\\n\\"y"', "C = two words # c", "D='p", 'my-key="a\nA=2"']
        ),
    ),
    max_size=6,
).map("\n".join)
KEYS = st.sampled_from(["A", "B", "C", "_NEW", "AB"])
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30) | MESSY


def read_by_python_dotenv(text: str) -> dict[str, str]:
    found = dotenv_values(stream=io.StringIO(text, newline="\n"), interpolate=False)
    return {key: value for key, value in found.items() if value is not None}


def assigned_for_python_dotenv(text: str) -> dict[str, str]:
    """Return what python-dotenv's parser sees, without names that no variable can have."""
    found = [(each.key, each.value) for each in parse_stream(io.StringIO(text, newline="\n"))]
    return {key: value for key, value in found if key and value is not None and KEY.fullmatch(key)}


def delete(*keys: str) -> list[Change]:
    return [Delete(key, Remote(key, None)) for key in keys]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "allowed"


@pytest.fixture
def make(directory: Path) -> Callable[..., DotenvDestination]:
    """Return a function that makes a destination."""

    def at(path: str = ".env", **parts: Any) -> DotenvDestination:
        with loopback_client() as http:
            access = Access("directory", DotenvCredentials(), http, str(directory), **parts)
        return DotenvProvider(access).destination(DotenvConfig(path=path))

    return at


@pytest.fixture
def destination(make: Callable[..., DotenvDestination]) -> DotenvDestination:
    return make()


@pytest.fixture
def file(directory: Path) -> Path:
    """Return where the destination's file will be."""
    directory.mkdir()
    return directory / ".env"


def held(destination: DotenvDestination) -> dict[str, str]:
    remotes = destination.pull().remotes
    return {
        key: remote.value.get_secret_value() for key, remote in remotes.items() if remote.value is not None
    }


class TestText:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("KEY=plain", "plain"),
            ("  export KEY = two words  # comment\n", "two words"),
            ("KEY=", ""),
            ("KEY= # comment", ""),
            ("KEY=#no-comment", "#no-comment"),
            (r"KEY='$HOME \n'", r"$HOME \n"),
            (r"KEY='it\'s'", "it's"),
            (r'KEY="a\n\t\"\\\$b" # comment', 'a\n\t"\\$b'),
            ('KEY="first\nsecond"\r\nOTHER=1', "first\nsecond"),
            ("KEY='first\n# no comment\n'", "first\n# no comment\n"),
            ("KEY=first\nKEY=last", "last"),
            ("\ufeffKEY=after a mark", "after a mark"),
            ("KEY=windows\r\n", "windows"),
        ],
    )
    def test_the_common_dialect_is_read(self, text: str, value: str) -> None:
        assert EnvText.parse(text).values["KEY"] == value

    @pytest.mark.parametrize(
        "text", ["# KEY=1", "KEY", "KEY='open", 'KEY="a" b', "=1", "KEY'=1", "my-key=1", "my-key='\nKEY=1\n'"]
    )
    def test_what_assigns_nothing_to_a_variable_is_not_seen(self, text: str) -> None:
        assert EnvText.parse(text).values == {}

    @given(LINES)
    def test_no_byte_is_lost_by_reading(self, text: str) -> None:
        assert EnvText.parse(text).text == text

    @given(LINES)
    def test_every_file_is_read_as_python_dotenv_reads_it(self, text: str) -> None:
        text = text.replace("\\$", "")  # the one documented difference

        assert EnvText.parse(text).values == assigned_for_python_dotenv(text)

    @given(VALUES)
    def test_a_written_value_is_read_back_by_both_readers(self, value: str) -> None:
        line = f"KEY={quoted(value)}\n"

        assert EnvText.parse(line).values == {"KEY": value}
        assert read_by_python_dotenv(line) == {"KEY": value}
        assert "\n" not in line[:-1]

    @given(st.dictionaries(KEYS, VALUES), LINES)
    def test_what_is_set_is_read_back_and_the_rest_stays(self, wanted: Mapping[str, str], text: str) -> None:
        before = EnvText.parse(text)

        after = EnvText.parse(before.holding(wanted).text)

        if "'" not in text and '"' not in text:  # otherwise a quote may be open: see TestFile
            assert after.values == {**before.values, **wanted}
            assert assigned_for_python_dotenv(after.text) == after.values
        untouched = before.without(list(wanted)).text
        assert before.holding(wanted).without(list(wanted)).text.startswith(untouched)

    def test_an_update_keeps_the_place_the_export_and_the_comment(self) -> None:
        text = "# mine\n\nexport KEY=old # why\nBROKEN='\nOTHER = 1\r\n"

        changed = EnvText.parse(text).holding({"KEY": "new value"}).text

        assert changed == "# mine\n\nexport KEY='new value' # why\nBROKEN='\nOTHER = 1\r\n"

    def test_every_assignment_to_a_key_is_changed_or_removed(self) -> None:
        text = EnvText.parse("KEY=1\nOTHER=2\nKEY=3\n")

        assert text.holding({"KEY": "4"}).text == "KEY=4\nOTHER=2\nKEY=4\n"
        assert text.without(["KEY"]).text == "OTHER=2\n"

    def test_new_keys_follow_on_lines_of_their_own(self) -> None:
        assert EnvText.parse("A=1").holding({"B": "2"}).text == "A=1\nB=2\n"
        assert EnvText.parse("A=1\r\n").holding({"B": "2"}).text == "A=1\r\nB=2\r\n"
        assert EnvText.parse("").holding({"B": "2"}).text == "B=2\n"

    def test_values_that_others_would_expand_stand_in_single_quotes(self) -> None:
        assert quoted("$HOME ${OTHER} `date`") == "'$HOME ${OTHER} `date`'"

    def test_backslashes_stand_in_single_quotes_where_all_readers_leave_them(self) -> None:
        assert quoted(r"^\d+ \n") == r"'^\d+ \n'"
        assert quoted("a\\\\b") == r'"a\\\\b"'
        assert quoted("C:\\") == r'"C:\\"'

    def test_a_value_of_several_lines_is_written_on_one(self) -> None:
        assert quoted("a\nb\r\n") == r'"a\nb\r\n"'


class TestPath:
    @pytest.mark.parametrize(
        "path", ["/etc/passwd", "//x", "../x", "a/../../x", "a/..", "", " ", ".", "./", "a\0b", "a\nb"]
    )
    def test_a_path_that_could_lie_outside_is_refused(self, path: str) -> None:
        with pytest.raises(ValidationError):
            DotenvConfig(path=path)

    def test_two_spellings_of_a_path_are_one_place(self) -> None:
        assert DotenvConfig(path="./web//.env").identity() == DotenvConfig(path="web/.env").identity()

    def test_a_link_out_of_the_directory_is_refused(
        self, destination: DotenvDestination, file: Path, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.write_text("KEY=1\n")
        file.symlink_to(outside)

        with pytest.raises(RequestRejected):
            destination.pull()
        with pytest.raises(RequestRejected):
            destination.push([create("KEY", "2")])

        assert outside.read_text() == "KEY=1\n"

    def test_a_folder_that_links_out_of_the_directory_is_refused(
        self, make: Callable[..., DotenvDestination], file: Path, tmp_path: Path
    ) -> None:
        (file.parent / "web").symlink_to(tmp_path)

        with pytest.raises(RequestRejected):
            make("web/.env").push([create("KEY", "2")])

        assert not (tmp_path / ".env").exists()

    def test_a_link_set_after_the_check_is_not_followed(
        self,
        make: Callable[..., DotenvDestination],
        file: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (file.parent / "web").symlink_to(tmp_path)
        # As if the link had come between resolving the path and opening it.
        monkeypatch.setattr("os.path.realpath", lambda path: str(path))

        with pytest.raises(RequestRejected, match="ENOTDIR"):
            make("web/.env").push([create("KEY", "2")])

        assert not (tmp_path / ".env").exists()

    def test_a_link_inside_the_directory_is_followed_and_stays_a_link(
        self, destination: DotenvDestination, file: Path
    ) -> None:
        file.symlink_to("real.env")

        destination.push([create("KEY", "1")])

        assert file.is_symlink()
        assert (file.parent / "real.env").read_text() == "KEY=1\n"

    def test_links_in_a_circle_are_refused(self, destination: DotenvDestination, file: Path) -> None:
        file.symlink_to(".env")

        with pytest.raises(RequestRejected, match="ELOOP"):
            destination.pull()


class TestFile:
    def test_a_file_that_is_missing_is_empty_and_is_made_for_its_owner_only(
        self, make: Callable[..., DotenvDestination], directory: Path
    ) -> None:
        destination = make("web/app/.env")

        assert held(destination) == {}
        destination.push([create("KEY", "1")])

        modes = [stat.S_IMODE((directory / path).stat().st_mode) for path in (".", "web", "web/app/.env")]
        assert modes == [0o700, 0o700, 0o600]
        assert held(destination) == {"KEY": "1"}

    def test_a_first_sync_a_repeat_a_change_and_a_removal(
        self, destination: DotenvDestination, file: Path
    ) -> None:
        ledger: Ledger = {}

        synchronise(destination, hundred(), ledger)
        again = synchronise(destination, hundred(), ledger)
        synchronise(destination, {"KEY_001": "changed"}, ledger)

        assert again.plan.is_empty
        assert file.read_text() == "KEY_001=changed\n"

    def test_hard_values_arrive_exactly_as_they_are(self, destination: DotenvDestination, file: Path) -> None:
        destination.push([create(key, value) for key, value in ProviderContract.hard_values.items()])

        assert held(destination) == ProviderContract.hard_values
        assert dotenv_values(file, interpolate=False) == ProviderContract.hard_values

    def test_pushing_a_batch_twice_writes_once(self, destination: DotenvDestination, file: Path) -> None:
        batch = [create("ONE", "1"), create("TWO", "2")]
        destination.push(batch)
        first = file.stat().st_ino

        again = destination.push(batch)

        assert file.stat().st_ino == first
        assert again.stamps == {"ONE": None, "TWO": None}

    def test_deleting_from_a_file_that_is_missing_does_no_harm(
        self, destination: DotenvDestination, file: Path
    ) -> None:
        pushed = destination.push(delete("KEY"))

        assert pushed.stamps == {"KEY": None}
        assert not file.exists()

    def test_an_edit_made_between_pull_and_push_stays(
        self, destination: DotenvDestination, file: Path
    ) -> None:
        file.write_text("KEY=old\n")
        destination.pull()
        file.write_text("# by hand\nTHEIRS=1\nKEY=old\n")

        destination.push([create("KEY", "new")])

        assert file.read_text() == "# by hand\nTHEIRS=1\nKEY=new\n"

    @pytest.mark.parametrize("value", ["a\0b", "\ud800"])
    def test_a_value_no_file_can_hold_is_refused_and_the_others_are_written(
        self, destination: DotenvDestination, value: str
    ) -> None:
        pushed = destination.push([create("BAD", value), create("GOOD", "1")])

        assert list(pushed.refused) == ["BAD"]
        assert value not in pushed.refused["BAD"]
        assert pushed.stamps == {"GOOD": None}
        assert held(destination) == {"GOOD": "1"}

    @pytest.mark.parametrize("key", ["1ST", "MY-KEY", "A.B", "", "KEY\n", "ÜBER"])
    def test_a_name_that_is_no_variable_is_refused(self, destination: DotenvDestination, key: str) -> None:
        assert destination.refuses(key)
        assert destination.refuses("_KEY_2") is None

    def test_an_open_quote_that_would_swallow_a_new_key_stops_the_push(
        self, destination: DotenvDestination, file: Path
    ) -> None:
        file.write_text('OPEN="never closed\n')

        with pytest.raises(RequestRejected, match="close the quote"):
            destination.push([create("KEY", "it's plain-text")])

        assert file.read_text() == 'OPEN="never closed\n'

    def test_a_broken_line_stays_as_it_is(self, destination: DotenvDestination, file: Path) -> None:
        file.write_text('OPEN="never closed\n= what\n')

        destination.push([create("KEY", "plain")])

        assert file.read_text() == 'OPEN="never closed\n= what\nKEY=plain\n'

    def test_a_file_that_is_not_utf_8_is_left_alone(self, destination: DotenvDestination, file: Path) -> None:
        file.write_bytes(b"KEY=\xff\xfe\n")

        with pytest.raises(RequestRejected, match="not UTF-8"):
            destination.push([create("OTHER", "1")])

        assert file.read_bytes() == b"KEY=\xff\xfe\n"

    @pytest.mark.parametrize("kind", ["directory", "pipe"])
    def test_what_is_no_file_is_refused(self, destination: DotenvDestination, file: Path, kind: str) -> None:
        if kind == "directory":
            file.mkdir()
        else:
            os.mkfifo(file)

        with pytest.raises(RequestRejected, match=r"^\.env "):
            destination.pull()

    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            (errno.EACCES, AccessDenied),
            (errno.EROFS, AccessDenied),
            (errno.ENOSPC, Unavailable),
            (errno.EIO, Unavailable),
        ],
    )
    @pytest.mark.parametrize("step", ["fsync", "rename"])
    def test_a_failed_write_is_named_and_leaves_nothing_behind(
        self,
        destination: DotenvDestination,
        file: Path,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        expected: type[ProviderError],
        step: str,
    ) -> None:
        file.write_text("KEY=old\n")

        def fail(*args: Any, **kwargs: Any) -> None:
            raise OSError(number, os.strerror(number), str(file))

        monkeypatch.setattr(os, step, fail)
        with pytest.raises(expected) as caught:
            destination.push([create("KEY", "plain-text")])

        assert caught.value.message == f".env cannot be written ({errno.errorcode[number]})."
        assert [path.name for path in file.parent.iterdir()] == [".env"]
        assert file.read_text() == "KEY=old\n"

    def test_a_lost_lease_stops_the_write(self, make: Callable[..., DotenvDestination], file: Path) -> None:
        def lost() -> None:
            raise LeaseLost

        with pytest.raises(LeaseLost):
            make(before_call=lost).push([create("KEY", "1")])

        assert not file.exists()

    def test_no_repr_shows_a_value(self, destination: DotenvDestination) -> None:
        destination.push([create("KEY", "plain-text")])

        pulled = destination.pull()

        assert "plain-text" not in repr(pulled) + repr(vars(destination))
        assert pulled.remotes["KEY"].value == SecretStr("plain-text")


class TestProvider:
    def test_it_says_which_directory_it_writes_to_and_makes_it(self, directory: Path) -> None:
        with loopback_client() as http:
            provider = DotenvProvider(Access("directory", DotenvCredentials(), http, str(directory)))

        assert provider.whoami().name == str(directory)
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    def test_a_directory_that_cannot_be_made_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        with loopback_client() as http:
            access = Access("directory", DotenvCredentials(), http, str(tmp_path / "taken" / "below"))

        with pytest.raises(RequestRejected, match="ENOTDIR"):
            DotenvProvider(access).whoami()
