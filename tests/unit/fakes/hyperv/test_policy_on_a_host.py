"""A host's policy, put in place on the fake host: by the script that people run, and by the driver's two scripts."""

import pytest
from msgspec.structs import replace

from tests.unit.core.hyperv.networks import GATEWAY, ONE, TWO, blue, port
from tests.unit.fakes.hyperv.network_host import NetworkHost
from weft.core.hyperv.differences import Changes, Difference
from weft.core.hyperv.network_virtualization import CustomerRoute, Desired, LookupRecord, ProviderAddress
from weft.fakes.hyperv.machine import Vlan
from weft.fakes.hyperv.network_records import Lookup, ProviderRoute
from weft.fakes.hyperv.network_records import ProviderAddress as Held

BLUE = blue(1)
MAC = 0x101010101105
OTHER = "00000000-0000-4000-8000-00000000beef"


@pytest.fixture
def host() -> NetworkHost:
    made = NetworkHost("BlueVM1")
    made.console.set_static(made.machines["BlueVM1"], MAC)
    return made


def hold(record: LookupRecord) -> Lookup:
    return Lookup(
        *(record.customer_address, record.virtual_subnet_id, record.mac_address, record.provider_address),
        rule=record.rule,
        type=record.type,
        context=record.context,
        customer_id=record.customer_id,
    )


BY_HAND = (
    "Enable-NetAdapterBinding Ethernet -ComponentID ms_netwnv",
    'New-NetVirtualizationLookupRecord -CustomerAddress "10.1.1.11" -ProviderAddress "192.168.1.10"'
    ' -VirtualSubnetID "6001" -MACAddress "101010101105" -Rule "TranslationMethodEncap"',
    'New-NetVirtualizationLookupRecord -CustomerAddress "10.1.1.12" -ProviderAddress "192.168.2.20"'
    ' -VirtualSubnetID "6001" -MACAddress "101010101107" -Rule "TranslationMethodEncap"',
    'New-NetVirtualizationCustomerRoute -RoutingDomainID "{11111111-2222-3333-4444-000000000000}"'
    ' -VirtualSubnetID "6001" -DestinationPrefix "10.1.1.0/24" -NextHop "0.0.0.0" -Metric 255',
    "$NIC = Get-NetAdapter Ethernet",
    "New-NetVirtualizationProviderAddress -InterfaceIndex $NIC.InterfaceIndex"
    ' -ProviderAddress "192.168.1.10" -PrefixLength 24',
    "New-NetVirtualizationProviderRoute -InterfaceIndex $NIC.InterfaceIndex"
    ' -DestinationPrefix "0.0.0.0/0" -NextHop "192.168.1.1"',
    'Get-VMNetworkAdapter -VMName BlueVM1 | Where-Object {$_.MacAddress -eq "101010101105"}'
    " | Set-VMNetworkAdapter -VirtualSubnetID 6001",
)
"""The five steps of source 004 on its first host, as its reader types them."""


def by_hand(host: NetworkHost) -> None:
    host.world.type("\n".join(BY_HAND))


def test_the_script_does_the_five_steps_once(host):
    assert host.script(BLUE) == [
        "bound ms_netwnv to Ethernet",
        "added lookup record 6001 10.1.1.1 at 169.254.254.254",
        "added lookup record 6001 10.1.1.11 at 192.168.1.10",
        "added lookup record 6001 10.1.1.12 at 192.168.2.20",
        "added customer route 10.1.1.0/24 of virtual subnet 6001",
        "added provider address 192.168.1.10",
        "added provider route 0.0.0.0/0 by 192.168.1.1",
        "set BlueVM1-eth0 of BlueVM1 to 6001",
    ]
    assert (host.script(BLUE), host.warned, host.failed) == ([], [], "")
    assert host.difference(BLUE) == Difference()
    assert host.machines["BlueVM1"].nics[0].virtual_subnet_id == 6001


