"""Clone: addresses of its own or a legal twin, machine or template."""

from typing import Any

import pytest

from tests.unit.core.life import WEB, Life, events, waiting_interface
from tests.unit.core.world import dynamic_interface, put_command, static_interface, virtual_network
from weft.core.commands import BeginMove, SetPower
from weft.core.copy_commands import Clone, ImportedInterface, ImportMachine, Restore, TakeCheckpoint
from weft.model.values import mac_digits, parse_mac


@pytest.fixture
def world() -> Life:
    return Life("Running")


def machine(world: Life, name: str) -> Any:
    return world.get(f"/weft/virtualMachines/{name}").properties


def interfaces(world: Life, name: str) -> list[str]:
    return [ref.resource_ref.rpartition("/")[2] for ref in machine(world, name).network_interfaces]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Clone("none", "web2"), "NotFound"),
        (Clone("web1", "WEB1"), "AlreadyExists"),
        (Clone("web1", "a~b"), "InvalidResourceName"),
        (Clone("web1", "web2", "copy"), "InvalidParameterValue"),
        (Clone("web1", "web2", "keep", is_template=True), "InvalidParameterValue"),
        (Clone("web1", "web2", server="none"), "InvalidResourceReference"),
        (Clone("web1", "w" * 62), "InvalidResourceName"),
    ],
)
def test_a_wrong_clone_is_refused(world: Life, command: Clone, code: str) -> None:
    assert world.refuses(command).code == code


def test_a_copy_has_addresses_of_its_own_when_it_is_made(world: Life) -> None:
    decision = world.do(Clone("WEB1", "web2", server="h2"))
    assert decision.outcome == "created"
    assert decision.resource == world.get("/weft/virtualMachines/web2")
    assert events(decision) == [("granted", "web2", "h2")] * 2
    p = machine(world, "web2")
    assert (p.server.resource_ref, p.power_state) == ("/servers/h2", "Off")
    assert interfaces(world, "web2") == ["web2-eth0"]
    assert world.addresses("web2-eth0") == "01 10.1.1.3"
    world.power("web2", "Running")


def test_what_was_static_is_granted_and_the_rest_is_copied(world: Life) -> None:
    body = static_interface("0C0000000001", ip="10.1.1.77") | {
        "internalDnsNameLabel": "db",
        "dnsSettings": {"dnsServers": ["10.1.1.5"]},
    }
    world.do(put_command("/networkInterfaces/s", body, tags={"a": "b"}))
    world.put(
        "/weft/virtualMachines/db1",
        {
            "networkInterfaces": [{"resourceRef": "/networkInterfaces/s"}],
            "hypervisor": {"type": "libvirt", "id": "x"},
        },
        tags={"c": "d"},
    )
    world.do(Clone("db1", "db2"))
    copy = world.get("/networkInterfaces/db2-s")
    assert copy.tags == {"a": "b"}
    assert (copy.properties.private_mac_allocation_method, copy.properties.internal_dns_name_label) == ("Dynamic", None)
    assert copy.properties.dns_settings.dns_servers == ("10.1.1.5",)
    assert copy.properties.ip_configurations[0].properties.private_ip_allocation_method == "Dynamic"
    assert world.addresses("db2-s") == "01 10.1.1.3"
    made = world.get("/weft/virtualMachines/db2")
    assert made.tags == {"c": "d"}
    assert (made.properties.hypervisor.type, made.properties.hypervisor.id, made.properties.server) == (
        "libvirt",
        "",
        None,
    )
    instances = {one.instance_id for one in (copy, made, world.get("/networkInterfaces/s"))}
    assert len(instances) == 3 and "" not in instances
    assert copy.properties.ip_configurations[0].instance_id


