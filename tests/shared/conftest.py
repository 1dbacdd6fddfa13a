import pytest
from hypothesis import HealthCheck, settings

from shared.runtime import Runtime
from tests.fakes.railway import FakeRailway
from tests.shared.usecases.world import World
from tests.support import ManualClock, RecordingBroker

# A busy machine must not make a property false.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def world(runtime: Runtime, railway: FakeRailway, broker: RecordingBroker, clock: ManualClock) -> World:
    """A project and a connection to Railway, with nothing in them yet."""
    return World(runtime, railway, broker, clock)
