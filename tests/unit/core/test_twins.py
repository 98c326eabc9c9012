"""Who may run beside whom, and what hosts are told of twins and of interfaces without an address."""

import pytest

from tests.unit.core.life import WEB, Life, waiting_interface
from tests.unit.core.world import dynamic_interface, put_command, server_on, static_interface
from weft.core import policy
from weft.core.changes import LeaseChange
from weft.core.commands import (
    Decision,
    Failover,
    MarkMachine,
    NoteSeen,
    ReleaseAddress,
    RemoveServer,
    RenewMac,
    Seen,
    SetPower,
)
from weft.core.conflicts import conflicts
from weft.core.copy_commands import Clone, ImportedInterface, ImportMachine
from weft.core.trace import trace
from weft.model.leases import ASSIGNED, MAC_SCOPE, Holder, Lease
from weft.model.values import pack_ip, parse_mac
from weft.store.rows import concerned_holder

MAC0 = parse_mac("020000000000")


@pytest.fixture
def world() -> Life:
    """web1 runs; web2 is its twin."""
    world = Life("Running")
    world.do(Clone("web1", "web2", "keep", server="h2"))
    return world


@pytest.mark.parametrize("power", ["Off", "Saved"])
def test_a_twin_runs_when_the_other_does_not(world: Life, power: str) -> None:
    refusal = world.refuses(SetPower("web2", "Running"))
    assert (refusal.code, refusal.target) == ("ActiveTwin", "/weft/virtualMachines/web1")
    assert "02-00-00-00-00-00 of /networkInterfaces/web2-eth0" in refusal.message
    world.power("web1", power)
    world.power("web2", "Running")
    assert world.refuses(SetPower("web1", "Running")).target == "/weft/virtualMachines/web2"


def test_an_ip_address_alone_is_reason_enough(world: Life) -> None:
    world.do(RenewMac("web2", "web2-eth0"))
    refusal = world.refuses(SetPower("web2", "Running"))
    assert (refusal.code, "10.1.1.2 of /networkInterfaces/web2-eth0" in refusal.message) == ("ActiveTwin", True)
    world.put("/networkInterfaces/web2-eth0", dynamic_interface(None))
    world.power("web2", "Running")


def test_twins_that_could_meet_already_may_go_on_so(world: Life) -> None:
    world.put("/networkInterfaces/web2-eth0", dynamic_interface(None))
    world.put("/networkInterfaces/web2-eth0", dynamic_interface())
    assert world.mac(0)[1] == ["web1-eth0", "web2-eth0"]
    assert world.refuses(SetPower("web2", "Running")).code == "ActiveTwin"


def test_another_domain_changes_nothing_else_of_a_holder(world: Life) -> None:
    world.network("red")
    world.do(MarkMachine("web2", "gone"))
    world.put("/networkInterfaces/web2-eth0", dynamic_interface("/virtualNetworks/red/subnets/web"))
    lease = world.mac_lease("020000000000")
    assert lease is not None
    assert [(one.domain[17:20], one.inactive, one.granted) for one in lease.holders] == [
        ("blu", 0.0, True),
        ("red", 1000.0, True),
    ]


def test_a_machine_is_not_made_running_by_put_beside_its_twin(world: Life) -> None:
    world.machine("web2", "h2", "Off")
    body = {
        "server": {"resourceRef": "/servers/h2"},
        "networkInterfaces": [{"resourceRef": "/networkInterfaces/web2-eth0"}],
    }
    assert world.refused("/weft/virtualMachines/web3", body | {"powerState": "Running"}).code == "ActiveTwin"
    world.machine("web3", "h2", "Running")
    assert world.refused("/weft/virtualMachines/web3", body).code == "ActiveTwin"


def test_a_twin_of_a_machine_is_no_second_interface_of_it(world: Life) -> None:
    world.machine("web2", "h2", "Off")
    world.power("web1", "Off")
    world.machine("web1", "h1", "Off", "web1-eth0", "web2-eth0")
    assert world.refuses(SetPower("web1", "Running")).target == "/weft/virtualMachines/web1"


def test_a_running_machine_that_fails_over_stays_alone(world: Life) -> None:
    world.do(Failover("web1", "h2"))
    # as two adopted machines would be
    world.do(ImportMachine("web3", "h1", (ImportedInterface("020000000000", (), WEB),), power="Running", adopt=True))
    assert world.refuses(Failover("web1", "h1")).code == "ActiveTwin"


def test_what_a_switch_sees_counts_as_running(world: Life) -> None:
    world.power("web1", "Off")
    world.do(NoteSeen("h2", (Seen(MAC0, "vnet3"),)))
    refusal = world.refuses(SetPower("web1", "Running"))
    assert (refusal.code, refusal.target) == ("ActiveTwin", "/servers/h2/ports/vnet3")
    world.do(NoteSeen("h2"))
    world.power("web1", "Running")