@pytest.mark.parametrize(
    ("names", "copies"),
    [
        (["web1-eth0"], ["web2-eth0"]),
        (["WEB1.a", "web1"], ["web2.a", "web2"]),
        (["web10-eth0", "eth1"], ["web2-web10-eth0", "web2-eth1"]),
        (["web1-eth1", "eth1", "web2-eth9"], ["web2-eth1", "web2-eth1-2", "web2-web2-eth9"]),
    ],
)
def test_interfaces_are_named_after_the_new_machine(world: Life, names: list[str], copies: list[str]) -> None:
    world.delete("/weft/virtualMachines/web1")
    for name in names:
        world.interface(name)
    world.machine("web1", None, "Off", *names)
    world.do(Clone("web1", "web2"))
    assert interfaces(world, "web2") == copies


def test_an_interface_that_exists_stops_a_clone(world: Life) -> None:
    world.interface("web2-eth0")
    refusal = world.refuses(Clone("web1", "web2"))
    assert (refusal.code, refusal.target) == ("AlreadyExists", "/networkInterfaces/web2-eth0")


def test_a_full_pool_leaves_nothing_of_a_clone(world: Life) -> None:
    world.put("/virtualNetworks/tiny", virtual_network({"web": "10.9.1.0/29"}))
    for at in range(4):
        world.interface(f"t{at}", "/virtualNetworks/tiny/subnets/web")
    world.machine("web9", "h1", "Off", "t0", "t1", "t2")
    assert world.refuses(Clone("web9", "web10")).code == "SubnetIsFull"
    assert world.state.find_ref("/networkInterfaces/web10-t0") is None


