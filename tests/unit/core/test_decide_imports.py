"""ImportMachine: keep, new, newIfTaken, adopt; and the checkpoints that come along."""

from typing import Any

import pytest

from tests.unit.core.life import CHECKPOINT, WEB, Life, events
from tests.unit.core.world import dynamic_interface, put_command, server_on, static_interface, virtual_network
from weft.core.commands import NoteSeen, RenewMac, Seen, SetPower
from weft.core.copy_commands import (
    ExportMachine,
    ImportedCheckpoint,
    ImportedInterface,
    ImportMachine,
    Restore,
    TakeCheckpoint,
)
from weft.model.values import parse_mac
from weft.model.workload import HypervisorIdentity

FREE = ImportedInterface("0C-00-00-00-00-01", ("10.1.1.77",), WEB)
TAKEN = ImportedInterface("02:00:00:00:00:00", ("10.1.1.2",), WEB)


@pytest.fixture
def world() -> Life:
    return Life()


def bring(world: Life, *interfaces: ImportedInterface, **more: Any) -> Any:
    return world.do(ImportMachine("imp", "h1", interfaces, **more))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"name": "web1"}, "AlreadyExists"),
        ({"name": "a~b"}, "InvalidResourceName"),
        ({"server": "none"}, "InvalidResourceReference"),
        ({"addresses": "steal"}, "InvalidParameterValue"),
        ({"power": "Paused"}, "InvalidParameterValue"),
        ({"power": "Running", "server": ""}, "InvalidParameterValue"),
        ({"interfaces": (ImportedInterface("nonsense"),)}, "InvalidPrivateMacAddress"),
        ({"interfaces": (ImportedInterface("FFFFFFFFFFFF"),)}, "InvalidPrivateMacAddress"),
        ({"interfaces": (ImportedInterface("", ("10.1.1.9",)),)}, "SubnetIsRequired"),
        ({"interfaces": (ImportedInterface("", ("nonsense",), WEB),)}, "InvalidPrivateIPAddressFormat"),
        ({"interfaces": (ImportedInterface("", ("10.9.9.9",), WEB),)}, "PrivateIPAddressNotInSubnet"),
        ({"interfaces": (ImportedInterface("", ("fd00::9",), WEB),)}, "PrivateIPAddressNotInSubnet"),
        ({"interfaces": (ImportedInterface("", ("10.1.1.1",), WEB),)}, "PrivateIPAddressInReservedRange"),
        ({"interfaces": (ImportedInterface("", (), "/virtualNetworks/none/subnets/a"),)}, "InvalidResourceReference"),
        ({"checkpoints": (ImportedCheckpoint("a~b"),)}, "InvalidResourceName"),
        ({"checkpoints": (ImportedCheckpoint("c", (ImportedInterface("FFFFFFFFFFFF"),)),)}, "InvalidPrivateMacAddress"),
    ],
)
def test_a_wrong_import_is_refused(world: Life, changed: dict[str, Any], code: str) -> None:
    command = {"name": "imp", "server": "h1", "interfaces": (FREE,)} | changed
    assert world.refuses(ImportMachine(**command)).code == code


def test_a_hypervisors_machine_is_of_one_record(world: Life) -> None:
    known = HypervisorIdentity(id="D7C8")
    bring(world, FREE, hypervisor=known)
    assert world.get("/weft/virtualMachines/imp").properties.hypervisor == known
    again = world.refuses(ImportMachine("other", "h1", hypervisor=HypervisorIdentity(id="d7c8")))
    assert (again.code, again.target) == ("AlreadyExists", "/weft/virtualMachines/imp")
    world.do(ImportMachine("adopted", "h2", adopt=True, hypervisor=known))


