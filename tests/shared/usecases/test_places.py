"""Folder paths as people write them."""

import pytest

from shared.errors import InvalidInput
from shared.usecases.places import normal_path


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("app", "/app"),
        ("/app/", "/app"),
        ("/a//b", "/a/b"),
        (" /a ", "/a"),
    ],
)
def test_a_path_has_one_slash_in_front_and_none_behind(written: str, meant: str) -> None:
    assert normal_path(written) == meant


@pytest.mark.parametrize("written", ["/a b", "/..", "/a.b", "/ä", "/" + "x" * 256, "/x" * 33])
def test_a_path_of_anything_else_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput):
        normal_path(written)


def test_folders_lie_32_deep_at_most() -> None:
    assert normal_path("/x" * 32) == "/x" * 32

    with pytest.raises(InvalidInput, match="at most 32 levels"):
        normal_path("/x" * 33)