def test_a_twin_holds_the_same_addresses_and_runs_alone(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    decision = world.do(Clone("web1", "web2", "keep"))
    assert events(decision) == [("assigned", "web2", "h1")] * 2
    assert world.addresses("web2-eth0") == world.addresses("web1-eth0") == "00 10.1.1.2"
    assert world.mac(0) == world.ip(2) == ("assigned", ["web1-eth0", "c1", "web2-eth0"])
    assert world.counts("/macpools/p1") == {"assigned": 1, "free": 255}
    assert world.state.owned("checkpoints", "web2") == []
    refusal = world.refuses(SetPower("web2", "Running"))
    assert (refusal.code, refusal.target) == ("ActiveTwin", "/weft/virtualMachines/web1")
    world.power("web1", "Off")
    world.power("web2", "Running")
    assert world.refuses(SetPower("web1", "Running")).code == "ActiveTwin"


def test_a_twin_outlives_its_source(world: Life) -> None:
    world.do(Clone("web1", "web2", "keep"))
    world.power("web1", "Off")
    world.delete("/weft/virtualMachines/web1")
    released = world.delete("/networkInterfaces/web1-eth0")
    assert [one[0] for one in events(released)] == ["released", "released"]
    assert world.mac(0) == ("assigned", ["web2-eth0"])
    assert world.put("/networkInterfaces/web2-eth0", dynamic_interface()).outcome == "unchanged"
    world.delete("/weft/virtualMachines/web2")
    world.delete("/networkInterfaces/web2-eth0")
    assert world.mac(0)[0] == "cooling"


def test_twins_follow_each_other_to_no_new_domain(world: Life) -> None:
    world.network("red")
    world.do(Clone("web1", "web2", "keep"))
    red = "/virtualNetworks/red/subnets/web"
    moved = world.put("/networkInterfaces/web2-eth0", dynamic_interface(red))
    assert ("moved", "web2", "h1") in events(moved)
    world.power("web2", "Running")
    refusal = world.refused("/networkInterfaces/web1-eth0", dynamic_interface(red))
    assert (refusal.code, "web2-eth0" in refusal.message) == ("PrivateMacAddressInUse", True)
    world.power("web2", "Off")
    # nor when both are off: a PUT never makes a twin
    assert world.refused("/networkInterfaces/web1-eth0", dynamic_interface(red)).code == "PrivateMacAddressInUse"


def test_a_copy_while_its_source_moves(world: Life) -> None:
    world.do(BeginMove("web1", "h2"))
    world.do(Clone("web1", "web2"))
    assert machine(world, "web2").server.resource_ref == "/servers/h1"


def test_interfaces_without_an_address_are_copied_so(world: Life) -> None:
    world.host_range()
    world.put("/networkInterfaces/w", waiting_interface())
    world.machine("db1", None, "Off", "w")
    world.do(Clone("db1", "db2"))
    world.do(Clone("db1", "db3", "keep"))
    assert world.addresses("db2-w") == "- 10.1.1.4"
    assert world.addresses("db3-w") == "- 10.1.1.3"
    world.do(Clone("db1", "db4", server="h2"))
    assert world.get("/networkInterfaces/db4-w").properties.private_mac_address == "02555D031000"
    world.do(Clone("db4", "db5", "keep"))
    assert world.get("/networkInterfaces/db5-w").properties.server.resource_ref == "/servers/h2"


def test_unmanaged_addresses_stay_so(world: Life) -> None:
    world.put("/logicalNetworks/wires", {"subnets": [{"resourceId": "vlan", "properties": {"vlanID": 7}}]})
    body = dynamic_interface("/logicalNetworks/wires/subnets/vlan")
    body["ipConfigurations"][0]["properties"]["privateIPAllocationMethod"] = "Unmanaged"
    world.put("/networkInterfaces/n2", body)
    world.machine("db1", "h1", "Off", "n2")
    world.do(Clone("db1", "db2"))
    assert world.addresses("db2-n2") == "02 -"


# -- templates


def test_a_template_holds_nothing_and_each_machine_of_it_has_its_own(world: Life) -> None:
    world.interface("web1-eth1", None)
    world.power("web1", "Off")
    world.machine("web1", "h1", "Off", "web1-eth0", "web1-eth1")
    decision = world.do(Clone("web1", "gold", is_template=True))
    assert (decision.outcome, events(decision)) == ("created", [])
    p = machine(world, "gold")
    assert (p.is_template, p.network_interfaces) == (True, ())
    assert [(one.subnet.resource_ref if one.subnet else None) for one in p.networks] == [WEB, None]
    world.do(Clone("gold", "d1"))
    world.do(Clone("gold", "d2", server="h2"))
    assert interfaces(world, "d1") == ["d1-eth0", "d1-eth1"]
    assert [world.addresses(f"d1-eth{at}") for at in (0, 1)] == ["02 10.1.1.3", "03"]
    assert [world.addresses(f"d2-eth{at}") for at in (0, 1)] == ["04 10.1.1.4", "05"]
    assert (machine(world, "d1").server.resource_ref, machine(world, "d2").server.resource_ref) == (
        "/servers/h1",
        "/servers/h2",
    )
    world.do(Clone("gold", "silver", is_template=True))
    assert machine(world, "silver").networks == p.networks
    assert world.refuses(Clone("gold", "d3", "keep")).code == "InvalidParameterValue"


def test_a_template_is_put_with_networks_or_interfaces(world: Life) -> None:
    body = {
        "isTemplate": True,
        "server": {"resourceRef": "/servers/h1"},
        "networks": [{"subnet": {"resourceRef": WEB.upper()}, "strategy": "Random"}, {}],
        "networkInterfaces": [{"resourceRef": "/networkInterfaces/web1-eth0"}],
    }
    world.put("/weft/virtualMachines/gold", body)
    p = machine(world, "gold")
    assert [(one.subnet.resource_ref if one.subnet else None, one.strategy) for one in p.networks] == [
        (WEB, "random"),
        (None, ""),
        (WEB, ""),
    ]
    assert (p.network_interfaces, interfaces(world, "web1")) == ((), ["web1-eth0"])
    assert (
        world.put(
            "/weft/virtualMachines/gold",
            {
                **body,
                "networkInterfaces": [],
                "networks": [
                    {"subnet": {"resourceRef": WEB}, "strategy": "random"},
                    {},
                    {"subnet": {"resourceRef": WEB}},
                ],
            },
        ).outcome
        == "unchanged"
    )
    # nothing runs there, so it keeps no server; a copy is bound to none then
    world.power("web1", "Off")
    world.delete("/weft/virtualMachines/web1")
    world.delete("/servers/h1")
    world.do(Clone("gold", "d1"))
    assert (machine(world, "gold").server, machine(world, "d1").server) == (None, None)


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"isTemplate": True, "powerState": "Running"}, "InvalidParameterValue"),
        (
            {"isTemplate": True, "networks": [{"subnet": {"resourceRef": "/virtualNetworks/none/subnets/a"}}]},
            "InvalidResourceReference",
        ),
        ({"isTemplate": True, "networks": [{"strategy": "best"}]}, "InvalidParameterValue"),
        ({"isTemplate": True, "networks": [{"dualStackSubnet": {"resourceRef": WEB}}]}, "InvalidParameterValue"),
        (
            {
                "isTemplate": True,
                "networks": [{"subnet": {"resourceRef": WEB}, "dualStackSubnet": {"resourceRef": WEB}}],
            },
            "InvalidParameterValue",
        ),
        ({"networks": [{}]}, "InvalidParameterValue"),
    ],
)
def test_a_wrong_template_is_refused(world: Life, properties: dict[str, Any], code: str) -> None:
    assert world.refused("/weft/virtualMachines/gold", properties).code == code