def test_a_machine_comes_in_with_its_addresses(world: Life) -> None:
    decision = bring(world, FREE, ImportedInterface("0c0000000002"))
    assert (decision.outcome, set(events(decision))) == ("created", {("assigned", "imp", "h1")})
    p = world.get("/weft/virtualMachines/imp").properties
    assert [ref.resource_ref for ref in p.network_interfaces] == [
        "/networkInterfaces/imp-eth0",
        "/networkInterfaces/imp-eth1",
    ]
    assert (p.power_state, p.server.resource_ref) == ("Off", "/servers/h1")
    assert (world.addresses("imp-eth0"), world.addresses("imp-eth1")) == ("01 10.1.1.77", "02")
    assert world.put("/networkInterfaces/imp-eth0", static_interface("0C0000000001", ip="10.1.1.77")).outcome == (
        "unchanged"
    )
    world.power("imp", "Running")


def test_a_machine_may_come_in_without_a_server(world: Life) -> None:
    world.do(ImportMachine("imp", "", (FREE,)))
    assert world.get("/weft/virtualMachines/imp").properties.server is None
    assert world.addresses("imp-eth0") == "01 10.1.1.77"


def test_no_address_yet_is_granted_one(world: Life) -> None:
    bring(world, ImportedInterface("", (), WEB), ImportedInterface("00-00-00-00-00-00", (), WEB), ImportedInterface())
    assert [world.addresses(f"imp-eth{at}") for at in range(3)] == ["01 10.1.1.3", "02 10.1.1.4", "03"]


def test_new_addresses_replace_all_that_came(world: Life) -> None:
    decision = bring(world, TAKEN, addresses="new")
    assert world.addresses("imp-eth0") == "01 10.1.1.3"
    reasons = {change.reason for change in decision.changes if getattr(change, "event", "") == "granted"}
    assert reasons == {"imported, instead of 02:00:00:00:00:00", "imported, instead of 10.1.1.2"}


def test_what_another_has_is_kept_as_a_twin(world: Life) -> None:
    world.power("web1", "Running")
    bring(world, TAKEN)
    assert world.mac(0) == world.ip(2) == ("assigned", ["web1-eth0", "imp-eth0"])
    assert world.refuses(SetPower("imp", "Running")).code == "ActiveTwin"
    refusal = world.refuses(ImportMachine("run", "h1", (TAKEN,), power="Running"))
    assert refusal.code == "ActiveTwin"


def test_what_only_an_export_holds_comes_back_alone(world: Life) -> None:
    world.do(ExportMachine("web1", "e1"))
    world.delete("/weft/virtualMachines/web1")
    world.delete("/networkInterfaces/web1-eth0")
    bring(world, TAKEN, power="Running")
    assert world.mac(0) == ("assigned", ["e1", "imp-eth0"])


def test_fresh_addresses_where_they_are_taken(world: Life) -> None:
    world.do(ExportMachine("web1", "e1"))
    mixed = ImportedInterface("0C-00-00-00-00-01", ("10.1.1.2",), WEB)
    bring(world, mixed, addresses="newIfTaken")
    assert world.addresses("imp-eth0") == "01 10.1.1.3"
    world.delete("/weft/virtualMachines/web1")
    world.delete("/networkInterfaces/web1-eth0")
    # its own export is no obstacle, and the second import is another machine (the same file twice)
    world.do(ImportMachine("web1", "h1", (TAKEN,), "newIfTaken"))
    world.do(ImportMachine("web2", "h1", (TAKEN,), "newIfTaken"))
    assert (world.addresses("web1-eth0"), world.addresses("web2-eth0")) == ("00 10.1.1.2", "01 10.1.1.4")


def test_a_static_address_of_another_domain_is_not_taken(world: Life) -> None:
    world.network("red")
    world.put("/networkInterfaces/r", static_interface("0C0000000001", "/virtualNetworks/red/subnets/web"))
    bring(world, FREE, addresses="newIfTaken")
    assert world.addresses("imp-eth0") == "01 10.1.1.77"


