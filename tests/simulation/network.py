"""The network between workers and emulators: it takes time, loses answers, and services have bad days."""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from tests.fakes.service import Drop, Fail, FakeService, Fault, NoAnswer, Reply, Request, Response
from tests.simulation.kernel import Crash, Kernel
from tests.simulation.promises import Watch
from tests.simulation.runs import Edit

#: Seconds a slow request, and its answer, may take. Together they stay within one call's time.
SLOW = (5.0, 25.0)

_FAULTS: tuple[Fault, ...] = (
    Fail(500),
    Fail(503),
    Fail(429),
    Reply(Response(429, {"error": "slow down"}, {"Retry-After": "20"})),
    Drop(applied=False),
    Drop(applied=True),
)


@dataclass
class SimulatedNetwork(httpx.BaseTransport):
    """Carries requests to the emulators. The rates are between 0 and 1."""

    kernel: Kernel
    watch: Watch
    services: Mapping[str, FakeService]
    fault_rate: float = 0.0
    slow_rate: float = 0.0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host.removesuffix(".test")
        service = self.services[name]
        arriving = Request.to(request.method, str(request.url), request.headers.items(), request.read())
        is_write = service.is_write(arriving)
        self.watch.call_begins(is_write=is_write)
        try:
            what = "writes to" if is_write else "asks"
            self.kernel.pause(f"{what} {name} {request.method} {request.url.path}", seconds=self._latency())
        except Crash:
            # What was sent may arrive although nobody waits for the answer.
            if self.kernel.rng.random() < 0.5:
                self._deliver(name, arriving, None)
            raise
        response = self._deliver(name, arriving, self._fault())
        self.kernel.pause(
            f"{name} answers {response.status if response else 'nothing'}",
            seconds=self._latency(),
            may_stall=True,
        )
        if response is None:
            raise httpx.ReadError("no answer", request=request)
        return httpx.Response(
            response.status, headers=response.all_headers, content=response.content, request=request
        )

    def _deliver(self, name: str, request: Request, fault: Fault | None) -> Response | None:
        """Let the service have the request, and return its answer, None if it sends none."""
        service = self.services[name]
        self.watch.call_arrives(is_write=service.is_write(request))
        before = service.places()
        if fault is not None:
            self.kernel.note(f"{name} fails: {fault}")
            service.fail_next(fault)
        try:
            return service.handle(request)
        except NoAnswer:
            return None
        finally:
            self.watch.applied(differences(name, before, service.places()))
            self.watch.call_ends()

    def _latency(self) -> float:
        rng = self.kernel.rng
        if self.slow_rate and rng.random() < self.slow_rate:
            return rng.uniform(*SLOW)
        return rng.uniform(0.01, 0.3)

    def _fault(self) -> Fault | None:
        rng = self.kernel.rng
        return rng.choice(_FAULTS) if self.fault_rate and rng.random() < self.fault_rate else None


def differences(
    service: str, before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]
) -> list[Edit]:
    """Return what changed between two states of a service."""
    return [
        Edit(service, place, key, after.get(place, {}).get(key), before.get(place, {}).get(key))
        for place in sorted(before.keys() | after.keys())
        for key in sorted(before.get(place, {}).keys() | after.get(place, {}).keys())
        if before.get(place, {}).get(key) != after.get(place, {}).get(key)
    ]