def test_the_script_leaves_the_host_as_the_five_steps_by_hand_do(host):
    by_hand(host)
    typed = host.found()
    other = NetworkHost("BlueVM1")
    other.console.set_static(other.machines["BlueVM1"], MAC)
    other.script(BLUE)
    ours = other.found()
    unmarked = {replace(one, context="", customer_id="") for one in ours.lookup_records if not one.is_gateway}
    assert unmarked == set(typed.lookup_records)
    for kind in ("interface_index", "unbound", "customer_routes", "provider_addresses", "provider_routes", "adapters"):
        assert getattr(ours, kind) == getattr(typed, kind)


def test_what_was_typed_by_hand_becomes_ours(host):
    by_hand(host)
    assert host.script(BLUE) == [
        "added lookup record 6001 10.1.1.1 at 169.254.254.254",
        "set lookup record 6001 10.1.1.11 to 192.168.1.10",
        "set lookup record 6001 10.1.1.12 to 192.168.2.20",
    ]
    assert host.difference(BLUE) == Difference()


def test_story_4_18_after_a_restart_everything_is_there_again(host):
    host.script(BLUE)
    host.host.restart()
    assert host.found().lookup_records == ()
    assert len(host.script(BLUE)) == 6  # the binding and the port's virtual subnet survive
    host.host.restart()
    host.apply(host.difference(BLUE).changes)
    assert host.difference(BLUE) == Difference()


def test_a_machine_that_moved_or_has_another_mac_address(host):
    host.script(BLUE)
    moved = replace(TWO, provider_address="192.168.1.10")
    renewed = replace(BLUE, lookup_records=(GATEWAY, ONE, replace(moved, mac_address="02ABCDEF0001")))
    assert host.script(replace(BLUE, lookup_records=(GATEWAY, ONE, moved))) == [
        "set lookup record 6001 10.1.1.12 to 192.168.1.10"
    ]
    assert host.script(renewed) == ["added lookup record 6001 10.1.1.12 at 192.168.1.10"]
    assert host.difference(renewed) == Difference()


OUT = LookupRecord("10.1.9.4", 6009, "101010109904", "192.168.2.20", context="weft:blue", customer_id=ONE.customer_id)
WAY_OUT = replace(
    BLUE,
    lookup_records=(*BLUE.lookup_records, replace(OUT, customer_address="0.0.0.0", type="GatewayWildcard"), OUT),
    customer_routes=(*BLUE.customer_routes, CustomerRoute(ONE.customer_id, 6009, "0.0.0.0/0", "10.1.9.4", 255)),
)


def test_the_way_out_of_a_network_comes_moves_and_goes(host):
    assert [one for one in host.script(WAY_OUT) if "6009" in one] == [
        "added lookup record 6009 0.0.0.0 at 192.168.2.20",
        "added lookup record 6009 10.1.9.4 at 192.168.2.20",
        "added customer route 0.0.0.0/0 of virtual subnet 6009",
    ]
    assert (host.script(WAY_OUT), host.failed, host.difference(WAY_OUT)) == ([], "", Difference())
    records = (replace(one, provider_address="192.168.1.77") for one in WAY_OUT.lookup_records[-2:])
    moved = replace(WAY_OUT, lookup_records=(*BLUE.lookup_records, *records))
    host.apply(host.difference(moved).changes)
    assert (host.script(moved), host.difference(moved)) == ([], Difference())
    host.apply(host.difference(BLUE, moved).changes)
    assert host.difference(BLUE) == Difference()
    host.apply(host.difference(WAY_OUT).changes)
    assert host.script(WAY_OUT) == []
    assert len(host.script(BLUE, Sweep=True)) == 3


def test_only_a_sweep_removes_what_is_no_longer_in_the_policy(host):
    host.script(BLUE)
    empty = replace(BLUE, lookup_records=(), customer_routes=(), ports=())
    assert host.script(empty) == []
    assert host.script(empty, Sweep=True) == [
        "removed customer route 10.1.1.0/24 of virtual subnet 6001",
        "removed lookup record 6001 10.1.1.11",
        "removed lookup record 6001 10.1.1.12",
        "removed lookup record 6001 10.1.1.1",
    ]
    assert host.script(empty, Sweep=True) == []


