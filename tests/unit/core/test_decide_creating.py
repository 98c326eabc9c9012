"""CreateMachine and its phases: all is granted with the machine, and all goes with it."""

from typing import Any

import msgspec
import pytest

from tests.unit.core.world import World, virtual_network
from weft.core.commands import (
    AdvanceCreation,
    BeginRemoval,
    CreateMachine,
    Failover,
    MarkMachine,
    NewInterface,
    Preconditions,
    SetPower,
)
from weft.core.copy_commands import TakeCheckpoint
from weft.core.decide.granting import STRATEGIES
from weft.core.host_facts import NoteProviderNetwork
from weft.core.policy import host_stream
from weft.model.fabric import ServerProviderNetwork, TunnelEncryption
from weft.model.hypervisor import Disk, Hardware
from weft.model.records import Machine
from weft.model.workload import HypervisorIdentity

WEB = "/virtualNetworks/blue/subnets/web"
VM = "/weft/virtualMachines/web1"
ONE = CreateMachine("web1", "h1", interfaces=(NewInterface(WEB),))


@pytest.fixture
def world() -> World:
    made = World()
    made.fabric()
    made.network()
    return made


def properties(world: World) -> Any:
    return world.get(VM).properties


def record(world: World, server: str = "h1") -> Machine | None:
    found = [one for one in host_stream(world.state, server).values() if isinstance(one, Machine)]
    return found[0] if found else None


def begun(world: World, command: CreateMachine = ONE) -> int:
    """The generation of a creation."""
    world.do(command)
    return int(properties(world).creation.generation)


def phase(world: World, name: str, generation: int, **more: Any) -> None:
    world.do(AdvanceCreation("web1", name, generation, **more))


def test_all_is_granted_at_once_and_the_host_is_to_define_it(world: World) -> None:
    revision = world.state.revision
    decision = world.do(ONE)
    assert decision.outcome == "created"
    p = properties(world)
    assert (p.creation.phase, p.creation.generation, p.power_state) == ("defining", revision + 1, "Off")
    assert [ref.resource_ref for ref in p.network_interfaces] == ["/networkInterfaces/web1-eth0"]
    made = record(world)
    assert made is not None
    assert (made.power, made.hardware, made.hypervisor_id) == ("Off", Hardware(), "")
    assert made.macs[0] == int(world.get("/networkInterfaces/web1-eth0").properties.private_mac_address, 16)


def test_it_starts_when_its_host_knows_it_and_then_it_is_made(world: World) -> None:
    generation = begun(world)
    phase(world, "starting", generation, hypervisor=HypervisorIdentity(type="libvirt", id="u-1"))
    p, made = properties(world), record(world)
    assert (p.creation.phase, p.power_state, p.hypervisor.id) == ("starting", "Running", "u-1")
    assert made is not None and (made.power, made.hypervisor_id) == ("Running", "u-1")
    phase(world, "done", generation)
    assert (properties(world).creation, properties(world).power_state) == (None, "Running")


def test_disks_are_made_once(world: World) -> None:
    """Another host that defines the machine must find them: a blank one in their place would be worse."""
    disks = (Disk("/vm/a.qcow2", 20, "/vm/golden.qcow2"),)
    generation = begun(world, CreateMachine("web1", "h1", hardware=Hardware(cpu=2, disks=disks)))
    made = record(world)
    assert made is not None and made.hardware == Hardware(cpu=2, disks=disks)
    phase(world, "done", generation, hypervisor=HypervisorIdentity(type="libvirt", id="u-1"))
    world.do(Failover("web1", "h2"))
    there = record(world, "h2")
    assert there is not None and there.hardware == Hardware(cpu=2, disks=(Disk("/vm/a.qcow2"),))
    assert properties(world).hardware.disks == disks


def test_it_may_stay_off(world: World) -> None:
    generation = begun(world, CreateMachine("web1", "h1", start=False))
    phase(world, "done", generation, hypervisor=HypervisorIdentity(type="hyperv", id="u-1"))
    p = properties(world)
    assert (p.creation, p.power_state, p.hypervisor.id) == (None, "Off", "u-1")


