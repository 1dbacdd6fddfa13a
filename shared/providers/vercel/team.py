"""A team's shared variables."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import RequestRejected
from shared.plan import Create, Update
from shared.providers.http import maps_in, texts_in
from shared.providers.vercel.api import EXISTS, Failures, VercelApi
from shared.providers.vercel.config import ALL_CUSTOM, VercelTeamConfig
from shared.providers.vercel.destination import VercelDestination
from shared.providers.vercel.records import TITLE, Record, records_of, system_environments


class VercelTeamDestination(VercelDestination):
    """A team's shared variables for some environments, linked to some projects."""

    batch_size = 50

    def __init__(self, api: VercelApi, config: VercelTeamConfig) -> None:
        super().__init__(api, config.place, sensitive=config.sensitive)
        self._projects = frozenset(config.target_projects or ())

    def _list(self) -> tuple[list[Record], str | None]:
        records: dict[str, Record] = {}
        for page in self._api.pages("/v1/env", cursor="until"):
            items = maps_in(page.get("data"), TITLE)
            records |= {each.id: each for each in map(self._api.record, items)}
        return [record for record in records.values() if self._place & record.reach], None

    def _foreign(self, records: Sequence[Record]) -> str | None:
        # A name and an environment can be shared once in a team, whichever projects are linked to it.
        if any(record.projects != self._projects for record in records):
            return "the team's variable of that name is linked to other projects than targetProjects names"
        return super()._foreign(records)

    def _path(self, record: Record) -> str:
        return f"/v1/env/{record.id}"

    def _put(self, changes: Sequence[Create | Update]) -> tuple[list[Record], Failures]:
        updates = [change for change in changes if isinstance(change, Update)]
        creates = [change for change in changes if isinstance(change, Create)]
        created, failures = self._created(creates) if creates else ([], Failures({}))
        # There is no upsert for a team: what a lost answer left behind already is updated instead.
        updates += self._existing([change for change in creates if failures.of(change.key)])
        updated, more = self._updated(updates) if updates else ([], Failures({}))
        settled = {update.key for update in updates}
        reasons = {name: why for name, why in failures.reasons.items() if name not in settled}
        return created + updated, Failures({**reasons, **more.reasons})

    def _created(self, creates: Sequence[Create]) -> tuple[list[Record], Failures]:
        values = [{"key": each.key, "value": each.desired.value.get_secret_value()} for each in creates]
        body = {
            "evs": values,
            "type": self._type(creates[0]),
            "target": system_environments(self._place),
            **({"projectId": sorted(self._projects)} if self._projects else {}),
            **({"applyToAllCustomEnvironments": True} if ALL_CUSTOM in self._place else {}),
        }
        try:
            answer = self._api.write("POST", "/v1/env", body)
        except RequestRejected as error:
            if (error.code or "").lower() != EXISTS:
                raise
            return [], Failures({each.key: f"Vercel refused it ({error.code})" for each in creates})
        return self._records(answer.get("created")), self._api.failures(answer)

    def _existing(self, creates: Sequence[Create]) -> list[Update]:
        """Return updates for those of *creates* that turn out to be there, and to be ours."""
        remotes = self.pull().remotes if creates else {}
        found = [Update(each.key, each.desired, remotes[each.key]) for each in creates if each.key in remotes]
        return [each for each in found if each.remote.locked is None and self._why_not(each) is None]

    def _updated(self, updates: Sequence[Update]) -> tuple[list[Record], Failures]:
        changed: dict[str, Any] = {}
        for update in updates:
            records = records_of(update)
            value = {"value": update.desired.value.get_secret_value()}
            changed |= {record.id: value for record in records}
            changed[records[0].id] = value | self._widened(records)
        return self._patch(changed)

    def _widened(self, records: Sequence[Record]) -> dict[str, Any]:
        """Return what the first of *records* must reach as well, so that together they reach the place."""
        if self._covered_by(records):
            return {}
        missing = self._place.difference(*(record.reach for record in records))
        body: dict[str, Any] = {"target": system_environments(records[0].reach | missing)}
        return body | ({"applyToAllCustomEnvironments": True} if ALL_CUSTOM in missing else {})

    def _narrow(self, records: Sequence[Record]) -> tuple[set[str], Failures]:
        changed: dict[str, Any] = {}
        for record in records:
            changed[record.id] = {"target": system_environments(record.reach - self._place)}
            if ALL_CUSTOM in record.reach & self._place:
                changed[record.id]["applyToAllCustomEnvironments"] = False
        updated, failures = self._patch(changed)
        return {record.id for record in updated if not record.reach & self._place}, failures

    def _patch(self, changed: Mapping[str, Any]) -> tuple[list[Record], Failures]:
        answer = self._api.write("PATCH", "/v1/env", {"updates": changed})
        return self._records(answer.get("updated")), self._api.failures(answer)

    def _records(self, items: Any) -> list[Record]:
        return [self._api.record(item) for item in maps_in(items or [], TITLE)]

    def _delete(self, ids: Sequence[str]) -> tuple[set[str], Failures]:
        gone: set[str] = set()
        reasons: dict[str, str] = {}
        for start in range(0, len(ids), self.batch_size):
            answer = self._api.write("DELETE", "/v1/env", {"ids": ids[start : start + self.batch_size]})
            gone.update(texts_in(answer.get("deleted") or [], TITLE))
            reasons |= self._api.failures(answer).reasons
        return gone, Failures(reasons)