def test_what_another_hand_made_stays_and_is_warned_of_where_it_is_in_the_way(host):
    strange = replace(TWO, mac_address="00155D010203", context="")
    host.host.records.add_lookup(hold(strange))
    host.script(BLUE, Sweep=True)
    assert host.warned == ["Another hand has lookup record 6001 10.1.1.12, with MAC address 00155D010203."]
    assert "Not all" in host.failed
    assert strange in host.found().lookup_records
    assert host.difference(BLUE).foreign == ("lookup record 10.1.1.12 of virtual subnet 6001",)


def test_a_route_by_another_hand_is_in_the_way(host):
    route = CustomerRoute("{22222222-2222-3333-4444-000000000000}", 6001, "10.1.1.0/24", "0.0.0.0", 255)
    host.world.type(
        "New-NetVirtualizationCustomerRoute -RoutingDomainID '{22222222-2222-3333-4444-000000000000}'"
        " -VirtualSubnetID 6001 -DestinationPrefix '10.1.1.0/24' -NextHop '0.0.0.0' -Metric 255"
    )
    host.script(BLUE)
    assert host.warned == ["Another hand has a customer route where 10.1.1.0/24 of virtual subnet 6001 should be."]
    assert host.found().customer_routes == (route,)
    # also once the subnet has records of ours
    host.script(BLUE, Sweep=True)
    assert (len(host.warned), host.found().customer_routes) == (1, (route,))
    assert host.difference(BLUE).changes == Changes()


def test_a_provider_route_by_another_gateway_is_in_the_way(host):
    host.host.records.add_provider_route(ProviderRoute(4, "0.0.0.0/0", "192.168.1.254"))
    host.script(BLUE)
    assert "192.168.1.254" in host.warned[0]
    before = replace(BLUE, provider_routes=(replace(BLUE.provider_routes[0], next_hop="192.168.1.254"),))
    host.apply(host.difference(BLUE, before).changes)
    assert host.difference(BLUE) == Difference()


def test_story_4_8_a_provider_address_on_the_wrong_adapter_is_taken_from_there(host):
    host.host.records.add_provider_address(Held("192.168.1.10", 9, 24))
    assert "took provider address 192.168.1.10 from another adapter" in host.script(BLUE)
    assert host.difference(BLUE) == Difference()


def test_a_provider_address_gets_its_vlan_and_prefix(host):
    host.script(BLUE)
    other = replace(BLUE, provider_addresses=(ProviderAddress("192.168.1.10", 16, 7),))
    assert host.script(other) == ["set provider address 192.168.1.10"]
    assert host.script(other) == []
    host.apply(host.difference(BLUE).changes)
    assert host.difference(BLUE) == Difference()


def test_without_its_physical_adapter_the_script_stops_at_once(host):
    host.host.net_adapters[0].name = "pNIC 7"
    assert host.script(BLUE) == []
    assert "no network adapter named Ethernet" in host.failed
    assert "-Adapter" in host.failed
    host.script(BLUE, Adapter="pNIC 7")
    assert host.failed == ""


def test_story_4_9_a_changed_mac_address_is_an_error_and_no_silence(host):
    """The source's filter finds nothing then. The rest of the policy is put in place all the same."""
    host.console.set_static(host.machines["BlueVM1"], 0x00155D010203)
    host.script(BLUE)
    said = "BlueVM1: the adapter of BlueVM1-eth0 has MAC address 00155D010203 instead of 101010101105."
    assert (host.warned, "Not all" in host.failed) == ([said], True)
    assert host.machines["BlueVM1"].nics[0].virtual_subnet_id == 0
    assert len(host.found().lookup_records) == 3
    assert host.difference(BLUE).problems == (said,)


def test_story_4_9_a_dynamic_mac_address_is_warned_of(host):
    vm = host.machines["BlueVM1"]
    vm.nics[0].dynamic = True
    host.script(BLUE)
    assert "another MAC address at its next start" in host.warned[0]
    assert (host.failed, vm.nics[0].virtual_subnet_id) == ("", 6001)


