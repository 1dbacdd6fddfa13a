from pathlib import Path

from cli.docs import updated

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_about_the_command_line_is_current() -> None:
    page = PAGE.read_text()

    assert page == updated(page), "Run 'make docs'."