@pytest.mark.parametrize("at", ["defining", "starting"])
def test_what_is_undone_leaves_nothing(world: World, at: str) -> None:
    before = world.counts("/macpools/p1")
    generation = begun(world)
    if at == "starting":
        phase(world, at, generation)
    phase(world, "undoing", generation, failure="no memory")
    made = record(world)
    assert made is not None and made.power == "Absent"
    assert (properties(world).creation.failure, properties(world).power_state) == ("no memory", "Off")
    phase(world, "undone", generation)
    assert world.state.get("virtualMachines", "web1") is None
    assert world.state.get("networkInterfaces", "web1-eth0") is None
    assert record(world) is None
    after = world.counts("/macpools/p1")
    assert (after.get("assigned"), after["cooling"]) == (before.get("assigned"), 1)


def test_what_a_version_of_before_began_to_make_is_the_same_machine(world: World) -> None:
    """Digests that are stored; whoever changes one refuses a `weft vm create` that is repeated after an upgrade."""
    begun(world)
    assert properties(world).made_as == "8c7444e31c143440ce105ad4"
    hardware = Hardware(2, 2048, (Disk("/d/a.qcow2", 20, "/d/golden.qcow2"),), "br0", "/k", "/i", "quiet", 1, "/m")
    interfaces = (NewInterface(WEB, "10.1.1.77", "02-00-00-00-00-77", "central"), NewInterface(WEB))
    world.put("/weft/clusters/c1", {"servers": [{"resourceRef": "/servers/h1"}]})
    world.do(CreateMachine("full", "", "c1", hardware, interfaces, start=False, without_define=frozenset(["h1"])))
    assert world.get("/weft/virtualMachines/full").properties.made_as == "1e8302d3b1e2a4f4f7099964"


def test_the_same_again_is_answered_whatever_hosts_tell_by_now(world: World) -> None:
    begun(world)
    some = frozenset(["h1", "h2"])
    told = {"connected": some, "away": some, "silent": some, "without_define": some, "kinds": {"h1": "libvirt"}}
    asked = {"name", "server", "cluster", "hardware", "interfaces", "start"}
    assert set(CreateMachine.__struct_fields__) == asked | set(told), "is it asked for? then it is hashed"
    assert world.decide(msgspec.structs.replace(ONE, **told)).outcome == "unchanged"


def test_the_same_again_is_answered_and_another_refused(world: World) -> None:
    generation = begun(world)
    again = world.decide(CreateMachine("WEB1", "h1", interfaces=(NewInterface(WEB),), connected=frozenset(["h1"])))
    assert (again.outcome, again.resource) == ("unchanged", world.get(VM))
    assert world.refuses(CreateMachine("web1", "h2", interfaces=(NewInterface(WEB),))).code == "AlreadyExists"
    phase(world, "done", generation)
    assert world.decide(ONE).outcome == "unchanged"
    # what is put over it stays the machine that was made
    world.put(
        VM,
        {
            "server": {"resourceRef": "/servers/h1"},
            "networkInterfaces": [{"resourceRef": "/networkInterfaces/web1-eth0"}],
        },
    )
    assert world.decide(ONE).outcome == "unchanged"


@pytest.mark.parametrize(
    ("command", "code", "target"),
    [
        (CreateMachine("web1"), "InvalidParameterValue", "server"),
        (CreateMachine("web1", "h1", "c1"), "InvalidParameterValue", "server"),
        (CreateMachine("web1", "none"), "InvalidResourceReference", "server"),
        (CreateMachine("web1", "H1", away=frozenset(["h1"])), "ServerNotReady", "/servers/h1"),
        (CreateMachine("web1", "H1", silent=frozenset(["h1"])), "ServerNotReady", "/servers/h1"),
        (CreateMachine("web1", cluster="none"), "InvalidResourceReference", "cluster"),
        (CreateMachine("w~b", "h1"), "InvalidResourceName", None),
        (CreateMachine("web1", "h1", hardware=Hardware(cpu=0)), "InvalidParameterValue", "hardware.cpu"),
        (
            CreateMachine("web1", "h1", interfaces=(NewInterface("/virtualNetworks/blue/subnets/none"),)),
            "InvalidResourceReference",
            "networks[0].subnet",
        ),
        (
            CreateMachine("web1", "h1", interfaces=(NewInterface(WEB), NewInterface(WEB, strategy="best"))),
            "InvalidParameterValue",
            "networks[1].strategy",
        ),
        (
            CreateMachine("web1", "h1", interfaces=(NewInterface(WEB, "10.9.9.9"),)),
            "PrivateIPAddressNotInSubnet",
            "networks[0].privateIPAddress",
        ),
    ],
)
def test_a_wrong_one_is_refused_with_nothing_granted(
    world: World, command: CreateMachine, code: str, target: str | None
) -> None:
    before = world.counts("/macpools/p1")
    refusal = world.refuses(command)
    assert refusal.code == code
    assert target is None or refusal.target == target
    assert world.counts("/macpools/p1") == before