def test_what_cools_is_refused_or_replaced(world: Life) -> None:
    world.do(RenewMac("web1", "web1-eth0"))
    taken = ImportedInterface("020000000000", (), WEB)
    refusal = world.refuses(ImportMachine("imp", "h1", (taken,)))
    assert (refusal.code, refusal.scope, refusal.asker) == (
        "PrivateMacAddressInUse",
        "mac",
        "/networkInterfaces/imp-eth0",
    )
    assert "cooling" in refusal.message
    bring(world, taken, addresses="newIfTaken")
    assert world.addresses("imp-eth0") == "02 10.1.1.3"


def test_what_cools_goes_back_to_its_last_holder(world: Life) -> None:
    world.machine("web1", "h1", "Off")
    world.delete("/networkInterfaces/web1-eth0")
    world.delete("/weft/virtualMachines/web1")
    world.do(ImportMachine("web1", "h1", (TAKEN,)))
    assert world.addresses("web1-eth0") == "00 10.1.1.2"


def test_what_is_excluded_or_foreign_has_no_twin(world: Life) -> None:
    excluded = [{"first": "02-00-00-00-00-40", "last": "02-00-00-00-00-4F", "reason": "printers"}]
    world.put(
        "/macPools/p1",
        {"startMacAddress": "020000000000", "endMacAddress": "0200000000FF", "excluded": excluded},
    )
    world.do(NoteSeen("h2", (Seen(parse_mac("020000000050"), "vnet9", vlan=77),)))
    for text, why in (("020000000041", "printers"), ("020000000050", "vnet9")):
        refusal = world.refuses(ImportMachine("imp", "h1", (ImportedInterface(text),)))
        assert (refusal.code, why in refusal.message) == ("PrivateMacAddressInUse", True)
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "vlan", "properties": {"vlanID": 77}}]})
    body = server_on("pa2")
    adapter = body["networkInterfaces"][0]["properties"]
    adapter["logicalSubnets"].append({"resourceRef": "/logicalNetworks/wires/subnets/vlan"})
    world.put("/servers/h2", body)
    world.do(NoteSeen("h2", (Seen(parse_mac("020000000050"), "vnet9", vlan=77),)))
    # seen in a VLAN, which no machine of blue can meet
    bring(world, ImportedInterface("020000000050", (), WEB))


def test_dual_stack_and_unmanaged(world: Life) -> None:
    pair = {"dualStackSubnet": {"resourceRef": "/virtualNetworks/both/subnets/six"}}
    world.put(
        "/virtualNetworks/both",
        virtual_network(
            {"a": "10.3.0.0/24", "four": {"addressPrefix": "10.2.0.0/24", **pair}, "six": "fd00:0:0:1::/64"}
        ),
    )
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "vlan", "properties": {"vlanID": 7}}]})
    both = ImportedInterface("0C0000000001", ("10.2.0.9", "FD00:0:0:1::9"), "/virtualNetworks/both/subnets/four")
    bring(world, both, ImportedInterface("", (), "/logicalNetworks/wires/subnets/vlan"))
    assert world.addresses("imp-eth0") == "01 10.2.0.9 fd00:0:0:1::9"
    assert world.addresses("imp-eth1") == "01 -"
    lone = ImportedInterface("", ("10.2.0.9",), "/logicalNetworks/wires/subnets/vlan")
    assert world.refuses(ImportMachine("x", "", (lone,))).code == "PrivateIPAddressNotInSubnet"


# -- checkpoints


