"""The pages for people lead somewhere, can be found, and leave nothing out."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.sync_options import SyncOptions

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"])

#: A link to another file, without the part of the page it leads to.
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)")


def links(page: Path) -> Iterator[Path]:
    """Yield the files that *page* links to."""
    for target in LINK.findall(page.read_text()):
        yield (page.parent / target).resolve()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    broken = [str(target.relative_to(ROOT)) for target in links(page) if not target.exists()]

    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]

    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += links(page)

    assert set(PAGES) - reached == set()


def test_the_table_of_options_lists_exactly_the_options_of_a_sync() -> None:
    _, _, table = (ROOT / "docs" / "concepts.md").read_text().partition("## Options of a sync")

    listed = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)

    assert listed == [field.alias for field in SyncOptions.model_fields.values()]


def test_every_option_of_a_sync_is_described() -> None:
    undescribed = [name for name, field in SyncOptions.model_fields.items() if not field.description]

    assert undescribed == []
