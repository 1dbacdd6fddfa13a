"""The pages about the providers say what the code does."""

from pathlib import Path
from typing import Any

import pytest

from shared.providers import PROVIDERS
from shared.providers.base import Provider

DOCS = Path(__file__).parents[3] / "docs" / "providers"


def row(provider: type[Provider[Any]]) -> str:
    """Return the line of the table that describes *provider*."""
    facts = [
        f"[{provider.title}]({provider.name}.md)",
        f"`{provider.name}`",
        yes_no(provider.reads_values),
        yes_no(provider.can_import),
        yes_no(provider.can_redeploy),
        ", ".join(f"`{method}`" for method in provider.methods),
    ]
    return "| " + " | ".join(facts) + " |"


def yes_no(answer: bool) -> str:
    return "yes" if answer else "no"


def test_the_table_lists_every_provider_as_the_code_describes_it() -> None:
    rows = [line for line in (DOCS / "README.md").read_text().splitlines() if line.startswith("| [")]

    assert rows == [row(PROVIDERS[name]) for name in sorted(PROVIDERS)]


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_every_provider_has_a_page(name: str) -> None:
    assert (DOCS / f"{name}.md").read_text().startswith("# ")
