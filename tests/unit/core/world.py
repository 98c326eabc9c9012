"""A state with a clock and ids that count, for tests of the core: says what is put in the words of the API."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from weft.core.commands import (
    AdvanceMove,
    Batch,
    BeginMove,
    Command,
    Decision,
    Delete,
    EndCoolDowns,
    Preconditions,
    Put,
    SetPower,
)
from weft.core.decide import decide, decide_and_apply
from weft.core.state import State, path_of
from weft.model.errors import Refusal
from weft.model.kinds import BY_NAME
from weft.model.leases import MAC_SCOPE, Lease, ip_scope
from weft.model.resources import AnyResource
from weft.model.values import Now, PackedIp, ip_text, parse_mac


def counted_ids() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"00000000-0000-4000-8000-{number:012d}"


def put_command(ref: str, properties: dict[str, Any], **envelope: Any) -> Put:
    """A Put as the API would make it from a body."""
    path = path_of(ref)
    assert path is not None
    kind = BY_NAME[path.kind.lower()]
    for name, _ in path.below:
        kind = next(child for child in kind.children if child.name.lower() == name.lower())
    when = envelope.pop("when", Preconditions())
    return Put(path, msgspec.convert({**envelope, "properties": properties}, kind.type), when)


class World:
    """Decides and applies, on a state of its own."""

    def __init__(self) -> None:
        self.state = State("test")
        self.now = Now(1000.0, 1_700_000_000.0)
        self._ids = counted_ids()
        self.others_have: dict[str, dict[PackedIp, str]] = {}
        """Provider addresses of hosts, as these tell it: core.taken_addresses.Taken by server."""

    def taken_on(self, server: str) -> dict[PackedIp, str]:
        return self.others_have.get(server, {})

    def new_id(self) -> str:
        return next(self._ids)

    def decide(self, command: Command) -> Decision:
        return decide(self.state, command, self.now, self.new_id, self.taken_on)

    def do(self, command: Command) -> Decision:
        decision = decide_and_apply(self.state, command, self.now, self.new_id, self.taken_on)
        if decision.changes:
            self.state.revision += 1
        return decision

    def put(self, ref: str, properties: dict[str, Any] | None = None, /, **envelope: Any) -> Decision:
        return self.do(put_command(ref, properties or {}, **envelope))

    def delete(self, ref: str, if_match: str | None = None) -> Decision:
        return self.do(self.delete_command(ref, if_match))

    @staticmethod
    def delete_command(ref: str, if_match: str | None = None) -> Delete:
        path = path_of(ref)
        assert path is not None
        return Delete(path, Preconditions(if_match=if_match))

    def batch(self, *commands: Command) -> Decision:
        return self.do(Batch(commands))

    def power(self, machine: str, power: str) -> Decision:
        return self.do(SetPower(machine, power))

    def move(self, machine: str, server: str) -> Decision:
        return self.do(BeginMove(machine, server))

    def advance(self, machine: str, phase: str, generation: int | None = None) -> Decision:
        if generation is None:
            move = self.get(f"/weft/virtualMachines/{machine}").properties.move
            generation = move.generation if move is not None else 0
        return self.do(AdvanceMove(machine, phase, generation))

    def wait(self, seconds: float) -> None:
        """Let ledger time pass and free what has cooled."""
        self.now = Now(self.now.ledger + seconds, self.now.wall + seconds)
        self.do(EndCoolDowns())

    def refused(self, ref: str, properties: dict[str, Any] | None = None, /, **envelope: Any) -> Refusal:
        return self.refuses(put_command(ref, properties or {}, **envelope))

    def refused_delete(self, ref: str, if_match: str | None = None) -> Refusal:
        return self.refuses(self.delete_command(ref, if_match))

    def refuses(self, command: Command) -> Refusal:
        """The refusal of a command; the test fails if it is granted."""
        with pytest.raises(Refusal) as caught:
            self.decide(command)
        assert str(caught.value) == caught.value.message
        return caught.value

    def get(self, ref: str) -> AnyResource:
        found = self.state.find_ref(ref)
        assert found is not None, f"there is no {ref}"
        return found

    def mac_lease(self, text: str) -> Lease | None:
        return self.state.lease(MAC_SCOPE, parse_mac(text))

    def counts(self, pool: str) -> dict[str, int]:
        """Non-zero counts of a pool by state, free included."""
        found = self.state.space(pool)
        assert found is not None
        states = ("assigned", "retained", "cooling", "reserved", "foreign")
        counts = {name: found.used(name) for name in states}
        counts["free"] = found.capacity - sum(counts.values())
        assert counts["free"] == found.capacity - found.taken.used
        return {name: count for name, count in counts.items() if count}

    # -- what most tests begin with

    def fabric(self, pool: tuple[str, str] = ("02-00-00-00-00-00", "02-00-00-00-FF-FF")) -> None:
        """A MAC pool p1, a provider network hnvpa with two subnets, servers h1 and h2."""
        self.put("/macPools/p1", {"startMacAddress": pool[0], "endMacAddress": pool[1]})
        self.put("/logicalNetworks/hnvpa", provider_network())
        for server, adapter in (("h1", "pa1"), ("h2", "pa2")):
            self.put(f"/servers/{server}", server_on(adapter))

    def network(self, name: str = "blue", prefix: str = "10.1.1.0/24") -> None:
        """A virtual network with one subnet `web`."""
        self.put(f"/virtualNetworks/{name}", virtual_network({"web": prefix}))

    def interface(self, name: str, subnet: str = "/virtualNetworks/blue/subnets/web", **more: Any) -> AnyResource:
        return self.put(f"/networkInterfaces/{name}", dynamic_interface(subnet, **more)).resource

    def machine(self, name: str, server: str | None = "h1", power: str = "Off", *interfaces: str) -> AnyResource:
        refs = [{"resourceRef": f"/networkInterfaces/{one}"} for one in interfaces]
        body: dict[str, Any] = {"networkInterfaces": refs, "powerState": power}
        if server is not None:
            body["server"] = {"resourceRef": f"/servers/{server}"}
        return self.put(f"/weft/virtualMachines/{name}", body).resource


def provider_network() -> dict[str, Any]:
    def subnet(name: str, third: int) -> dict[str, Any]:
        base = f"192.168.{third}"
        pool = {"startIpAddress": f"{base}.10", "endIpAddress": f"{base}.20"}
        return {
            "resourceId": name,
            "properties": {
                "addressPrefix": f"{base}.0/24",
                "defaultGateways": [f"{base}.1"],
                "ipPools": [{"resourceId": "pool", "properties": pool}],
            },
        }

    return {"networkVirtualizationEnabled": True, "subnets": [subnet("pa1", 1), subnet("pa2", 2)]}


def server_on(subnet: str) -> dict[str, Any]:
    adapter = {"logicalSubnets": [{"resourceRef": f"/logicalNetworks/hnvpa/subnets/{subnet}"}]}
    return {"networkInterfaces": [{"resourceId": "nic1", "properties": adapter}]}


def virtual_network(subnets: dict[str, Any], space: tuple[str, ...] = ("10.0.0.0/8", "fd00::/32")) -> dict[str, Any]:
    """Subnets as prefix, or as all their properties."""
    entries = [
        {"resourceId": name, "properties": {"addressPrefix": one} if isinstance(one, str) else one}
        for name, one in subnets.items()
    ]
    return {
        "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
        "addressSpace": {"addressPrefixes": list(space)},
        "subnets": entries,
    }


def dynamic_interface(subnet: str | None = "/virtualNetworks/blue/subnets/web", **more: Any) -> dict[str, Any]:
    configurations = []
    if subnet is not None:
        configurations.append({"resourceId": "ip1", "properties": {"subnet": {"resourceRef": subnet}}})
    return {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": configurations, **more}


def static_interface(
    mac: str, subnet: str | None = "/virtualNetworks/blue/subnets/web", ip: str = ""
) -> dict[str, Any]:
    body = dynamic_interface(subnet)
    if ip:
        body["ipConfigurations"][0]["properties"] |= {"privateIPAllocationMethod": "Static", "privateIPAddress": ip}
    return {**body, "privateMacAllocationMethod": "Static", "privateMacAddress": mac}


def provider_address_of(world: World, server: str, network: str) -> str | None:
    """A server's own provider address in a logical network; the lowest, IPv4 first, if it has several."""
    for version, size in ((4, 4), (6, 16)):
        held = world.state.addresses.providing.get((f"/servers/{server.lower()}", ip_scope(network, version), ""))
        if held:
            return ip_text(min(held).to_bytes(size))
    return None


def scope_of(network: str, version: int = 4) -> str:
    return ip_scope(f"/virtualNetworks/{network}", version)
