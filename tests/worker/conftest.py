import pytest

from shared.runtime import Runtime
from tests.fakes.railway import FakeRailway
from tests.shared.usecases.world import World
from tests.support import ManualClock, RecordingBroker


@pytest.fixture
def world(runtime: Runtime, railway: FakeRailway, broker: RecordingBroker, clock: ManualClock) -> World:
    """A project and a connection to Railway, with nothing in them yet."""
    return World(runtime, railway, broker, clock)