def test_a_template_is_no_machine(world: Life) -> None:
    world.do(Clone("web1", "gold", is_template=True))
    for command in (SetPower("gold", "Running"), BeginMove("gold", "h2"), Restore("gold", "c1")):
        assert world.refuses(command).code == "MachineIsTemplate"
    assert world.do(SetPower("gold", "Off")).outcome == "unchanged"
    assert world.refused("/weft/virtualMachines/gold", {}).code == "IsTemplateCannotBeUpdated"
    assert world.refused("/weft/virtualMachines/web1", {"isTemplate": True}).code == "IsTemplateCannotBeUpdated"
    assert list(world.state.machines_on("h1")) == [world.get("/weft/virtualMachines/web1")]
    world.delete("/weft/virtualMachines/gold")


def test_strategies_of_a_template(world: Life) -> None:
    world.host_range()
    networks = [{"subnet": {"resourceRef": WEB}, "strategy": "hostRange"}]
    world.put("/weft/virtualMachines/gold", {"isTemplate": True, "networks": networks})
    world.do(Clone("gold", "d1"))
    assert world.addresses("d1-eth0").startswith("- ")
    world.do(Clone("gold", "d2", server="h1"))
    mac = parse_mac("02-55-5D-03-00-00")
    assert world.get("/networkInterfaces/d2-eth0").properties.private_mac_address == mac_digits(mac)


def test_a_dual_stack_adapter_keeps_both_families_in_a_template(world: Life) -> None:
    four, six = (f"/virtualNetworks/both/subnets/{name}" for name in ("four", "six"))
    world.put(
        "/virtualNetworks/both",
        virtual_network(
            {
                "four": {"addressPrefix": "10.2.0.0/24", "dualStackSubnet": {"resourceRef": six}},
                "six": "fd00:0:0:1::/64",
            }
        ),
    )
    world.do(ImportMachine("both1", "", (ImportedInterface("0C0000000001", ("10.2.0.9", "fd00:0:0:1::9"), four),)))
    world.do(Clone("both1", "gold", is_template=True))
    assert [one.dual_stack_subnet.resource_ref for one in machine(world, "gold").networks if one.dual_stack_subnet] == [
        six
    ]
    world.do(Clone("gold", "d1"))
    assert world.addresses("d1-eth0") == "01 10.2.0.2 fd00:0:0:1::2"
    networks = [{"subnet": {"resourceRef": four.upper()}, "dualStackSubnet": {"resourceRef": six.upper()}}]
    assert world.put("/weft/virtualMachines/gold", {"isTemplate": True, "networks": networks}).outcome == "unchanged"
