"""PUT and DELETE of networkInterfaces: the MAC address for life, its uniqueness, what is fixed and what is refused."""

from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, static_interface
from weft.core.changes import LeaseChange

BLUE = "/virtualNetworks/blue/subnets/web"
RED = "/virtualNetworks/red/subnets/web"


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    world.network("blue")
    world.network("red")
    return world


@pytest.mark.parametrize(
    "text", ["00155D0102aa", "00-15-5D-01-02-AA", "00:15:5d:01:02:aa", "0015.5d01.02aa", "00155D0102AA"]
)
def test_every_notation_of_a_static_mac_is_one_address(world: World, text: str) -> None:
    world.put("/networkInterfaces/n1", static_interface("00-15-5D-01-02-AA"))
    assert world.put("/networkInterfaces/n1", static_interface(text)).outcome == "unchanged"
    assert world.get("/networkInterfaces/n1").properties.private_mac_address == "00155D0102AA"
    refusal = world.refused("/networkInterfaces/n2", static_interface(text))
    assert refusal.code == "PrivateMacAddressInUse"
    assert (refusal.scope, refusal.address, refusal.asker) == ("mac", 0x00155D0102AA, "/networkInterfaces/n2")


@pytest.mark.parametrize(
    "text", ["00155D0102", "00-15-5D:01-02-AA", "00155D0102AG", "001-55D-010-2AA", "00 15 5D 01 02 AA"]
)
def test_what_is_no_mac_is_refused(world: World, text: str) -> None:
    refusal = world.refused("/networkInterfaces/n1", static_interface(text))
    assert (refusal.code, refusal.target) == ("InvalidPrivateMacAddress", "privateMacAddress")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("000000000000", "no address is assigned"),
        ("FFFFFFFFFFFF", "group address"),
        ("01005E000001", "group address"),
        ("333300000001", "group address"),
        ("00005E000101", "IANA"),
        ("00000C07AC01", "HSRP"),
        ("00000C9FF001", "HSRP"),
        ("000573A00001", "HSRP"),
        ("0007B4000101", "GLBP"),
        ("02BF0A000001", "Network Load Balancing"),
        ("02010A000001", "Network Load Balancing"),
        ("025745465401", "distributed router"),
        ("02574546543F", "hosts' own ports"),
    ],
)
def test_a_reserved_mac_is_refused_with_the_reason(world: World, text: str, why: str) -> None:
    refusal = world.refused("/networkInterfaces/n1", static_interface(text))
    assert refusal.code == "InvalidPrivateMacAddress"
    assert why in refusal.message
    assert (refusal.scope, refusal.asker) == ("mac", "/networkInterfaces/n1")


@pytest.mark.parametrize("text", ["00005D0102AA", "00005F000000", "025745465440", "0257454653FF", "022100000000"])
def test_a_neighbour_of_a_reserved_range_is_accepted(world: World, text: str) -> None:
    assert world.put("/networkInterfaces/n1", static_interface(text)).outcome == "created"


def test_a_static_interface_without_address_is_refused(world: World) -> None:
    assert world.refused("/networkInterfaces/n1", static_interface("")).code == "PrivateMacAddressMissing"


@pytest.mark.parametrize("method", ["", "Manual"])
def test_the_allocation_method_is_required(world: World, method: str) -> None:
    refusal = world.refused("/networkInterfaces/n1", {"privateMacAllocationMethod": method})
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", "privateMacAllocationMethod")


def test_what_is_fixed_at_creation_cannot_be_updated(world: World) -> None:
    world.interface("n1")
    refuse = {
        "PrivateMacAllocationMethodCannotBeUpdated": static_interface("00155D0102AA"),
        "PrimaryNicPropertyCannotBeUpdated": dynamic_interface(isPrimary=False),
        "IsHostVirtualNetworkInterfaceCannotBeUpdated": dynamic_interface(isHostVirtualNetworkInterface=True),
    }
    for code, body in refuse.items():
        assert world.refused("/networkInterfaces/n1", body).code == code


