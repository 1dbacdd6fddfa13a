from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from pydantic import SecretStr

from shared.runtime import Runtime
from shared.usecases.tokens import Caller, Scope, authenticate
from tests.fakes.netlify import FakeNetlify
from tests.fakes.oauth import CLIENT_ID, CLIENT_SECRET
from tests.fakes.railway import FakeRailway
from tests.fakes.vercel import FakeVercel
from tests.shared.usecases.world import World
from tests.support import ManualClock, RecordingBroker, create_token

# A busy machine must not make a property false.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def world(runtime: Runtime, railway: FakeRailway, broker: RecordingBroker, clock: ManualClock) -> World:
    """A project and a connection to Railway, with nothing in them yet."""
    return World(runtime, railway, broker, clock)


@pytest.fixture
def here(runtime: Runtime, netlify: FakeNetlify, vercel: FakeVercel) -> Runtime:
    """A server that is registered with Netlify and Vercel."""
    registered = runtime.settings.model_copy(
        update={
            "netlify_client_id": CLIENT_ID,
            "netlify_client_secret": SecretStr(CLIENT_SECRET),
            "netlify_site_url": "http://netlify.test",
            "vercel_client_id": CLIENT_ID,
            "vercel_client_secret": SecretStr(CLIENT_SECRET),
            "vercel_integration_slug": "demo",
            "vercel_site_url": "http://vercel.test",
        }
    )
    return replace(runtime, settings=registered)


@pytest.fixture
def caller(runtime: Runtime) -> Caller:
    """Somebody who may connect a provider."""
    token = create_token(runtime, "somebody", [Scope.WRITE])
    return authenticate(runtime, token.get_secret_value())
