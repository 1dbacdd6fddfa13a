"""The page about proofs names tests that exist, for every promise and every fault."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "proofs.md").read_text()
README = (ROOT / "README.md").read_text()

#: A link to a test: its name as a sentence, and its file.
PROOF = re.compile(r"\[([^\]]+)\]\(\.\./(tests/[^)]+\.py)\)")
PROMISE = re.compile(r"^\| (R\d+) \| ([^|]+) \|", re.MULTILINE)


def proofs() -> dict[str, set[str]]:
    """Return the sentences that the page gives for tests, by file."""
    found: dict[str, set[str]] = {}
    for sentence, file in PROOF.findall(PAGE):
        found.setdefault(file, set()).add(sentence)
    return found


def sentences(file: str) -> Iterator[str]:
    """Yield the name of every test in *file* as a sentence."""
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name.removeprefix("test_").replace("_", " ")


@pytest.mark.parametrize("file", proofs())
def test_every_proof_is_a_test(file: str) -> None:
    assert proofs()[file] - set(sentences(file)) == set()


def test_every_promise_of_the_readme_is_on_the_page_in_its_words() -> None:
    promised = PROMISE.findall(README)

    assert promised
    assert PROMISE.findall(PAGE) == promised


def test_every_promise_and_every_fault_has_a_proof() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.endswith("| shown by |")]

    assert len(rows) > len(PROMISE.findall(PAGE))
    assert [row for row in rows if not PROOF.search(row)] == []