def test_its_checkpoints_come_along_and_hold_what_they_name(world: Life) -> None:
    old = ImportedInterface("0C-00-00-00-00-09", ("10.1.1.99",))
    checkpoints = (
        ImportedCheckpoint("c1", (old, ImportedInterface("", ("10.1.1.9",)))),
        ImportedCheckpoint(
            "c2", (ImportedInterface("0C0000000001"), ImportedInterface(), ImportedInterface("0C0000000009"))
        ),
    )
    bring(world, FREE, ImportedInterface(), checkpoints=checkpoints)
    captured = world.get("/weft/virtualMachines/imp/checkpoints/c1").properties.network_interfaces
    assert captured[0].network_interface.resource_ref == "/networkInterfaces/imp-eth0"
    assert captured[0].ip_addresses[0].subnet.resource_ref == WEB
    assert captured[1].ip_addresses == ()
    lease = world.mac_lease("0C0000000009")
    assert lease is not None
    assert (lease.state, {(one.ref[-2:], one.domain) for one in lease.holders}) == (
        "retained",
        {("c1", WEB.lower()), ("c2", "")},
    )
    assert world.ip(99) == ("retained", ["c1"])
    world.do(Restore("imp", "c1"))
    assert (world.addresses("imp-eth0"), world.addresses("imp-eth1")) == ("09 10.1.1.99", "01")
    world.delete("/weft/virtualMachines/imp")
    world.delete("/networkInterfaces/imp-eth0")
    assert world.mac_lease("0C0000000009") is None


def test_one_checkpoint_may_name_an_address_twice(world: Life) -> None:
    world.network("red")
    other = ImportedInterface("0C0000000009", (), "/virtualNetworks/red/subnets/web")
    both = (ImportedInterface("0C0000000009", (), WEB), ImportedInterface("0C0000000009", (), WEB), other)
    bring(world, checkpoints=(ImportedCheckpoint("c1", both),))
    lease = world.mac_lease("0C0000000009")
    assert lease is not None
    assert len(lease.holders) == 2
    world.do(Restore("imp", "c1"))
    lease = world.mac_lease("0C0000000009")
    assert lease is not None
    assert len(lease.holders) == 5
    assert world.refuses(SetPower("imp", "Running")).code == "ActiveTwin"
    world.delete("/weft/virtualMachines/imp")


def test_a_checkpoint_beside_anothers_address_waits_for_its_turn(world: Life) -> None:
    world.power("web1", "Running")
    bring(world, FREE, checkpoints=(ImportedCheckpoint("c1", (TAKEN,)),))
    assert world.mac(0) == ("assigned", ["web1-eth0", "c1"])
    assert world.refuses(Restore("imp", "c1")).code == "AddressesTaken"


def test_a_checkpoint_with_an_address_that_cools_is_refused(world: Life) -> None:
    world.do(RenewMac("web1", "web1-eth0"))
    checkpoint = ImportedCheckpoint("c1", (ImportedInterface("020000000000", (), WEB),))
    refusal = world.refuses(ImportMachine("imp", "h1", (FREE,), checkpoints=(checkpoint,)))
    assert (refusal.code, refusal.asker) == ("PrivateMacAddressInUse", "/weft/virtualMachines/imp/checkpoints/c1")


# -- adopt


def adopt(world: Life, *interfaces: ImportedInterface, name: str = "imp", **more: Any) -> Any:
    return world.do(ImportMachine(name, "h1", interfaces, power="Running", adopt=True, **more))


def test_what_runs_is_noted_as_it_is(world: Life) -> None:
    world.power("web1", "Running")
    world.do(RenewMac("web1", "web1-eth0", force=True))
    odd = (
        ImportedInterface("020000000000", ("10.1.1.2",), WEB),  # cools, and a running machine has the IP address
        ImportedInterface("FF-FF-FF-FF-FF-FF", ("10.1.1.1",), WEB),  # group, gateway
        ImportedInterface("00-00-00-00-00-00", (), WEB),
        ImportedInterface("0C0000000001", ("10.1.1.9",)),
    )
    adopt(world, *odd, checkpoints=(ImportedCheckpoint("c1", (ImportedInterface("FEFFFFFFFFFF"),)),))
    assert world.mac(0) == ("assigned", ["imp-eth0"])
    assert world.ip(2) == ("assigned", ["web1-eth0", "imp-eth0"])
    assert world.addresses("imp-eth1") == "FF 10.1.1.1"
    assert (world.addresses("imp-eth2"), world.addresses("imp-eth3")) == ("- -", "01")
    assert world.get("/weft/virtualMachines/imp").properties.power_state == "Running"
    # what it lacks it gets with the next PUT, or when it is started
    world.put("/networkInterfaces/imp-eth2", dynamic_interface())
    assert world.addresses("imp-eth2") == "02 10.1.1.3"


