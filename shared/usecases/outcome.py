"""What a run did so far. It is kept even when the run breaks off: what was written, was written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.plan import Change, Create, Delete, Plan, Update

#: Longest list of key names kept per job and heading.
MAX_NAMES = 1000


@dataclass
class Outcome:
    """Counts and key names, never values.

    ``refused`` and ``missing`` say why the destination lacks a key that the source has: the provider
    refused to take it, or we may not write it. ``overwritten`` are those of the imported keys that the vault
    had before.
    """

    imported: list[str] = field(default_factory=list)
    not_imported: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    plan_hash: str | None = None

    @property
    def wrote(self) -> bool:
        return bool(self.created or self.updated or self.deleted)

    def planned(self, plan: Plan) -> None:
        """Note what *plan* found, before anything is done about it."""
        self.unchanged = len(plan.unchanged)
        self.missing = {skip.key: skip.reason for skip in plan.skipped if skip.wanted}
        self.kept = {skip.key: skip.reason for skip in plan.skipped if not skip.wanted}
        self.drift = list(plan.drift)
        self.plan_hash = plan.hash

    def pushed(self, batch: Iterable[Change], refused: Mapping[str, str]) -> None:
        """Note that the provider confirmed *batch*, except for what it *refused*."""
        self.refused |= refused
        for change in batch:
            if change.key in refused:
                continue
            match change:
                case Create():
                    self.created.append(change.key)
                case Update():
                    self.updated.append(change.key)
                case Delete():
                    self.deleted.append(change.key)

    def shortfall(self) -> str | None:
        """Return what is missing at the destination and why, or None if nothing is."""
        lacking = self.missing | self.refused
        if not lacking:
            return None
        named = "; ".join(f"{key}: {reason}" for key, reason in sorted(lacking.items()))
        done = len(self.created) + len(self.updated) + len(self.deleted) + self.unchanged
        return f"{len(lacking)} of {len(lacking) + done} keys could not be brought in line. {named}."

    def details(self) -> dict[str, Any]:
        """Return what is kept on the job."""
        return {
            "imported": self.imported[:MAX_NAMES],
            "overwritten": self.overwritten[:MAX_NAMES],
            "created": self.created[:MAX_NAMES],
            "updated": self.updated[:MAX_NAMES],
            "deleted": self.deleted[:MAX_NAMES],
            "refused": dict(list((self.missing | self.refused).items())[:MAX_NAMES]),
            "kept": dict(list(self.kept.items())[:MAX_NAMES]),
            "warnings": self.warnings[:MAX_NAMES],
            "drift": self.drift[:MAX_NAMES],
            "planHash": self.plan_hash,
        }