def test_a_stranger_that_is_off_does_not(world: Life) -> None:
    world.power("web1", "Off")
    world.do(NoteSeen("h2", (Seen(MAC0, "pc.id1", off=True),)))
    world.power("web1", "Running")
    found = [one for one in conflicts(world.state) if one.kind == "foreign"]
    assert {one.holders[1] for one in found} == {"/servers/h2/machines/pc.id1"}
    assert all("is off and has it" in one.remedy and "disconnect" not in one.remedy for one in found)
    world.do(NoteSeen("h2", (Seen(MAC0, "pc.id1"),)))
    found = [one for one in conflicts(world.state) if one.kind == "foreign"]
    assert {one.holders[1] for one in found} == {"/servers/h2/ports/pc.id1"}
    assert all("disconnect" in one.remedy for one in found)


def test_a_hosts_own_interface_counts_as_running(world: Life) -> None:
    world.power("web1", "Off")
    body = static_interface("0C0000000009", None) | {"isHostVirtualNetworkInterface": True}
    world.put("/networkInterfaces/own", body)
    before = world.state.lease(MAC_SCOPE, MAC0)
    assert before is not None
    holders = (*before.holders, Holder("networkInterface", "/networkInterfaces/own"))
    world.state.apply(LeaseChange(MAC_SCOPE, MAC0, before, Lease(MAC_SCOPE, MAC0, ASSIGNED, holders), "assigned"))
    refusal = world.refuses(SetPower("web1", "Running"))
    assert (refusal.code, refusal.target) == ("ActiveTwin", "/networkInterfaces/own")


def test_segments_that_adapters_join_are_one_domain(world: Life) -> None:
    def subnet(name: str) -> dict[str, object]:
        return {"resourceId": name, "properties": {"vlanID": 7, "addressPrefix": f"10.{7 + ord(name)}.0.0/24"}}

    world.put("/logicalNetworks/wires", {"subnets": [subnet("a"), subnet("b")]})
    for name in "ab":
        body = static_interface("0C0000000001", f"/logicalNetworks/wires/subnets/{name}", f"10.{7 + ord(name)}.0.5")
        world.put(f"/networkInterfaces/{name}", body)
        world.machine(f"v{name}", "h1", "Off", name)
    world.power("va", "Running")
    world.decide(SetPower("vb", "Running"))
    body = server_on("pa1")
    for name in "ab":
        body["networkInterfaces"][0]["properties"]["logicalSubnets"].append(
            {"resourceRef": f"/logicalNetworks/wires/subnets/{name}"}
        )
    world.put("/servers/h1", body)
    assert world.refuses(SetPower("vb", "Running")).target == "/weft/virtualMachines/va"


# -- what hosts are told


def streams(world: Life) -> dict[object, object]:
    """Every record, compiled from nothing; each must be what its key answers alone."""
    number = world.get("/virtualNetworks/blue").properties.routing_domain_number
    found: dict[object, object] = {}
    for stream, records in (
        (("network", number), policy.network_stream(world.state, number)),
        *((("host", host), policy.host_stream(world.state, host)) for host in ("h1", "h2")),
    ):
        for key, record in records.items():
            found[stream, key] = record
            assert policy.record(world.state, stream, key) == record
    return found


def followed(world: Life, before: dict[object, object], decision: Decision) -> dict[object, object]:
    """The records after a decision; whatever differs was named as touched."""
    after = streams(world)
    touched = policy.touched(world.state, decision.changes)
    differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert differing <= touched
    return after


def lookups(records: dict[object, object]) -> set[tuple[str, object]]:
    return {
        (type(one).__name__, getattr(one, "provider_address", None))
        for one in records.values()
        if type(one).__name__ == "LookupRecord"
    }


def test_the_twin_that_runs_has_the_lookup_record(world: Life) -> None:
    world.interface("n3")
    world.machine("web3", "h1", "Running", "n3")
    records = streams(world)
    assert lookups(records) == {("LookupRecord", pack_ip("192.168.1.10"))}
    assert trace(world.state, "n3", "10.1.1.2").decided_by == "/networkInterfaces/web1-eth0"
    records = followed(world, records, world.power("web1", "Off"))
    stopped = trace(world.state, "n3", "10.1.1.2")
    assert (stopped.delivered, stopped.decided_by) == (False, "/weft/virtualMachines/web1")
    followed(world, records, world.power("web2", "Running"))
    assert trace(world.state, "n3", "10.1.1.2").decided_by == "/networkInterfaces/web2-eth0"


def test_of_two_adopted_with_one_address_one_has_the_record(world: Life) -> None:
    records = streams(world)
    twin = ImportedInterface("0C0000000001", ("10.1.1.2",), WEB)
    for name in ("a", "z"):
        decision = world.do(ImportMachine(name, "h2", (twin,), power="Running", adopt=True))
        records = followed(world, records, decision)
    number = world.get("/virtualNetworks/blue").properties.routing_domain_number
    vsid = world.get("/virtualNetworks/blue").properties.subnets[0].properties.virtual_subnet_id
    record = policy.record(world.state, ("network", number), (5, vsid, pack_ip("10.1.1.2")))
    assert record is not None and record.mac == 0x0C0000000001
    followed(world, records, world.power("a", "Off"))


