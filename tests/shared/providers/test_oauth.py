"""The authorization code flow: what is sent where, and what a provider's answers mean."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from shared.errors import CredentialsRejected, RequestRejected, UnexpectedAnswer, Unreachable
from shared.providers.base import OAuth, OAuthCredentials
from shared.providers.netlify import NetlifyProvider
from shared.providers.oauth import OAuthFlow
from shared.providers.vercel import VercelOAuth, VercelProvider
from shared.settings import OAuthClient
from tests.fakes.oauth import CLIENT_ID, CLIENT_SECRET, FakeOAuth
from tests.fakes.service import Drop, FakeServer, FakeService, Places, Reply, Request, Response

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CALLBACK = "https://keytide.example.com/v1/integrations/acme/callback"
VERIFIER = SecretStr("a-verifier-of-more-than-forty-three-characters")
STATE = SecretStr("a state & more")

ACME = OAuth(
    page="/authorize?client_id={client_id}&redirect_uri={redirect_uri}&state={state}",
    exchange_path="/token",
    takes_pkce=True,
    revoke_path="/revoke",
)


class Acme(FakeService):
    """A service with nothing but an authorization server that follows the standards."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()
        self.oauth = FakeOAuth(
            self.tokens.add,
            self.tokens.discard,
            page="/authorize",
            exchange_path="/token",
            revoke_path="/revoke",
        )

    def answer(self, request: Request) -> Response:
        return self.oauth.answer(request)

    def refusal(self, status: int, request: Request) -> Response:
        return Response(status, {"error": request.body.decode()})

    def places(self) -> Places:
        return {}

    def seed(self, place: str, variables: Mapping[str, str]) -> None:
        """There is nothing to be seeded."""

    def demo(self) -> Mapping[str, str]:
        return {"client": CLIENT_ID}


@pytest.fixture
def acme() -> Acme:
    return Acme()


@pytest.fixture
def flow(acme: Acme) -> Iterator[OAuthFlow]:
    """Acme's flow, over HTTP."""
    with FakeServer(acme) as server, httpx.Client(verify=False) as http:
        client = OAuthClient(CLIENT_ID, SecretStr(CLIENT_SECRET), server.address, "")
        yield OAuthFlow("Acme", ACME, client, http, server.address)


def let_in(flow: OAuthFlow) -> SecretStr:
    """Do what a browser does, and return the code it comes back with."""
    page = flow.authorize_url(state=STATE, verifier=VERIFIER, redirect_uri=CALLBACK)
    back = flow.http.get(page).headers["location"]
    return SecretStr(parse_qs(urlsplit(back).query)["code"][0])


def exchange(flow: OAuthFlow, code: SecretStr, verifier: SecretStr = VERIFIER) -> OAuthCredentials:
    return flow.exchange(code, verifier=verifier, redirect_uri=CALLBACK, now=NOW)


