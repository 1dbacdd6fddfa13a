"""One environment of a project."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.errors import DestinationNotFound, RequestRejected, UnexpectedAnswer
from shared.plan import Create, Update
from shared.providers.http import maps_in, texts_in, unexpected
from shared.providers.vercel.api import Failures, VercelApi
from shared.providers.vercel.config import SYSTEM_ENVIRONMENTS, VercelProjectConfig
from shared.providers.vercel.destination import VercelDestination
from shared.providers.vercel.records import TITLE, Record, reach_of, system_environments


class VercelProjectDestination(VercelDestination):
    """One environment of a project, or the previews of one branch."""

    def __init__(self, api: VercelApi, config: VercelProjectConfig) -> None:
        super().__init__(api, frozenset({config.env}), sensitive=config.sensitive)
        self._config = config
        self._project = f"projects/{config.app}/env"

    def redeploy(self) -> None:
        """Deploy production's last good deployment again. Only production has one that stands for it all."""
        if self._config.env != "production":
            return
        project = self._config.app
        last = self._api.get(
            "/v6/deployments", projectId=project, target="production", state="READY", limit="1"
        )["deployments"]
        if last:
            again = {"name": last[0]["name"], "project": project, "deploymentId": last[0]["uid"]}
            how = {"target": "production", "meta": {"action": "redeploy"}}
            self._api.write("POST", "/v13/deployments", {**again, **how}, forceNew="1")

    def _list(self) -> tuple[list[Record], str | None]:
        records: dict[str, Record] = {}
        unseen = 0
        for page in self._api.pages(f"/v10/{self._project}", cursor="until"):
            unseen += _count(page.get("hiddenProductionEnvCount"))
            records |= {each.id: each for each in map(self._api.record, _listed(page))}
        ours = [each for each in records.values() if self._place & each.reach and self._is_of_branch(each)]
        return ours, f"Vercel hides {unseen} production variables from these credentials" if unseen else None

    def _is_of_branch(self, record: Record) -> bool:
        # A branch has its own records; those without a branch serve all previews and are another place.
        return record.branch == self._config.branch

    def _path(self, record: Record) -> str:
        return f"/v1/{self._project}/{record.id}"

    def _put(self, changes: Sequence[Create | Update]) -> tuple[list[Record], Failures]:
        # With upsert a record of exactly this reach is updated in place; it has to be v10.
        body = self._api.write(
            "POST", f"/v10/{self._project}", [self._entry(change) for change in changes], upsert="true"
        )
        created = body.get("created") or []
        items = maps_in([created] if isinstance(created, dict) else created, TITLE)
        return [self._api.record(item) for item in items], self._api.failures(body)

    def _entry(self, change: Create | Update) -> dict[str, Any]:
        is_system = self._config.env in SYSTEM_ENVIRONMENTS
        return {
            "key": change.key,
            "value": change.desired.value.get_secret_value(),
            "type": self._type(change),
            ("target" if is_system else "customEnvironmentIds"): [self._config.env],
            **({"gitBranch": self._config.branch} if self._config.branch else {}),
        }

    def _delete(self, ids: Sequence[str]) -> tuple[set[str], Failures]:
        try:
            body = self._api.write("DELETE", f"/v1/{self._project}", {"ids": list(ids)})
        except DestinationNotFound:  # the records or the project: the list that follows will tell
            return set(), Failures({})
        return set(texts_in(body.get("ids") or [], TITLE)), Failures({})

    def _narrow(self, records: Sequence[Record]) -> tuple[set[str], Failures]:
        done: set[str] = set()
        reasons: dict[str, str] = {}
        for record in records:
            kept = record.reach - self._place
            custom = sorted(each for each in record.reach if each not in SYSTEM_ENVIRONMENTS)
            body: dict[str, Any] = {"target": system_environments(kept)}
            if custom:
                body["customEnvironmentIds"] = [each for each in custom if each in kept]
            try:
                answer = self._api.write("PATCH", f"/v9/{self._project}/{record.id}", body)
            except RequestRejected as error:
                reasons[record.key] = f"Vercel refused it ({error.code})"
            except DestinationNotFound:  # the record or the project: the list that follows will tell
                continue
            if reach_of(answer) == kept:
                done.add(record.id)
        return done, Failures(reasons)


def _listed(page: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the variables on a page of a project's list."""
    if "envs" not in page and "key" not in page:
        raise UnexpectedAnswer("Vercel's list holds no variables.", provider=TITLE)
    # The declared third form of the answer is a single variable by itself.
    return maps_in(page.get("envs", [page]), TITLE)


def _count(told: Any) -> int:
    if told is not None and type(told) is not int:
        raise unexpected(TITLE)
    return told or 0
