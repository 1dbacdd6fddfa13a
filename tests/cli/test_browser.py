import httpx
import pytest

from cli.browser import Detour

TARGET = "https://keytide.example/authorize?token=kt_secret"


@pytest.fixture
def detour() -> Detour:
    return Detour(lambda back: f"{TARGET}&redirect_uri={back}")


def visit(url: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as browser:
        return browser.get(url)


def test_a_browser_is_sent_on_and_waited_for(detour: Detour) -> None:
    def browse(url: str) -> bool:
        sent_to = visit(url).headers["location"]
        return visit(sent_to.partition("redirect_uri=")[2]).is_success

    assert detour.send_off(within=30, open_page=browse)


def test_the_first_address_holds_no_token_and_serves_once(detour: Detour) -> None:
    answers = []

    def browse(url: str) -> bool:
        answers.extend([visit(url), visit(url)])
        return True

    came_back = detour.send_off(within=0, open_page=browse)

    assert not came_back
    assert "kt_secret" not in detour.url
    assert answers[0].headers["location"].startswith(TARGET)
    assert (answers[1].status_code, "location" in answers[1].headers) == (404, False)


def test_a_guess_is_sent_nowhere_and_does_not_use_it_up(detour: Detour) -> None:
    answers = []

    def browse(url: str) -> bool:
        answers.extend([visit(f"{url}x"), visit(url)])
        return True

    detour.send_off(within=0, open_page=browse)

    assert [answer.status_code for answer in answers] == [404, 302]
