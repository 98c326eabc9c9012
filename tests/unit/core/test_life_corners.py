"""Corners of an address's life where it could come to two machines, be given too early, or be lost to both sides."""

from typing import Any

import pytest

from tests.unit.core.life import WEB, Life, waiting_interface
from tests.unit.core.world import dynamic_interface, server_on, static_interface
from weft.core.commands import (
    EndReservations,
    MarkMachine,
    NoteSeen,
    ReleaseInactive,
    RemoveServer,
    Reserve,
    Seen,
    SetPower,
)
from weft.core.copy_commands import Clone, ImportedCheckpoint, ImportedInterface, ImportMachine, Restore, TakeCheckpoint
from weft.model.leases import MAC_SCOPE
from weft.model.values import Now, parse_mac

MAC0 = parse_mac("020000000000")


@pytest.fixture
def world() -> Life:
    return Life()


def machine_body(*interfaces: str, **more: Any) -> dict[str, Any]:
    refs = [{"resourceRef": f"/networkInterfaces/{one}"} for one in interfaces]
    return {"server": {"resourceRef": "/servers/h1"}, "networkInterfaces": refs, **more}


def outcomes(world: Life, command: Restore) -> dict[str, str]:
    return {one.network_interface.rpartition("/")[2]: one.outcome for one in world.do(command).report}


# -- twins within one machine


def test_a_new_machine_does_not_run_with_two_twins_of_its_own(world: Life) -> None:
    world.do(Clone("web1", "web2", "keep"))
    for name in ("web1", "web2"):
        world.delete(f"/weft/virtualMachines/{name}")
    body = machine_body("web1-eth0", "web2-eth0")
    assert world.refused("/weft/virtualMachines/web3", body | {"powerState": "Running"}).code == "ActiveTwin"
    world.put("/weft/virtualMachines/web3", body)
    assert world.refuses(SetPower("web3", "Running")).code == "ActiveTwin"


def test_a_running_machine_is_not_given_two_twins_at_once(world: Life) -> None:
    world.do(Clone("web1", "web2", "keep"))
    for name in ("web1", "web2"):
        world.delete(f"/weft/virtualMachines/{name}")
    world.machine("web3", "h1", "Running")
    assert world.refused("/weft/virtualMachines/web3", machine_body("web1-eth0", "web2-eth0")).code == "ActiveTwin"


def test_a_running_machine_may_have_a_twin_instead_of_its_interface(world: Life) -> None:
    world.do(Clone("web1", "web2", "keep"))
    world.delete("/weft/virtualMachines/web2")
    world.power("web1", "Running")
    world.machine("web1", "h1", "Running", "web2-eth0")
    assert world.addresses("web2-eth0") == "00 10.1.1.2"


def test_a_machine_does_not_come_in_running_with_one_address_twice(world: Life) -> None:
    twice = (ImportedInterface("0C0000000001", (), WEB), ImportedInterface("0C0000000001", (), WEB))
    assert world.refuses(ImportMachine("imp", "h1", twice, power="Running")).code == "ActiveTwin"
    world.do(ImportMachine("imp", "h1", twice))
    assert world.refuses(SetPower("imp", "Running")).code == "ActiveTwin"


def test_one_ip_address_comes_in_once(world: Life) -> None:
    for adopt in (False, True):
        name = f"imp{adopt:d}"
        sent = ImportedInterface("", (f"10.1.1.{50 + adopt}", f" 10.1.1.{50 + adopt}"), WEB)
        world.do(ImportMachine(name, "h1", (sent,), adopt=adopt))
        assert len(world.get(f"/networkInterfaces/{name}-eth0").properties.ip_configurations) == 1


# -- restores


def test_two_captured_interfaces_never_come_back_as_one(world: Life) -> None:
    world.second("web1-eth0-2")
    world.do(TakeCheckpoint("web1", "c1"))
    world.machine("web1", "h1", "Off", "web1-eth0-2")
    world.machine("db1", "h1", "Off", "web1-eth0")
    assert outcomes(world, Restore("web1", "c1")) == {"web1-eth0-3": "restored", "web1-eth0-2": "kept"}
    assert [world.addresses(f"web1-eth0-{at}") for at in (3, 2)] == ["00 10.1.1.2", "01 10.1.1.3"]
    assert outcomes(world, Restore("web1", "c1")) == {"web1-eth0-3": "kept", "web1-eth0-2": "kept"}