def test_a_machine_that_is_missing_is_an_error_unless_it_may_yet_come():
    host = NetworkHost()
    host.script(BLUE)
    assert (host.warned, "Not all" in host.failed) == (["0 machines of this host are BlueVM1."], True)
    host.script(replace(BLUE, ports=(port(1, expected=False),)))
    assert (host.warned, host.failed) == ([], "")


def test_two_machines_of_one_name_are_told_apart_by_id_only(host):
    twin = host.console.create("BlueVM1")
    host.console.set_static(twin, MAC + 1)
    host.script(BLUE)
    assert host.warned == ["2 machines of this host are BlueVM1."]
    known = replace(BLUE, ports=(port(1, machine_id=host.machines["BlueVM1"].id),))
    assert host.script(known) == ["set BlueVM1-eth0 of BlueVM1 to 6001"]
    assert twin.nics[0].virtual_subnet_id == 0


def two_adapters() -> tuple[NetworkHost, Desired]:
    host = NetworkHost()
    vm = host.machines["BlueVM1"] = host.console.create("BlueVM1", adapters=2)
    host.console.set_static(vm, 0x02ABCDEF0001, adapter=0)
    host.console.set_static(vm, MAC, adapter=1)
    first = port(1, network_interface="front", instance_id=OTHER, mac_address="02ABCDEF0001", of=2)
    second = port(1, position=1, of=2)
    return host, replace(BLUE, ports=(replace(first, virtual_subnet_id=6002), second))


def test_story_4_9_two_adapters_get_what_is_theirs():
    host, desired = two_adapters()
    host.script(desired)
    assert [nic.virtual_subnet_id for nic in host.machines["BlueVM1"].nics] == [6002, 6001]


def test_story_4_9_two_adapters_where_one_was_meant_are_an_error():
    host, _ = two_adapters()
    host.script(BLUE)
    assert host.warned == ["0 adapters of BlueVM1 are BlueVM1-eth0."]
    assert [nic.virtual_subnet_id for nic in host.machines["BlueVM1"].nics] == [0, 0]


def test_story_4_9_the_port_profile_finds_an_adapter_wherever_it_stands():
    """Written by version 2, found by version 1 after the adapters changed places."""
    host, desired = two_adapters()
    assert len(host.script(desired, "v2")) == 2
    vm = host.machines["BlueVM1"]
    vm.adapters = tuple(reversed(vm.adapters))
    host.script(desired)
    assert (host.warned, [nic.virtual_subnet_id for nic in vm.nics]) == ([], [6001, 6002])


def test_version_2_writes_port_profiles_once(host):
    assert host.script(BLUE, "v2") == ["added the port profile of BlueVM1-eth0 of BlueVM1"]
    assert host.script(BLUE, "v2") == []
    nic = host.machines["BlueVM1"].nics[0]
    assert nic.profile is not None
    assert nic.profile.value("ProfileId") == "{" + port(1).instance_id + "}"
    assert nic.profile.value("VendorId") == "{1FA41B39-B444-4E43-B35A-E1F7985FD548}"
    assert nic.profile.value("ProfileData") == 1
    assert (host.found().lookup_records, nic.virtual_subnet_id) == ((), 0)


def test_version_2_sets_a_profile_that_is_there_and_leaves_the_vlan(host):
    host.script(BLUE, "v2")
    nic = host.machines["BlueVM1"].nics[0]
    values = dict(nic.profile.values) | {"ProfileId": "{00000000-0000-0000-0000-000000000000}", "ProfileData": 2}
    nic.profile, nic.vlan = type(nic.profile)(tuple(values.items())), Vlan("Access", 7)
    assert host.script(BLUE, "v2") == [
        "took BlueVM1-eth0 of BlueVM1 out of its VLAN",
        "set the port profile of BlueVM1-eth0 of BlueVM1",
    ]
    assert host.script(BLUE, "v2") == []


def test_what_the_policy_warns_of_is_said(host):
    host.script(replace(BLUE, warnings=("a $warning '{0}'",)))
    assert (host.warned, host.failed) == (["a $warning '{0}'"], "")