def question(url: str) -> Mapping[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


# --- the page ------------------------------------------------------------------------------------------


def test_the_page_gets_a_challenge_and_never_the_verifier_or_the_client_secret(flow: OAuthFlow) -> None:
    url = flow.authorize_url(state=STATE, verifier=VERIFIER, redirect_uri=CALLBACK)

    asked = question(url)
    assert asked["state"] == "a state & more"
    assert asked["redirect_uri"] == CALLBACK
    assert (asked["code_challenge_method"], len(asked["code_challenge"])) == ("S256", 43)
    assert VERIFIER.get_secret_value() not in url
    assert CLIENT_SECRET not in url


def test_a_provider_that_takes_no_pkce_gets_none(flow: OAuthFlow, acme: Acme) -> None:
    plain = replace(flow, oauth=replace(ACME, takes_pkce=False))

    credentials = exchange(plain, let_in(plain))

    assert credentials.access_token.get_secret_value() in acme.tokens
    assert "code_challenge" not in question(
        plain.authorize_url(state=STATE, verifier=VERIFIER, redirect_uri=CALLBACK)
    )


def test_netlifys_page_is_asked_for_a_code(flow: OAuthFlow) -> None:
    client = OAuthClient("id-1", SecretStr("hidden"), "https://app.netlify.com", "")
    netlify = replace(flow, oauth=NetlifyProvider.oauth, client=client)

    url = netlify.authorize_url(state=SecretStr("s"), verifier=VERIFIER, redirect_uri=CALLBACK)

    assert url.startswith("https://app.netlify.com/authorize?")
    assert question(url) == {
        "client_id": "id-1",
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "state": "s",
    }


def test_vercels_page_is_the_one_that_installs_the_integration(flow: OAuthFlow) -> None:
    client = OAuthClient("id-1", SecretStr("hidden"), "https://vercel.com", "keytide")
    vercel = replace(flow, oauth=VercelProvider.oauth, client=client)

    url = vercel.authorize_url(state=SecretStr("s"), verifier=VERIFIER, redirect_uri=CALLBACK)

    assert url == "https://vercel.com/integrations/keytide/new?state=s"


# --- the code ------------------------------------------------------------------------------------------


def test_a_code_becomes_a_token_that_knows_when_it_ends(flow: OAuthFlow, acme: Acme) -> None:
    acme.oauth.lifetime = 3600

    credentials = exchange(flow, let_in(flow))

    assert credentials.access_token.get_secret_value() in acme.tokens
    assert credentials.refresh_token is not None
    assert credentials.expires_at == NOW + timedelta(hours=1)


def test_a_token_of_a_provider_that_names_no_end_has_none(flow: OAuthFlow) -> None:
    credentials = exchange(flow, let_in(flow))

    assert (credentials.refresh_token, credentials.expires_at) == (None, None)


def test_what_vercel_says_about_the_installation_is_kept(flow: OAuthFlow, acme: Acme) -> None:
    acme.oauth.extra = {"team_id": "team_1", "installation_id": "icfg_1", "user_id": "usr_1"}
    vercel = replace(flow, oauth=replace(ACME, credentials=VercelOAuth))

    credentials = exchange(vercel, let_in(vercel))

    assert isinstance(credentials, VercelOAuth)
    assert (credentials.team_id, credentials.installation_id) == ("team_1", "icfg_1")


def test_credentials_come_back_from_their_sealed_form_as_they_were(flow: OAuthFlow, acme: Acme) -> None:
    acme.oauth.lifetime = 3600
    credentials = exchange(flow, let_in(flow))

    again = OAuthCredentials.model_validate_json(credentials.reveal().get_secret_value())

    assert again == credentials


def test_a_code_serves_once(flow: OAuthFlow) -> None:
    code = let_in(flow)
    exchange(flow, code)

    with pytest.raises(CredentialsRejected, match="invalid_grant"):
        exchange(flow, code)


def test_a_code_is_worth_nothing_without_the_verifier(flow: OAuthFlow) -> None:
    code = let_in(flow)

    with pytest.raises(CredentialsRejected, match="invalid_grant"):
        exchange(flow, code, verifier=SecretStr("somebody-elses-verifier"))


def test_a_wrong_registration_is_not_taken_for_wrong_credentials(flow: OAuthFlow) -> None:
    wrong = replace(flow, client=replace(flow.client, secret=SecretStr("wrong-client-secret")))

    with pytest.raises(RequestRejected, match="401 invalid_client"):
        exchange(wrong, let_in(flow))


def test_an_error_repeats_neither_the_description_nor_what_was_sent(flow: OAuthFlow) -> None:
    code = SecretStr("plain-text-of-a-code")

    with pytest.raises(CredentialsRejected) as caught:
        exchange(flow, code)

    told = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    for hidden in ("script", code.get_secret_value(), CLIENT_SECRET, VERIFIER.get_secret_value()):
        assert hidden not in told


def test_an_unknown_error_code_is_not_repeated(flow: OAuthFlow, acme: Acme) -> None:
    acme.fail_next(Reply(Response(400, {"error": "<b>you sent plain-text-of-a-code</b>"})))

    with pytest.raises(RequestRejected) as caught:
        exchange(flow, SecretStr("plain-text-of-a-code"))

    assert str(caught.value) == "Acme answered 400."


@pytest.mark.parametrize("body", [{}, {"access_token": ""}, {"access_token": ["t"]}, ["t"], "t"])
def test_an_answer_without_a_token_is_an_error(flow: OAuthFlow, acme: Acme, body: object) -> None:
    acme.fail_next(Reply(Response(200, body)))

    with pytest.raises(UnexpectedAnswer, match="without an access token"):
        exchange(flow, SecretStr("code"))


def test_a_lost_answer_is_transient(flow: OAuthFlow, acme: Acme) -> None:
    code = let_in(flow)
    acme.fail_next(Drop(applied=True))

    with pytest.raises(Unreachable):
        exchange(flow, code)


def test_nothing_shows_in_the_text_of_a_flow_or_of_credentials(flow: OAuthFlow, acme: Acme) -> None:
    acme.oauth.lifetime = 3600

    credentials = exchange(flow, let_in(flow))

    shown = f"{flow!r} {credentials!r} {credentials.model_dump_json()}"
    assert CLIENT_SECRET not in shown
    assert "emulated-" not in shown


# --- afterwards ----------------------------------------------------------------------------------------


def test_a_refresh_replaces_both_tokens_and_keeps_the_team(flow: OAuthFlow, acme: Acme) -> None:
    acme.oauth.lifetime = 3600
    first = exchange(flow, let_in(flow)).model_copy(update={"team_id": "team_1"})

    renewed = flow.refresh(first, now=NOW + timedelta(hours=1))

    assert renewed.access_token.get_secret_value() in acme.tokens
    assert first.access_token.get_secret_value() not in acme.tokens
    assert renewed.refresh_token != first.refresh_token
    assert renewed.expires_at == NOW + timedelta(hours=2)
    assert renewed.team_id == "team_1"


def test_a_refresh_token_that_is_not_replaced_is_kept(flow: OAuthFlow, acme: Acme) -> None:
    acme.oauth.lifetime = 3600
    first = exchange(flow, let_in(flow))
    acme.fail_next(Reply(Response(200, {"access_token": "another", "expires_in": 60})))

    renewed = flow.refresh(first, now=NOW)

    assert renewed.access_token.get_secret_value() == "another"
    assert renewed.refresh_token == first.refresh_token


def test_a_permission_that_was_taken_back_rejects_the_credentials(flow: OAuthFlow, acme: Acme) -> None:
    acme.oauth.lifetime = 3600
    credentials = exchange(flow, let_in(flow))
    acme.oauth.refuse_refreshes()

    with pytest.raises(CredentialsRejected, match="invalid_grant"):
        flow.refresh(credentials, now=NOW)


def test_revoking_ends_the_tokens(flow: OAuthFlow, acme: Acme) -> None:
    acme.oauth.lifetime = 3600
    credentials = exchange(flow, let_in(flow))

    assert flow.revoke(credentials)

    assert acme.tokens == set()


def test_where_tokens_cannot_be_revoked_no_call_is_made(flow: OAuthFlow, acme: Acme) -> None:
    credentials = exchange(flow, let_in(flow))
    acme.forget_calls()

    assert not replace(flow, oauth=replace(ACME, revoke_path=None)).revoke(credentials)

    assert acme.calls == []