def test_an_interface_of_nobody_is_not_made_another(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.machine("web1", "h1", "Off")
    world.machine("db1", "h1", "Off", "web1-eth0")
    world.interface("web1-eth0-2")
    assert outcomes(world, Restore("web1", "c1")) == {"web1-eth0-3": "restored"}
    assert world.addresses("web1-eth0-2") == "01 10.1.1.3"
    # what an earlier restore made is taken again
    world.machine("web1", "h1", "Off")
    assert outcomes(world, Restore("web1", "c1")) == {"web1-eth0-3": "kept"}


def test_an_address_that_is_taken_is_not_kept_by_name_only(world: Life) -> None:
    world.host_range()
    world.put("/networkInterfaces/w", dynamic_interface(WEB, strategy="hostRange"))
    world.machine("db1", None, "Off", "w")
    world.do(TakeCheckpoint("db1", "c1"))
    world.machine("db1", "h1", "Off", "w")
    mac = int(world.get("/networkInterfaces/w").properties.private_mac_address, 16)
    world.do(NoteSeen("h2", (Seen(mac, "vnet3"),)))
    assert world.refuses(Restore("db1", "c1")).code == "AddressesTaken"
    assert outcomes(world, Restore("db1", "c1", if_taken="remap")) == {"w": "remapped"}
    assert world.addresses("w").startswith("01 ")
    lease = world.state.lease(MAC_SCOPE, mac)
    assert lease is not None and lease.state == "foreign"


def test_an_address_of_a_reservation_comes_back(world: Life) -> None:
    world.do(Reserve("/macPools/p1", 2, request_id="r1"))
    named = {"reservation": {"resourceRef": "/weft/reservations/r1"}}
    world.put("/networkInterfaces/n1", dynamic_interface(WEB, **named))
    world.machine("db1", "h1", "Off", "n1")
    world.do(TakeCheckpoint("db1", "c1"))
    world.power("db1", "Running")
    assert outcomes(world, Restore("db1", "c1")) == {"n1": "kept"}
    world.power("db1", "Off")
    world.machine("db1", "h1", "Off")
    world.delete("/networkInterfaces/n1")
    assert outcomes(world, Restore("db1", "c1")) == {"n1": "restored"}
    assert world.addresses("n1") == "01 10.1.1.3"


def test_a_checkpoint_that_comes_along_names_nothing_that_nobody_may_have(world: Life) -> None:
    for ip, code in (("10.1.1.1", "PrivateIPAddressInReservedRange"), ("10.9.9.9", "PrivateIPAddressNotInSubnet")):
        come = ImportedCheckpoint("c1", (ImportedInterface("", (ip,), WEB),))
        assert (
            world.refuses(ImportMachine("imp", "h1", (ImportedInterface("", (), WEB),), checkpoints=(come,))).code
            == code
        )


@pytest.mark.parametrize("state", ["retained", "reserved"])
def test_a_gateway_is_no_address_that_may_come_back(world: Life, state: str) -> None:
    def wires(*gateways: str) -> dict[str, Any]:
        pool = {"startIpAddress": "10.7.0.5", "endIpAddress": "10.7.0.5"}
        subnet = {
            "addressPrefix": "10.7.0.0/24",
            "defaultGateways": list(gateways),
            "ipPools": [{"resourceId": "p", "properties": pool}],
        }
        return {"subnets": [{"resourceId": "a", "properties": subnet}]}

    world.put("/logicalNetworks/wires", wires())
    subnet = "/logicalNetworks/wires/subnets/a"
    if state == "reserved":
        world.do(Reserve(subnet, 1))
    else:
        world.put("/networkInterfaces/n1", dynamic_interface(subnet))
        world.machine("db1", "h1", "Off", "n1")
        world.do(TakeCheckpoint("db1", "c1"))
        world.put("/networkInterfaces/n1", dynamic_interface(None))
    assert world.refused("/logicalNetworks/wires", wires("10.7.0.5")).code == "PrivateIPAddressInUse"


# -- cool-downs


def test_what_cooled_rests_after_an_adapter_had_it(world: Life) -> None:
    world.put("/weft/virtualMachines/web1", machine_body())
    world.delete("/networkInterfaces/web1-eth0")
    adapter = {"resourceId": "nic2", "properties": {"mac": "02-00-00-00-00-00"}}
    body = server_on("pa1")
    body["networkInterfaces"].append(adapter)
    world.put("/servers/h1", body)
    assert world.mac(0)[0] == "foreign"
    world.put("/servers/h1", server_on("pa1"))
    assert world.mac(0)[0] == "cooling"
    world.wait(3599)
    assert world.mac(0)[0] == "cooling"
    world.wait(1)
    assert world.mac(0)[0] == "free"


def test_what_was_seen_on_a_wire_rests_after_its_reservation(world: Life) -> None:
    world.do(Reserve("/macPools/p1", 1, until=world.now.wall + 60, request_id="r1"))
    world.do(NoteSeen("h2", (Seen(MAC0 + 1, "vnet3"),)))
    world.do(NoteSeen("h2"))
    world.now = Now(world.now.ledger + 61, world.now.wall + 61)
    world.do(EndReservations())
    assert world.mac(1)[0] == "cooling"


# -- templates


def test_a_template_of_a_machine_on_a_wire_without_pool_makes_machines(world: Life) -> None:
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "a", "properties": {"vlanID": 7}}]})
    body = dynamic_interface("/logicalNetworks/wires/subnets/a")
    body["ipConfigurations"][0]["properties"]["privateIPAllocationMethod"] = "Unmanaged"
    world.put("/networkInterfaces/n1", body)
    world.machine("db1", "h1", "Off", "n1")
    world.do(Clone("db1", "tpl", is_template=True))
    world.do(Clone("tpl", "db2"))
    assert world.addresses("db2-eth0") == "02 -"