def test_what_is_not_served_is_refused_not_stored(world: World) -> None:
    refusal = world.refused("/networkInterfaces/n1", dynamic_interface(isMultitenantStack=True))
    assert refusal.code == "OperationNotSupported"
    assert "not served yet" in refusal.message


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({"macSpoofingEnabled": "On"}, "macSpoofingEnabled"),
        ({"arpGuardEnabled": ""}, "arpGuardEnabled"),
        ({"dhcpGuardEnabled": "yes"}, "dhcpGuardEnabled"),
        ({"iovInterruptModeration": "Sometimes"}, "iovInterruptModeration"),
        ({"stormLimit": -1}, "stormLimit"),
        ({"stormLimit": 1 << 32}, "stormLimit"),
        ({"portFlowLimit": -1}, "portFlowLimit"),
        ({"vmqWeight": 101}, "vmqWeight"),
        ({"iovWeight": -1}, "iovWeight"),
        ({"iovQueuePairsRequested": 1 << 32}, "iovQueuePairsRequested"),
        ({"qosSettings": {"outboundMaximumMbps": -1}}, "qosSettings.outboundMaximumMbps"),
        ({"qosSettings": {"inboundMaximumMbps": 1_000_001}}, "qosSettings.inboundMaximumMbps"),
        ({"qosSettings": {"outboundReservedValue": 1_000_001}}, "qosSettings.outboundReservedValue"),
        (
            {"qosSettings": {"outboundReservedValue": 60, "outboundMaximumMbps": 50}},
            "qosSettings.outboundReservedValue",
        ),
    ],
)
def test_port_settings_have_bounds(world: World, settings: dict[str, Any], target: str) -> None:
    refusal = world.refused("/networkInterfaces/n1", dynamic_interface(portSettings=settings))
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", f"portSettings.{target}")


def test_port_settings_are_stored_in_canonical_words(world: World) -> None:
    asked = {
        "macSpoofingEnabled": "enabled",
        "dhcpGuardEnabled": "ENABLED",
        "iovInterruptModeration": "low",
        "stormLimit": (1 << 32) - 1,
        "qosSettings": {"outboundReservedValue": 50, "outboundMaximumMbps": 50, "inboundMaximumMbps": 1_000_000},
    }
    stored = world.interface("n1", portSettings=asked).properties.port_settings
    assert (stored.mac_spoofing_enabled, stored.dhcp_guard_enabled) == ("Enabled", "Enabled")
    assert stored.iov_interrupt_moderation == "Low"
    assert stored.qos_settings.inbound_maximum_mbps == 1_000_000


def test_settings_that_change_nothing_are_stored(world: World) -> None:
    settings = {"macSpoofingEnabled": "Disabled", "arpGuardEnabled": "Enabled", "vmqWeight": 0, "qosSettings": {}}
    stored = world.interface("n1", portSettings=settings, internalDnsNameLabel="web1").properties
    assert stored.port_settings.arp_guard_enabled == "Enabled"
    assert stored.internal_dns_name_label == "web1"


def test_dns_settings_belong_to_a_primary_interface_and_hold_addresses(world: World) -> None:
    servers = {"dnsServers": ["8.8.8.8", "FD00::1"]}
    refusal = world.refused("/networkInterfaces/n1", dynamic_interface(dnsSettings=servers, isPrimary=False))
    assert refusal.code == "OnlyPrimaryNetworkInterfaceCanHaveDnsSettings"
    wrong = dynamic_interface(dnsSettings={"dnsServers": ["dns1"]})
    assert world.refused("/networkInterfaces/n1", wrong).target == "dnsSettings"
    stored = world.interface("n1", dnsSettings=servers).properties
    assert stored.dns_settings.dns_servers == ("8.8.8.8", "fd00::1")
    assert world.interface("n2", dnsSettings={"dnsServers": []}, isPrimary=False) is not None


def test_a_dynamic_mac_is_kept_whatever_an_update_repeats_or_omits(world: World) -> None:
    mac = world.interface("n1").properties.private_mac_address
    assert world.put("/networkInterfaces/n1", dynamic_interface()).outcome == "unchanged"
    other = dynamic_interface(privateMacAddress="00155D999999")
    assert world.put("/networkInterfaces/N1", other).outcome == "unchanged"
    moved = world.put("/networkInterfaces/n1", dynamic_interface(RED)).resource
    assert moved.properties.private_mac_address == mac


def test_an_equal_static_mac_is_legal_in_another_l2_domain_only(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("101010101105", BLUE))
    world.put("/networkInterfaces/n2", static_interface("101010101105", RED))
    refusal = world.refused("/networkInterfaces/n3", static_interface("10-10-10-10-11-05", BLUE))
    assert refusal.code == "PrivateMacAddressInUse"
    assert "/networkInterfaces/n1" in refusal.message
    lease = world.mac_lease("101010101105")
    assert lease is not None
    assert [holder.ref for holder in lease.holders] == ["/networkInterfaces/n1", "/networkInterfaces/n2"]


def test_an_interface_without_subnet_may_meet_everyone(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("101010101105", BLUE))
    assert world.refused("/networkInterfaces/n2", static_interface("101010101105", None)).code == (
        "PrivateMacAddressInUse"
    )
    world.put("/networkInterfaces/n3", static_interface("101010101106", None))
    assert world.refused("/networkInterfaces/n4", static_interface("101010101106", RED)).code == (
        "PrivateMacAddressInUse"
    )