def test_addresses_may_be_asked_for(world: World) -> None:
    begun(world, CreateMachine("web1", "h1", interfaces=(NewInterface(WEB, "10.1.1.77", "02-00-00-00-00-77"),)))
    p = world.get("/networkInterfaces/web1-eth0").properties
    assert (p.private_mac_address, p.private_mac_allocation_method) == ("020000000077", "Static")
    (one,) = p.ip_configurations
    assert (one.properties.private_ip_address, one.properties.private_ip_allocation_method) == ("10.1.1.77", "Static")


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_strategy_is_kept_with_the_interface(world: World, strategy: str) -> None:
    if strategy == "hostrange":
        world.put("/weft/addressPlans/plan1", {"prefix": "0A-15-5D"})
        plan = {"addressPlan": {"resourceRef": "/weft/addressPlans/plan1"}, "clusterNumber": 1}
        world.put("/servers/h3", plan)
    begun(
        world,
        CreateMachine(
            "web1", "h3" if strategy == "hostrange" else "h1", "", None, (NewInterface(WEB, strategy=strategy),)
        ),
    )
    assert world.get("/networkInterfaces/web1-eth0").properties.strategy == STRATEGIES[strategy]


def test_a_driver_that_makes_machines_at_their_start_gets_no_hardware(world: World) -> None:
    hardware = Hardware(disks=(Disk("/vm/a.qcow2", 20),))
    begun(world, CreateMachine("web1", "h1", hardware=hardware, without_define=frozenset(["h1"])))
    assert properties(world).hardware is None


def test_what_its_hosts_hypervisor_has_no_use_for_is_a_fault_of_the_request(world: World) -> None:
    before = world.counts("/macpools/p1")
    for hardware in (Hardware(generation=2), Hardware(path="/srv", generation=0)):
        asked = CreateMachine("web1", "h1", hardware=hardware, interfaces=(NewInterface(WEB),), kinds={"h1": "libvirt"})
        refusal = world.refuses(asked)
        assert (refusal.status, (refusal.target or "").partition(".")[0]) == (400, "hardware")
    assert world.counts("/macpools/p1") == before
    asked = CreateMachine("web1", "h1", hardware=Hardware(generation=0), kinds={"h1": "libvirt"})
    begun(world, asked)
    assert properties(world).hardware == Hardware()
    again = msgspec.structs.replace(asked, kinds={})
    assert world.decide(again).outcome == "unchanged", "what hosts are like is not what was asked for"


def test_one_that_could_not_start_beside_a_twin_is_refused_before_it_is_made(world: World) -> None:
    mac = "02-00-00-00-00-77"
    world.put("/networkInterfaces/a-eth0", {"privateMacAllocationMethod": "Static", "privateMacAddress": mac})
    refused = world.refuses(CreateMachine("web1", "h1", interfaces=(NewInterface(WEB, "", mac),)))
    assert refused.code == "PrivateMacAddressInUse"


def test_nothing_else_is_done_to_it_meanwhile(world: World) -> None:
    generation = begun(world)
    for command in (
        SetPower("web1", "Running"),
        TakeCheckpoint("web1", "c"),
        Failover("web1", "h2"),
        MarkMachine("web1", "deleted outside"),
        BeginRemoval("web1"),
        AdvanceCreation("web1", "undone", generation),
        AdvanceCreation("web1", "preparing", generation),
    ):
        assert world.refuses(command).code == "AnotherOperationInProgress", command
    moved = {
        "server": {"resourceRef": "/servers/h2"},
        "networkInterfaces": [{"resourceRef": "/networkInterfaces/web1-eth0"}],
    }
    assert world.refused(VM, moved).code == "AnotherOperationInProgress"
    assert world.decide(AdvanceCreation("web1", "defining", generation)).outcome == "unchanged"
    for other in (AdvanceCreation("web1", "done", generation + 1), AdvanceCreation("none", "done", 1)):
        assert world.refuses(other).code in ("CreationIsOver", "NotFound")
    phase(world, "undoing", generation)
    assert "could not be made" in world.refuses(SetPower("web1", "Running")).message


