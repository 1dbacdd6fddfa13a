"""People at the providers' own pages: they write and delete variables, and revoke credentials."""

from typing import Any

from shared.db.connections import Connection
from shared.usecases import connections
from tests.fakes.flyio import FakeFlyio
from tests.fakes.netlify import FakeNetlify
from tests.fakes.railway import FakeRailway
from tests.fakes.service import FakeService
from tests.fakes.vercel import SYSTEM, FakeVercel
from tests.simulation.editors import KEYS
from tests.simulation.person import Person
from tests.simulation.targets import CREDENTIALS, Target

#: Names that the vault does not have, and some that only a key schema gives.
STRANGE_KEYS = ("HAND_0", "HAND_1", "HAND_2", "APP_HAND_0", "APP_ALPHA", "WEB_BETA", "production_GAMMA")


class Stranger(Person):
    """Changes what the providers hold and whom they let in."""

    # --- variables -------------------------------------------------------------------------------------

    def write_by_hand(self) -> None:
        """Write a key at a destination: one of ours, one outside of everybody's schema, or a new one."""
        rng = self.kernel.rng
        target = rng.choice(self.targets)
        key = rng.choice([*self.held(target), *STRANGE_KEYS])
        self._put(target, key)

    def settle_in(self) -> None:
        """Fill the destinations before anybody syncs to them: with keys of the vault's and with others."""
        rng = self.kernel.rng
        for target in self.targets:
            for key in rng.sample((*KEYS, *STRANGE_KEYS), rng.choice((0, 2, 5))):
                self._put(target, key)

    def delete_by_hand(self) -> None:
        rng = self.kernel.rng
        target = rng.choice(self.targets)
        held = self.held(target)
        if held:
            key = rng.choice(held)
            remove(self.services[target.service], target.place, key)
            self.kernel.note(f"deletes {key} at {target}")
            self.watch.remember_states()

    def meddle(self) -> None:
        """Change and delete something everywhere."""
        for target in self.targets:
            self._put(target, self.kernel.rng.choice((*self.held(target), *STRANGE_KEYS)))
            self.delete_by_hand()

    def refuse_key(self) -> None:
        """Let a service refuse a key from now on, or accept all again."""
        service = self.services[self.kernel.rng.choice(sorted(self.services))]
        service.refused = set() if service.refused else {self.kernel.rng.choice(KEYS)}

    def _put(self, target: Target, key: str) -> None:
        # Some texts would come alive in the vault, and an empty one is no reason to lose a full one.
        text = self.kernel.rng.choices((f"by hand {self.mint()}", "by hand ${ALPHA}", ""), (6, 3, 1))[0]
        service = self.services[target.service]
        put(service, target, key, text)
        if isinstance(service, FakeVercel) and target.shows_values and self.kernel.rng.random() < 0.3:
            widen(service, target.place, key)
        self.kernel.note(f"writes {key}={text} at {target}")
        self.watch.remember_states()

    # --- credentials -----------------------------------------------------------------------------------

    def connect(self) -> None:
        """Store a connection for each service."""
        for name, (method, field_name, token) in CREDENTIALS.items():
            draft = connections.ConnectionDraft(name, name, method, {field_name: token})
            row: Connection = connections.create_connection(self.runtime, draft)
            self.connections[name] = row.id

    def revoke_credentials(self) -> None:
        name = self.kernel.rng.choice(sorted(CREDENTIALS))
        revoked = self._tokens_of(name).pop(CREDENTIALS[name][2], None)
        self.tokens[name] = revoked or self.tokens[name]

    def renew_credentials(self) -> None:
        self.renew(self.kernel.rng.choice(sorted(CREDENTIALS)))

    def renew_what_was_revoked(self) -> None:
        """Store new credentials where the old ones do not work any more, and nowhere else."""
        for name in sorted(self.tokens):
            if CREDENTIALS[name][2] not in self._tokens_of(name):
                self.renew(name)

    def renew(self, name: str) -> None:
        """Let the provider accept the token again, and store it again."""
        _, field_name, token = CREDENTIALS[name]
        if name in self.tokens:
            self._tokens_of(name)[token] = self.tokens[name]
        connections.update_connection(
            self.runtime, name, self.connections[name], credentials={field_name: token}
        )

    def _tokens_of(self, name: str) -> dict[str, Any]:
        service = self.services[name]
        assert isinstance(service, FakeRailway | FakeFlyio | FakeNetlify | FakeVercel)
        tokens: dict[str, Any] = service.tokens
        return tokens


def put(service: FakeService, target: Target, key: str, value: str) -> None:
    """Write a variable as a person does in the service's own pages."""
    match service:
        case FakeNetlify():
            # A readable one would be in the way of a sync that keeps secrets there, and rightly so.
            service.put(target.place, {key: value}, is_secret=not target.shows_values)
        case FakeVercel() if key not in service.places()[target.place] and not target.shows_values:
            owner, environment = target.place.split("/")
            service.add(owner, key, value, environment, type="sensitive")
        case _:
            service.seed(target.place, {key: value})


def widen(service: FakeVercel, place: str, key: str) -> None:
    """Let a variable's record reach every system environment that has none of that name yet."""
    owner, _ = place.split("/")
    held = service.places()
    record = service.record_at(place, key)
    record.reach |= {each for each in SYSTEM if key not in held[f"{owner}/{each}"]}


def remove(service: FakeService, place: str, key: str) -> None:
    """Delete a variable as a person does in the service's own pages."""
    match service:
        case FakeRailway():
            service.variables[place].pop(key)
        case FakeFlyio():
            service.apps[place].secrets.pop(key)
            service.apps[place].version += 1
        case FakeVercel():
            service.remove(place, key)
        case FakeNetlify():
            account, site, context = place.split("/", 2)
            held = service.variables[account, site][key]
            held["values"] = [value for value in held["values"] if value["context"] != context]
            if not held["values"]:
                del service.variables[account, site][key]
