"""What every action of a person needs: the house's runtime, what there is to act on, and new values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from shared.errors import InputError
from shared.runtime import Runtime
from tests.fakes.service import FakeService
from tests.simulation.database import SimulatedDatabase, rows
from tests.simulation.kernel import Kernel
from tests.simulation.promises import Watch
from tests.simulation.targets import Target


@dataclass
class Person:
    """Somebody who can act. New syncs write to one of *targets*: the fewer, the more they meet."""

    kernel: Kernel
    runtime: Runtime
    database: SimulatedDatabase
    watch: Watch
    services: Mapping[str, FakeService]
    project_id: UUID
    targets: Sequence[Target]
    causes_drift: bool
    connections: dict[str, UUID] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    _minted: int = 0
    _named: int = 0

    def mint(self) -> str:
        """Return a value that nothing else ever had."""
        self._minted += 1
        return f"<{self._minted}>"

    def some_sync(self, condition: str = "1") -> tuple[UUID, str]:
        """Return id and provider of a sync that meets *condition*. Raises ``InputError`` if there is none."""
        found = rows(f"SELECT id, destination FROM syncs WHERE {condition} ORDER BY name")
        if not found:
            raise InputError
        chosen = self.kernel.rng.choice(found)
        return UUID(chosen["id"]), chosen["destination"]

    def held(self, target: Target) -> list[str]:
        """Return the keys that *target* holds."""
        return sorted(self.services[target.service].places()[target.place])