# -- copies


def test_a_copy_that_waited_for_a_host_that_went_takes_the_next(world: Life) -> None:
    world.host_range()
    world.put("/networkInterfaces/w", waiting_interface())
    world.machine("db1", None, "Off", "w")
    world.do(Clone("db1", "db2", "keep", server="h2"))
    world.do(RemoveServer("h2"))
    world.machine("db2", "h1", "Off", "db2-w")
    assert world.addresses("db2-w").startswith("00 ")


def test_a_copy_of_a_hosts_own_interface_is_a_machines(world: Life) -> None:
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "a", "properties": {"vlanID": 7}}]})
    own = static_interface("0C0000000001", None) | {"isHostVirtualNetworkInterface": True}
    world.put("/networkInterfaces/own", own)
    world.machine("db1", "h1", "Off", "own")
    world.do(Clone("db1", "db2", "keep"))
    assert not world.get("/networkInterfaces/db2-own").properties.is_host_virtual_network_interface
    # the host has it whether the machine runs or not
    assert world.refuses(SetPower("db2", "Running")).target == "/networkInterfaces/own"


def test_a_machine_on_no_host_is_remapped_from_what_is_for_everybody(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.machine("web1", None, "Off", "web1-eth0")
    world.do(NoteSeen("h2", (Seen(MAC0, "vnet3"),)))
    assert outcomes(world, Restore("web1", "c1", if_taken="remap")) == {"web1-eth0": "remapped"}
    assert world.addresses("web1-eth0") == "01 10.1.1.2"


def test_of_two_forgotten_twins_only_the_one_that_waited_long_enough_goes(world: Life) -> None:
    ends = {"startMacAddress": "020000000000", "endMacAddress": "0200000000FF"}
    world.put("/macPools/p1", ends | {"releaseInactiveAfterSeconds": 600})
    world.do(Clone("web1", "web2", "keep"))
    world.do(MarkMachine("web1", "gone"))
    world.now = Now(1500.0, world.now.wall)
    world.do(MarkMachine("web2", "gone"))
    world.now = Now(1650.0, world.now.wall)
    world.do(ReleaseInactive())
    assert world.mac(0) == world.ip(2) == ("assigned", ["web2-eth0"])
    world.now = Now(2100.0, world.now.wall)
    world.do(ReleaseInactive())
    assert world.mac(0)[0] == world.ip(2)[0] == "cooling"


def test_a_mark_over_twins_of_one_machine_goes_once(world: Life) -> None:
    world.do(Clone("web1", "web2", "keep"))
    world.delete("/weft/virtualMachines/web2")
    world.machine("web1", "h1", "Off", "web1-eth0", "web2-eth0")
    world.do(TakeCheckpoint("web1", "weft.restart-under-way"))
    for name in ("web1-eth0", "web2-eth0"):
        world.put(f"/networkInterfaces/{name}", dynamic_interface(None))
    world.delete("/weft/virtualMachines/web1/checkpoints/weft.restart-under-way")
    assert world.mac(0) == ("assigned", ["web1-eth0", "web2-eth0"])
    assert world.ip(2)[0] == "cooling"


def test_a_checkpoint_of_twins_of_one_machine_goes_once(world: Life) -> None:
    ends = {"startMacAddress": "020000000000", "endMacAddress": "0200000000FF"}
    world.put("/macPools/p1", ends | {"coolDownSeconds": 0})
    world.do(Clone("web1", "web2", "keep"))
    world.delete("/weft/virtualMachines/web2")
    world.machine("web1", "h1", "Off", "web1-eth0", "web2-eth0")
    world.do(TakeCheckpoint("web1", "c1"))
    world.machine("web1", "h1", "Off")
    for name in ("web1-eth0", "web2-eth0"):
        world.delete(f"/networkInterfaces/{name}")
    assert world.mac(0) == ("retained", ["c1"])
    world.delete("/weft/virtualMachines/web1/checkpoints/c1")
    assert world.mac(0)[0] == "free"


def test_a_twin_of_what_is_gone_is_not_gone(world: Life) -> None:
    world.do(MarkMachine("web1", "gone"))
    world.do(Clone("web1", "web2", "keep"))
    assert (world.inactive("web1-eth0"), world.inactive("web2-eth0")) == ({1000.0}, {0.0})


def test_a_gateway_that_an_adopted_machine_has_keeps_nobody_from_the_rest(world: Life) -> None:
    wires = {"addressPrefix": "10.7.0.0/24", "defaultGateways": ["10.7.0.1"]}
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "a", "properties": wires}]})
    own = ImportedInterface("0C0000000001", ("10.7.0.1",), "/logicalNetworks/wires/subnets/a")
    world.do(ImportMachine("router", "h1", (own,), power="Running", adopt=True))
    changed = wires | {"dnsServers": ["10.7.0.53"]}
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "a", "properties": changed}]})
    changed["defaultGateways"] = ["10.7.0.1", "10.7.0.2"]
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "a", "properties": changed}]})
