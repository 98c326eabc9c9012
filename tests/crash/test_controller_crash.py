"""A controller killed with -9 at random moments, again and again on the same store.

What was answered is there; what was not is there wholly or not at all; leases and interfaces say the same; the counts
of every pool add up; the log replayed from nothing gives the rows; a request id gets its answer again.
"""

import random
from pathlib import Path

import pytest

from tests.cluster.control import ANN, interface, open_in
from tests.crash.child import encode
from tests.crash.killing import check_log, run_and_kill
from weft.core.state import State
from weft.model.leases import ASSIGNED, COOLING, MAC_SCOPE, RESERVED, ip_scope
from weft.store.store import Store


class Promised:
    """What clients were told so far."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, str]] = {}
        self.answers: dict[str, str] = {}
        self.gone: set[str] = set()
        self.batches: list[list[str]] = []
        self.perhaps_gone: set[str] = set()

    def take(self, lines: list[dict]) -> None:
        for line in lines:
            if "put" in line:
                self.there[line["put"]] = {"mac": line["mac"], "ip": line["ip"]}
                self.answers[line["request"]] = line["body"]
            elif "batch" in line:
                for one in line["batch"]:
                    self.there[one["name"]] = {"mac": one["mac"], "ip": one["ip"]}
            elif "deleted" in line:
                self.gone.add(line["deleted"])
                self.there.pop(line["deleted"])
            elif line.get("kind") == "delete":
                self.perhaps_gone.add(line["name"])
            elif line.get("kind") == "batch":
                self.batches.append([f"{line['name']}-{n}" for n in range(3)])


def check(store: Store, promised: Promised) -> None:
    state = State.load(store.load())
    have = {one.resource_id: one.properties for one in state.all("networkInterfaces")}
    for name, told in promised.there.items():
        if name in have:
            ip = have[name].ip_configurations[0].properties.private_ip_address
            assert {"mac": have[name].private_mac_address, "ip": ip} == told
        else:
            assert name in promised.perhaps_gone, f"{name} was promised"
    assert not promised.gone & have.keys()
    for names in promised.batches:
        assert sum(name in have for name in names) in (0, 3), f"half a batch: {names}"
    check_ledger(state, have)
    check_log(store, state)
    kept = store.answers_of(list(promised.answers))
    assert {request: answer.body.decode() for request, answer in kept.items()} == promised.answers


def check_ledger(state: State, have: dict) -> None:
    """Each interface holds its two addresses, and nobody else holds any."""
    macs = {int(own.private_mac_address, 16): name for name, own in have.items()}
    assigned = {at: lease for at, lease in state.leases(MAC_SCOPE).items() if lease.state == ASSIGNED}
    assert {at: lease.holders[0].ref for at, lease in assigned.items()} == {
        at: f"/networkInterfaces/{name}" for at, name in macs.items()
    }
    leases = state.leases(ip_scope("/virtualNetworks/blue", 4)).values()
    held = [lease for lease in leases if lease.state == ASSIGNED and lease.holders[0].kind == "networkInterface"]
    assert len(held) == len(have)
    for pool in state.addresses.pools.values():
        inside = [one for at, one in state.leases(pool.spec.scope).items() if pool.spec.first <= at <= pool.spec.last]
        for word in (ASSIGNED, COOLING):
            assert pool.used(word) == sum(lease.state == word for lease in inside)
        free = pool.capacity - pool.taken.used
        assert free + sum(map(pool.used, (ASSIGNED, COOLING, RESERVED))) == pool.capacity


@pytest.mark.timeout(300)
def test_killed_at_any_moment_it_keeps_what_it_answered(tmp_path: Path) -> None:
    rng, promised = random.Random(4), Promised()
    for start in range(8):
        promised.take(run_and_kill(tmp_path, start, rng.uniform(0.0, 0.5), at_least=150 * (start % 2)))
        controller = open_in(tmp_path)
        try:
            check(controller._store, promised)
        finally:
            controller.close()
    assert len(promised.there) > 50


async def test_a_retry_after_the_crash_gets_the_first_answer(tmp_path: Path) -> None:
    promised = Promised()
    promised.take(run_and_kill(tmp_path, 0, 0.3, at_least=50))
    controller = open_in(tmp_path)
    revision = controller.state.revision
    name, body = next(iter(promised.answers.items()))
    again = await controller.submit(interface(name), ANN, name, encode(name))
    assert again.answer is not None and again.answer.body.decode() == body
    assert controller.state.revision == revision
    controller.close()