def test_a_granted_mac_is_unique_in_the_whole_installation(world: World) -> None:
    mac = world.interface("n1", BLUE).properties.private_mac_address
    assert world.refused("/networkInterfaces/n2", static_interface(mac, RED)).code == "PrivateMacAddressInUse"
    world.put("/networkInterfaces/n2", static_interface("02-00-00-00-00-01", RED))
    assert world.interface("n3", BLUE).properties.private_mac_address == "020000000002"


def test_moving_twins_into_one_domain_is_refused(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("101010101105", BLUE))
    world.put("/networkInterfaces/n2", static_interface("101010101105", RED))
    refusal = world.refused("/networkInterfaces/n2", static_interface("101010101105", BLUE))
    assert refusal.code == "PrivateMacAddressInUse"
    assert "/networkInterfaces/n1" in refusal.message


def test_a_domain_change_is_history_of_the_mac(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("101010101105", BLUE))
    changes = world.put("/networkInterfaces/n1", static_interface("101010101105", RED)).changes
    events = [(c.scope, c.event) for c in changes if isinstance(c, LeaseChange)]
    assert ("mac", "moved") in events
    lease = world.mac_lease("101010101105")
    assert lease is not None
    assert lease.holders[0].domain == RED.lower()


def test_another_static_mac_releases_the_old_and_takes_the_new(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("02-00-00-00-00-01", BLUE))
    world.put("/networkInterfaces/n1", static_interface("10-10-10-10-11-05", BLUE))
    old, new = world.mac_lease("020000000001"), world.mac_lease("101010101105")
    assert old is not None and new is not None
    assert (old.state, new.state) == ("cooling", "assigned")


def test_a_cooling_mac_is_refused_to_others_and_given_back_to_its_last_holder(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("02-00-00-00-00-01", BLUE))
    world.delete("/networkInterfaces/n1")
    refusal = world.refused("/networkInterfaces/n2", static_interface("02-00-00-00-00-01", RED))
    assert refusal.code == "PrivateMacAddressInUse"
    assert "/networkInterfaces/n1" in refusal.message
    assert "3600 s" in refusal.message
    assert (refusal.scope, refusal.address, refusal.asker) == ("mac", 0x020000000001, "/networkInterfaces/n2")
    world.put("/networkInterfaces/N1", static_interface("02-00-00-00-00-01", BLUE))
    lease = world.mac_lease("020000000001")
    assert lease is not None
    assert (lease.state, lease.until) == ("assigned", 0.0)
    world.wait(4000)
    assert world.mac_lease("020000000001") == lease


def test_a_cool_down_ends_at_its_time_and_not_before(world: World) -> None:
    mac = world.interface("n1").properties.private_mac_address
    world.delete("/networkInterfaces/n1")
    world.wait(3599)
    assert world.mac_lease(mac) is not None
    world.wait(1)
    assert world.mac_lease(mac) is None
    assert world.state.cooling_ends() is None


def test_a_mac_outside_of_every_pool_is_free_at_once(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("101010101105", BLUE))
    world.delete("/networkInterfaces/n1")
    assert world.mac_lease("101010101105") is None


def test_a_twin_that_goes_leaves_the_address_to_the_other(world: World) -> None:
    world.put("/networkInterfaces/n1", static_interface("101010101105", BLUE))
    world.put("/networkInterfaces/n2", static_interface("101010101105", RED))
    world.delete("/networkInterfaces/n1")
    lease = world.mac_lease("101010101105")
    assert lease is not None
    assert (lease.state, [holder.ref for holder in lease.holders]) == ("assigned", ["/networkInterfaces/n2"])


def test_an_interface_of_a_machine_cannot_be_deleted(world: World) -> None:
    world.interface("n1")
    world.machine("web1", "h1", "Off", "n1")
    refusal = world.refused_delete("/networkInterfaces/n1")
    assert refusal.code == "NicInUse"
    assert "delete the machine first" in refusal.message


def test_a_refused_interface_leaves_nothing_behind(world: World) -> None:
    before = world.counts("/macpools/p1")
    world.put("/networkInterfaces/n1", static_interface("101010101105", BLUE, "10.1.1.11"))
    world.refused("/networkInterfaces/n2", static_interface("101010101106", BLUE, "10.1.1.11"))
    assert world.mac_lease("101010101106") is None
    assert world.counts("/macpools/p1") == before


def test_history_names_machine_and_host(world: World) -> None:
    world.interface("n1")
    world.machine("web1", "h1", "Off", "n1")
    changes = world.put("/networkInterfaces/n1", dynamic_interface(RED)).changes
    leases = [c for c in changes if isinstance(c, LeaseChange)]
    assert leases
    assert {(c.machine, c.host) for c in leases} == {("web1", "h1")}
    world.machine("web2", None, "Off")
    world.interface("n2")
    world.machine("web2", None, "Off", "n2")
    changes = world.put("/networkInterfaces/n2", dynamic_interface(RED)).changes
    assert {(c.machine, c.host) for c in changes if isinstance(c, LeaseChange)} == {("web2", "")}