def test_an_adopted_machine_gets_what_it_lacks_at_its_start(world: Life) -> None:
    adopt(world, ImportedInterface())
    world.power("imp", "Off")
    world.power("imp", "Running")
    assert world.addresses("imp-eth0") == "01"


def test_adopted_beside_a_port_and_a_server(world: Life) -> None:
    world.do(NoteSeen("h2", (Seen(parse_mac("0C0000000001"), "vnet9", vlan=77),)))
    adopt(world, FREE)
    lease = world.mac_lease("0C0000000001")
    assert lease is not None
    assert (lease.state, [one.kind for one in lease.holders]) == ("assigned", ["port", "networkInterface"])


def test_the_same_name_is_refused_even_then(world: Life) -> None:
    world.interface("imp-eth0")
    refusal = world.refuses(ImportMachine("imp", "h1", (FREE,), adopt=True))
    assert (refusal.code, refusal.target) == ("AlreadyExists", "/networkInterfaces/imp-eth0")


def test_a_checkpoint_and_its_machine_share_no_names(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    twice = ImportedCheckpoint("c1"), ImportedCheckpoint("C1")
    assert world.refuses(ImportMachine("imp", "h1", checkpoints=twice)).code == "AlreadyExists"
    assert world.do(put_command("/weft/virtualMachines/web1", {"networkInterfaces": []})).outcome == "replaced"
    assert world.get(CHECKPOINT)


KNOWN = HypervisorIdentity(type="libvirt", id="0D5F-1")


def seen_on(world: Life, server: str, port: str = "vnet3") -> None:
    world.do(NoteSeen(server, (Seen(parse_mac("0C0000000001"), port, "br-int"),)))


def test_what_its_own_server_sees_of_a_machine_is_itself(world: Life) -> None:
    """Its port was seen before it was known whose it is."""
    seen_on(world, "h1")
    assert world.refuses(ImportMachine("imp", "h1", (FREE,))).code == "PrivateMacAddressInUse"
    there = ImportMachine("imp", "h2", (FREE,), hypervisor=KNOWN)
    assert world.refuses(there).code == "PrivateMacAddressInUse"
    for addresses in ("keep", "newIfTaken"):
        bring(world, FREE, addresses=addresses, power="Running", hypervisor=KNOWN)
        p = world.get("/weft/virtualMachines/imp").properties
        assert (p.power_state, p.hypervisor, world.addresses("imp-eth0")) == ("Running", KNOWN, "01 10.1.1.77")
        world.power("imp", "Off")
        world.delete("/weft/virtualMachines/imp")
        world.delete("/networkInterfaces/imp-eth0")


def test_what_another_server_sees_runs_there(world: Life) -> None:
    bring(world, FREE, hypervisor=KNOWN)
    seen_on(world, "h2")
    assert world.refuses(SetPower("imp", "Running")).code == "ActiveTwin"


def test_an_id_of_the_hypervisor_is_one_machine(world: Life) -> None:
    bring(world, FREE, hypervisor=KNOWN)
    again = HypervisorIdentity(type="libvirt", id="0d5f-1")
    refusal = world.refuses(ImportMachine("copy", "h2", (ImportedInterface(),), "new", hypervisor=again))
    assert (refusal.code, refusal.target) == ("AlreadyExists", "/weft/virtualMachines/imp")
    assert "/weft/virtualMachines/imp already" in refusal.message and "id of its own" in refusal.message
    world.do(ImportMachine("replica", "h2", (ImportedInterface(),), adopt=True, hypervisor=again))
    for name in ("one", "two"):  # nothing is nobody's id
        world.do(ImportMachine(name, "h1", (ImportedInterface(),), hypervisor=HypervisorIdentity()))