def test_a_removal_is_told_to_the_host_first(world: World) -> None:
    phase(world, "done", begun(world))
    etag = world.get(VM).etag
    assert world.refuses(BeginRemoval("web1", Preconditions(if_match='W/"other"'))).code == "PreconditionFailed"
    world.do(BeginRemoval("web1", Preconditions(if_match=etag)))
    made = record(world)
    assert made is not None and made.power == "Absent"
    assert world.decide(BeginRemoval("web1")).outcome == "unchanged"
    assert "being deleted" in world.refuses(SetPower("web1", "Running")).message
    world.delete(VM)
    assert world.get("/networkInterfaces/web1-eth0").properties.private_mac_address


class TestClusters:
    @pytest.fixture
    def world(self, world: World) -> World:
        for name in ("h3", "h4"):
            world.put(f"/servers/{name}", {})
        world.put(
            "/weft/clusters/C1", {"servers": [{"resourceRef": f"/Servers/{name}"} for name in ("H1", "h2", "h3")]}
        )
        return world

    def server(self, world: World, name: str, *connected: str) -> str:
        world.do(CreateMachine(name, cluster="/weft/clusters/c1", connected=frozenset(connected)))
        return str(world.get(f"/weft/virtualMachines/{name}").properties.server.resource_ref)

    def test_the_connected_the_freest_the_first(self, world: World) -> None:
        assert self.server(world, "a") == "/servers/h1"
        assert self.server(world, "b") == "/servers/h2"
        assert self.server(world, "c", "h1", "h2") == "/servers/h1"
        assert self.server(world, "d", "h1", "h2") == "/servers/h2"
        assert self.server(world, "e") == "/servers/h3"

    def test_one_whose_tunnels_can_be_encrypted_where_they_must_be(self, world: World) -> None:
        told = ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=True))
        world.do(NoteProviderNetwork("h3", told))
        web = {"addressPrefix": "10.9.1.0/24", "encryptionEnabled": True}
        world.put("/virtualNetworks/secret", virtual_network({"web": web}))
        secret = (NewInterface("/virtualNetworks/secret/subnets/web"),)
        world.do(CreateMachine("s", cluster="c1", connected=frozenset({"h1", "h2"}), interfaces=secret))
        assert world.get("/weft/virtualMachines/s").properties.server.resource_ref == "/servers/h3"
        refusal = world.refuses(CreateMachine("t", "h1", interfaces=secret))
        assert refusal.code == "EncryptionNotAvailable" and "h1" in refusal.message
        assert self.server(world, "a") == "/servers/h1"

    def test_its_servers_are_spelt_as_they_are(self, world: World) -> None:
        refs = [ref.resource_ref for ref in world.get("/weft/clusters/c1").properties.servers]
        assert refs == ["/servers/h1", "/servers/h2", "/servers/h3"]

    @pytest.mark.parametrize(
        ("servers", "code"),
        [
            (["/servers/none"], "InvalidResourceReference"),
            (["/virtualNetworks/h1"], "InvalidResourceReference"),
            (["/servers/h4", "/servers/H4"], "InvalidParameterValue"),
            (["/servers/h2"], "ServerInAnotherCluster"),
        ],
    )
    def test_wrong_servers(self, world: World, servers: list[str], code: str) -> None:
        refusal = world.refused("/weft/clusters/c2", {"servers": [{"resourceRef": one} for one in servers]})
        assert (refusal.code, refusal.target) == (code, "servers")

    def test_one_without_servers_takes_no_machine(self, world: World) -> None:
        world.put("/weft/clusters/empty", {"failoverCluster": "HVC1"})
        assert world.get("/weft/clusters/empty").properties.failover_cluster == "HVC1"
        assert world.refuses(CreateMachine("a", cluster="empty")).code == "ClusterIsEmpty"

    def test_a_server_that_goes_leaves_its_cluster(self, world: World) -> None:
        world.delete("/servers/h3")
        assert len(world.get("/weft/clusters/c1").properties.servers) == 2
        world.put("/servers/h3", {})
        world.put("/weft/clusters/c2", {"servers": [{"resourceRef": "/servers/h3"}]})
        world.delete("/servers/h4")

    def test_it_only_groups(self, world: World) -> None:
        self.server(world, "a")
        world.delete("/weft/clusters/c1")
        assert world.get("/weft/virtualMachines/a").properties.server.resource_ref == "/servers/h1"
        world.put("/weft/clusters/c2", {"servers": [{"resourceRef": "/servers/h1"}]})