def test_an_interface_without_an_address_has_no_port_yet(world: Life) -> None:
    world.host_range()
    world.put("/networkInterfaces/w", waiting_interface())
    world.machine("db1", None, "Off", "w")
    assert trace(world.state, "w", "10.1.1.2").decided_by == "/weft/virtualMachines/db1"
    records = streams(world)
    records = followed(world, records, world.do(Failover("db1", "h2")))
    assert any(getattr(one, "network_interface", "") == "w" for one in records.values())
    # adopted with zeros: it runs, and nobody knows with what
    world.interface("n3")
    world.machine("web3", "h1", "Running", "n3")
    zeros = ImportedInterface("00-00-00-00-00-00", ("10.1.1.99",), WEB)
    records = streams(world)
    decision = world.do(ImportMachine("odd", "h2", (zeros,), power="Running", adopt=True))
    records = followed(world, records, decision)
    assert not any(getattr(one, "network_interface", "") == "odd-eth0" for one in records.values())
    assert trace(world.state, "odd-eth0", "10.1.1.2").reason == "odd-eth0 has no MAC address yet, so it has no port"
    assert "odd-eth0 has no MAC address yet" in trace(world.state, "n3", "10.1.1.99").reason


def test_a_machine_adopted_without_an_ip_address_needs_its_network(world: Life) -> None:
    world.network("red")
    number = world.get("/virtualNetworks/red").properties.routing_domain_number
    alone = ImportedInterface("0C0000000001", (), "/virtualNetworks/red/subnets/web")
    decision = world.do(ImportMachine("odd", "h2", (alone,), power="Running", adopt=True))
    touched = policy.touched(world.state, decision.changes)
    assert (("host", "h2"), (12, number)) in touched
    assert policy.record(world.state, ("host", "h2"), (12, number)) is not None
    assert followed(world, streams(world), world.power("odd", "Off"))


def test_each_address_of_an_interface_has_its_record(world: Life) -> None:
    body = dynamic_interface()
    other = {"resourceId": "ip2", "properties": {"subnet": {"resourceRef": WEB}}}
    world.put("/networkInterfaces/n3", {**body, "ipConfigurations": [*body["ipConfigurations"], other]})
    before = streams(world)
    decision = world.do(put_command("/weft/virtualMachines/db1", RUNNING))
    after = followed(world, before, decision)
    assert len(after.keys() - before.keys()) == 4, "two lookup records, a port and a machine"


RUNNING = {
    "server": {"resourceRef": "/servers/h1"},
    "networkInterfaces": [{"resourceRef": "/networkInterfaces/n3"}],
    "powerState": "Running",
}


def test_a_template_is_told_to_no_host(world: Life) -> None:
    records = streams(world)
    assert followed(world, records, world.do(Clone("web1", "gold", is_template=True))) == records


def test_release_frees_also_an_interface_whose_machine_is_gone(world: Life) -> None:
    """Marks are taken from what leaves an inactive machine; one from an older state must not stay for ever."""
    world.machine("web1", "h1", "Off")
    world.machine("web2", "h2", "Off")
    before = world.state.lease(MAC_SCOPE, MAC0)
    assert before is not None
    holders = tuple(Holder(one.kind, one.ref, one.domain, one.granted, 5.0) for one in before.holders)
    world.state.apply(LeaseChange(MAC_SCOPE, MAC0, before, Lease(MAC_SCOPE, MAC0, ASSIGNED, holders), "inactive"))
    world.do(ReleaseAddress(MAC_SCOPE, MAC0, "scrap"))
    assert world.state.find_ref("/networkInterfaces/web1-eth0") is None
    assert world.mac(0)[0] == "cooling"


# -- what the history says of twins


def told(decision: Decision) -> list[tuple[str, str, str]]:
    """(Event, holder, machine) of the MAC address, as the store writes them."""
    leases = [one for one in decision.changes if isinstance(one, LeaseChange) and one.scope == MAC_SCOPE]
    return [(one.event, concerned_holder(one), one.machine) for one in leases]


def test_a_twin_that_moves_is_named_with_its_own_machine() -> None:
    life = Life()
    life.do(Clone("web1", "web2", "keep"))
    assert told(life.do(Failover("web2", "h2"))) == [("moved", "/networkInterfaces/web2-eth0", "web2")]


def test_twins_that_lose_their_host_together_have_an_event_each() -> None:
    life = Life()
    life.do(Clone("web1", "web2", "keep"))
    assert told(life.do(RemoveServer("h1"))) == [
        ("inactive", "/networkInterfaces/web1-eth0", "web1"),
        ("inactive", "/networkInterfaces/web2-eth0", "web2"),
    ]
    assert life.inactive("web1-eth0") == life.inactive("web2-eth0") == {1000.0}
    assert told(life.do(ReleaseAddress(MAC_SCOPE, MAC0, "scrap"))) == [
        ("released", "/networkInterfaces/web1-eth0", "web1"),
        ("released", "/networkInterfaces/web2-eth0", "web2"),
    ]
    assert life.mac(0)[0] == "cooling"
