"""What the promises are about: a run, what it changes at a destination, and what it must not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from tests.simulation.targets import Target

#: What a destination holds.
State = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept, and how."""

    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


@dataclass(frozen=True, slots=True)
class Edit:
    """What one call changed at one place. A value of None: the key is gone. ``before`` None: it was not."""

    service: str
    place: str
    key: str
    value: str | None
    before: str | None

    @property
    def is_loss(self) -> bool:
        """Does the destination no longer have a value that it had?"""
        return self.value is None or (self.value == "" and bool(self.before))

    def __str__(self) -> str:
        return f"{self.service}:{self.place} {self.key}={self.value}"


@dataclass
class Run:
    """One attempt at a job, from its claim on. ``checked`` is the commit of its last look at the lease.

    ``import_behavior`` is how it imports, if it does; ``ours`` is what the ledger said at the claim.
    """

    job_id: UUID
    sync_id: UUID
    fence: int
    kind: str
    target: Target
    generation: int
    approved: str | None
    only_reports: bool
    import_behavior: str | None
    ours: frozenset[str]
    claimed: int
    checked: int
    holds: bool = True
    may_call: bool = True
    has_deleted: bool = False
    has_lost: bool = False
    excluded: set[int] = field(default_factory=set)
    confirmed: set[tuple[str, str]] = field(default_factory=set)

    def __str__(self) -> str:
        return f"job {str(self.job_id)[:8]} (fence {self.fence}) to {self.target}"
