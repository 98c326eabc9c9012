"""Killed while machines are cloned, captured, restored, renewed and exported: every address has its holders still.

What was answered is there; a machine's two interfaces have changed together or not at all; every holder of an address
exists, and everything that names an address holds it; the log replayed from nothing gives the rows.
"""

import random
from pathlib import Path

import pytest

from tests.cluster.control import open_in
from tests.crash.killing import check_log, run_and_kill
from weft.core.state import State
from weft.model.leases import COOLING, MAC_SCOPE, RETAINED, ip_scope
from weft.model.values import parse_mac
from weft.store.store import Store

IP = ip_scope("/virtualNetworks/blue", 4)


class Promised:
    """What clients were told, and what they had asked for and not heard of."""

    def __init__(self) -> None:
        self.machines: dict[str, dict[str, str]] = {}
        self.asked: set[str] = set()
        self.captures: dict[str, dict[str, str]] = {}
        self.perhaps_gone: set[str] = set()
        self.reservations: set[str] = set()

    def take(self, lines: list[dict]) -> None:
        for line in lines:
            if line.get("asked") == "delete":
                self.perhaps_gone.add(line["capture"])
            elif "asked" in line:
                self.asked.add(line["machine"])
            elif "machine" in line:
                self.machines[line["machine"]] = line["own"]
            elif "capture" in line:
                self.captures[line["capture"]] = line["own"]
            elif "reservation" in line:
                self.reservations.add(line["reservation"])
            elif "of" in line:
                self.machines[line["of"]] = line["own"]
                self.asked.discard(line["of"])


def check(store: Store, promised: Promised) -> None:
    state = State.load(store.load())
    for name, told in promised.machines.items():
        found = state.get("virtualMachines", name)
        assert found is not None, f"{name} was promised"
        if name not in promised.asked:
            assert own(state, found) == told
    captured = {one.resource_id for kind in ("checkpoints", "exports") for one in state.all(kind)}
    assert not promised.captures.keys() - captured - promised.perhaps_gone
    assert {one.request_id for one in _properties(state, "reservations")} >= promised.reservations
    check_holders(state)
    check_log(store, state)


def _properties(state: State, kind: str) -> list:
    return [one.properties for one in state.all(kind)]


def own(state: State, machine: object) -> dict[str, str]:
    found = {}
    for at, ref in enumerate(machine.properties.network_interfaces):
        p = state.find_ref(ref.resource_ref).properties
        found[f"mac{at}"] = p.private_mac_address
        found[f"ip{at}"] = p.ip_configurations[0].properties.private_ip_address
    return found


def named(state: State) -> dict[tuple[str, int], set[str]]:
    """Everything that names an address, by the address."""
    wanted: dict[tuple[str, int], set[str]] = {}

    def hold(ref: str, mac: str, address: str | None) -> None:
        if mac:
            wanted.setdefault((MAC_SCOPE, int(parse_mac(mac))), set()).add(ref)
        if address:
            number = int.from_bytes(bytes(map(int, address.split("."))), "big")
            wanted.setdefault((IP, number), set()).add(ref)

    for one in state.all("networkInterfaces"):
        [ip] = one.properties.ip_configurations
        hold(
            f"/networkInterfaces/{one.resource_id}",
            one.properties.private_mac_address,
            ip.properties.private_ip_address,
        )
    for kind, one in [*_named(state, "checkpoints"), *_named(state, "exports")]:
        machine, _, name = one.resource_id.rpartition("~")
        for interface in one.properties.network_interfaces:
            [ip] = interface.ip_addresses
            hold(f"/weft/virtualMachines/{machine}/{kind}/{name}", interface.mac_address, ip.private_ip_address)
    for one in state.all("reservations"):
        for mac in one.properties.addresses:
            hold(f"/weft/reservations/{one.resource_id}", mac, None)
    return wanted


def _named(state: State, kind: str) -> list[tuple[str, object]]:
    return [(kind, one) for one in state.all(kind)]


def check_holders(state: State) -> None:
    wanted = named(state)
    found = {
        (scope, at): {holder.ref for holder in lease.holders}
        for scope in (MAC_SCOPE, IP)
        for at, lease in state.leases(scope).items()
        if lease.state != COOLING
    }
    assert {key: refs for key, refs in found.items() if key in wanted} == wanted
    assert not [key for key in found.keys() - wanted.keys() if key[0] == MAC_SCOPE]
    retained = [lease for lease in state.leases(MAC_SCOPE).values() if lease.state == RETAINED]
    assert all("networkInterface" not in {holder.kind for holder in lease.holders} for lease in retained)


@pytest.mark.timeout(300)
def test_killed_at_any_moment_every_address_has_its_holders(tmp_path: Path) -> None:
    rng, promised = random.Random(5), Promised()
    for start in range(8):
        some = 300 * (start % 2)
        promised.take(run_and_kill(tmp_path, start, rng.uniform(0.05, 0.5), "tests.crash.lives", some))
        controller = open_in(tmp_path)
        try:
            check(controller._store, promised)
        finally:
            controller.close()
    assert len(promised.machines) > 50 and len(promised.captures) > 20
