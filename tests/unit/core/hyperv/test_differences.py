"""What to change on a host: what is wanted, what is found, what must come of it."""

import pytest
from msgspec.structs import replace

from tests.unit.core.hyperv.networks import GATEWAY, ONE, TWO, blue, port
from weft.core.hyperv.differences import BoundPort, Changes, Difference, Replacement, adapter_of, difference
from weft.core.hyperv.found import Found, FoundAdapter, FoundAddress, FoundRoute, read_found
from weft.core.hyperv.network_virtualization import CustomerRoute, Desired, LookupRecord, ProviderAddress, ProviderRoute

WANTED = blue(1)
(ROUTE,) = WANTED.customer_routes
(ADDRESS,) = WANTED.provider_addresses
(WAY,) = WANTED.provider_routes
PORT = port(1)
ADAPTER = FoundAdapter("m1", "BlueVM1", "a1", "101010101105", 6001, PORT.instance_id)
EMPTY = Found(interface_index=12)
IN_PLACE = Found(
    interface_index=12,
    lookup_records=(TWO, GATEWAY, ONE),
    customer_routes=(ROUTE,),
    provider_addresses=(FoundAddress(ADDRESS, 12),),
    provider_routes=(FoundRoute(WAY, 12),),
    adapters=(ADAPTER,),
)


def test_a_host_that_is_as_it_should_be_is_left_alone():
    found = difference(WANTED, IN_PLACE)
    assert found == Difference()
    assert not found.changes


def test_after_a_restart_of_the_host_all_is_added_again():
    """Records do not survive it; the ports' virtual subnets do, or not."""
    closed = replace(ADAPTER, virtual_subnet_id=0)
    found = difference(WANTED, replace(EMPTY, adapters=(closed,)), before=WANTED)
    assert found.problems == found.foreign == ()
    assert found.changes == Changes(
        add_provider_addresses=(ADDRESS,),
        add_provider_routes=(WAY,),
        add_lookup_records=(GATEWAY, ONE, TWO),
        add_customer_routes=(ROUTE,),
        set_ports=(BoundPort("m1", "a1", 6001),),
    )
    assert found.changes


def lookups(*there: LookupRecord, wanted: Desired = WANTED, **more) -> Difference:
    return difference(wanted, replace(IN_PLACE, lookup_records=there), **more)


def test_a_machine_that_moved_has_its_record_set_in_place():
    moved = replace(TWO, provider_address="192.168.1.10")
    assert lookups(GATEWAY, ONE, moved).changes == Changes(set_lookup_records=(TWO,))


def test_another_mac_address_is_another_record():
    old = replace(TWO, mac_address="00155D010203")
    assert lookups(GATEWAY, ONE, old).changes == Changes(replace_lookup_records=(Replacement(old, TWO),))


def test_there_is_one_record_of_ours_for_each_address():
    """A second one, left by an agent that died between adding and removing, goes."""
    old, older = replace(TWO, mac_address="00155D010203"), replace(TWO, mac_address="00155D010204")
    assert lookups(GATEWAY, ONE, old, TWO).changes == Changes(remove_lookup_records=(old,))
    assert lookups(GATEWAY, ONE, old, older).changes == Changes(
        replace_lookup_records=(Replacement(old, TWO),), remove_lookup_records=(older,)
    )


def test_what_is_no_longer_wanted_goes_with_the_gateway_last_and_only_in_sync():
    gateway = replace(GATEWAY, virtual_subnet_id=6009, context="weft:gone gateway")
    gone = replace(TWO, virtual_subnet_id=6009, context="weft:gone")
    route = replace(ROUTE, virtual_subnet_id=6009)
    there = replace(IN_PLACE, lookup_records=(gateway, GATEWAY, ONE, TWO, gone), customer_routes=(route, ROUTE))
    assert difference(WANTED, there) == Difference(
        Changes(remove_customer_routes=(route,), remove_lookup_records=(gone, gateway))
    )
    early = difference(WANTED, there, in_sync=False)
    assert not early.changes


def test_what_another_hand_made_is_told_and_left_alone():
    strange = LookupRecord("10.9.9.9", 7000, "00155D010203", "192.168.9.9", context="by hand")
    route = CustomerRoute("{x}", 7000, "10.9.9.0/24", "0.0.0.0", 255)
    there = replace(
        IN_PLACE,
        lookup_records=(strange, GATEWAY, ONE, TWO),
        customer_routes=(route, ROUTE),
        provider_addresses=(FoundAddress(ADDRESS, 12), FoundAddress(ProviderAddress("192.168.7.7", 24), 12)),
        provider_routes=(
            FoundRoute(WAY, 12),
            FoundRoute(WAY, 13),
            FoundRoute(ProviderRoute("10.0.0.0/8", "1.2.3.4"), 12),
        ),
        adapters=(ADAPTER, FoundAdapter("m9", "Guest", "a9", "00155D010203", 6001)),
    )
    assert difference(WANTED, there) == Difference(
        foreign=(
            "provider address 192.168.7.7",
            "provider route 0.0.0.0/0 by 192.168.1.1",
            "provider route 10.0.0.0/8 by 1.2.3.4",
            "lookup record 10.9.9.9 of virtual subnet 7000",
            "customer route 10.9.9.0/24 of virtual subnet 7000",
            "an adapter of Guest in virtual subnet 6001",
        )
    )


def test_another_hands_record_with_the_right_mac_address_becomes_ours():
    """As after the five steps done by hand: nothing is removed, our mark is put on it."""
    assert lookups(GATEWAY, ONE, replace(TWO, context="")).changes == Changes(set_lookup_records=(TWO,))


def test_another_hands_record_with_another_mac_address_is_in_the_way():
    found = lookups(GATEWAY, ONE, replace(TWO, mac_address="00155D010203", context=""))
    assert not found.changes
    assert found.foreign == ("lookup record 10.1.1.12 of virtual subnet 6001",)
    assert "10.1.1.12" in found.problems[0]
    both = lookups(GATEWAY, ONE, TWO, replace(TWO, mac_address="00155D010203", context=""))
    assert (both.changes, both.problems) == (Changes(), ())
    assert both.foreign


def test_what_windows_learnt_itself_is_neither_ours_nor_foreign():
    learnt = replace(TWO, type="Dynamic", context="")
    assert lookups(GATEWAY, ONE, TWO, learnt) == Difference()


def routes(*there: CustomerRoute, **more) -> Difference:
    return difference(WANTED, replace(IN_PLACE, customer_routes=there, **more))


def test_a_route_that_differs_goes_before_ours_comes():
    """Windows refuses a second route of one virtual subnet."""
    old = replace(ROUTE, next_hop="10.1.1.9")
    assert routes(old).changes == Changes(remove_customer_routes=(old,), add_customer_routes=(ROUTE,))
    assert routes(replace(ROUTE, metric=1)).changes == Changes(set_customer_routes=(ROUTE,))


def test_a_route_by_another_hand_is_in_the_way():
    """It stays so once our records are there: what makes it ours is its routing domain."""
    old = replace(ROUTE, routing_domain_id="{0}")
    for more in ({}, {"lookup_records": ()}):
        found = routes(old, **more)
        assert found.changes.remove_customer_routes == found.changes.add_customer_routes == ()
        assert found.foreign == ("customer route 10.1.1.0/24 of virtual subnet 6001",)
        assert "6001" in found.problems[0]


def test_the_route_of_a_network_that_was_made_anew():
    """Its virtual subnet is the same and its routing domain another: our old records name the old one."""
    old = replace(ROUTE, routing_domain_id="{0}")
    records = tuple(replace(one, customer_id="{0}") for one in (GATEWAY, ONE, TWO))
    assert routes(old, lookup_records=records).changes == Changes(
        remove_customer_routes=(old,), set_lookup_records=(GATEWAY, ONE, TWO), add_customer_routes=(ROUTE,)
    )


def test_a_route_of_ours_stays_while_not_in_sync_unless_it_is_in_the_way():
    other = replace(ROUTE, virtual_subnet_id=6009)
    record = replace(GATEWAY, virtual_subnet_id=6009)
    there = replace(IN_PLACE, customer_routes=(ROUTE, other), lookup_records=(GATEWAY, ONE, TWO, record))
    assert not difference(WANTED, there, in_sync=False).changes
    old = replace(ROUTE, next_hop="10.1.1.9")
    in_the_way = difference(WANTED, replace(IN_PLACE, customer_routes=(old,)), in_sync=False)
    assert in_the_way.changes == Changes(remove_customer_routes=(old,), add_customer_routes=(ROUTE,))


def test_provider_addresses():
    """Ours on another adapter is taken from there; one that was ours before goes; a cluster's is its own."""
    there = replace(
        IN_PLACE,
        provider_addresses=(FoundAddress(ADDRESS, 13), FoundAddress(ProviderAddress("192.168.1.9", 24), 12)),
        provider_routes=(FoundRoute(ProviderRoute("0.0.0.0/0", "192.168.1.254"), 12),),
    )
    before = Desired(
        provider_addresses=(ProviderAddress("192.168.1.9", 24),),
        provider_routes=(ProviderRoute("0.0.0.0/0", "192.168.1.254"),),
    )
    assert difference(WANTED, there, before) == Difference(
        Changes(
            take_provider_addresses=(ADDRESS,),
            add_provider_addresses=(ADDRESS,),
            add_provider_routes=(WAY,),
            remove_provider_routes=(ProviderRoute("0.0.0.0/0", "192.168.1.254"),),
            remove_provider_addresses=(ProviderAddress("192.168.1.9", 24),),
        )
    )
    early = difference(WANTED, there, before, in_sync=False).changes
    assert (early.remove_provider_addresses, early.remove_provider_routes) == ((), before.provider_routes)
    unknown = difference(WANTED, there)
    assert unknown.problems == ("Another hand has a provider route 0.0.0.0/0: ours is not added.",)
    assert unknown.changes == Changes(take_provider_addresses=(ADDRESS,), add_provider_addresses=(ADDRESS,))
    no_longer = difference(replace(WANTED, provider_routes=()), IN_PLACE, WANTED)
    assert no_longer.changes == Changes(remove_provider_routes=(WAY,))
    clusters = replace(IN_PLACE, provider_addresses=(FoundAddress(ADDRESS, 13, managed_by_cluster=True),))
    assert difference(WANTED, clusters) == Difference(foreign=("provider address 192.168.1.10 is the cluster's",))
    other = replace(IN_PLACE, provider_addresses=(FoundAddress(replace(ADDRESS, prefix_length=16), 12),))
    assert difference(WANTED, other).changes == Changes(set_provider_addresses=(ADDRESS,))


def test_story_4_19_a_filter_that_is_not_bound_is_bound():
    assert difference(WANTED, replace(IN_PLACE, unbound=True)).changes == Changes(bind=True)


def test_without_the_physical_adapter_nothing_is_changed():
    found = difference(WANTED, Found())
    assert not found.changes
    assert "adapter" in found.problems[0]


def test_what_the_policy_warns_of_is_a_problem():
    assert difference(replace(WANTED, warnings=("no",)), IN_PLACE).problems == ("no",)


# Ports: story 4.9


def test_story_4_9_an_adapter_is_found_by_its_interface_id_wherever_it_stands():
    second = replace(ADAPTER, id="a2", mac_address="101010101199", instance_id="other")
    assert adapter_of(replace(PORT, of=2), (second, ADAPTER)) == ADAPTER


def test_story_4_9_an_adapter_without_interface_id_is_found_by_its_place():
    first = replace(ADAPTER, id="a1", mac_address="101010101199", instance_id="")
    second = replace(ADAPTER, id="a2", instance_id="")
    strange = FoundAdapter("m9", "Other", "a9", "101010101105", 0)
    assert adapter_of(replace(PORT, position=1, of=2), (strange, first, second)) == second


@pytest.mark.parametrize(
    ("wanted", "adapters", "said"),
    [
        (PORT, (), "BlueVM1 has no adapter on this host"),
        (replace(PORT, expected=False), (), ""),
        (PORT, (ADAPTER, replace(ADAPTER, machine_id="m2", id="a2")), "several machines"),
        (PORT, (ADAPTER, replace(ADAPTER, id="a2")), "has 2 adapters"),
        (replace(PORT, of=2), (replace(ADAPTER, instance_id=""),), "has no adapters"),
        (PORT, (replace(ADAPTER, instance_id="another"),), "has no adapters"),
        (PORT, (replace(ADAPTER, mac_address="00155D010203"),), "00155D010203 instead of 101010101105"),
        (replace(PORT, machine_id="m7"), (ADAPTER,), "no adapter on this host"),
    ],
)
def test_story_4_9_what_is_not_found_is_said(wanted, adapters, said):
    """The source's filter by MAC address found nothing where the address had changed, and said nothing."""
    found = adapter_of(wanted, adapters)
    assert isinstance(found, str)
    assert said in found
    assert bool(found) == bool(said)
    problems = difference(replace(WANTED, ports=(wanted,)), replace(IN_PLACE, adapters=adapters)).problems
    assert problems == ((found,) if found else ())


def test_a_machine_is_known_by_its_id_whatever_its_name():
    renamed = replace(ADAPTER, machine="somebody renamed it")
    assert adapter_of(replace(PORT, machine_id="m1"), (renamed,)) == renamed


# What a host tells


def test_what_windows_writes_is_read_into_the_same_values():
    document = {
        "InterfaceIndex": 12,
        "Unbound": False,
        "LookupRecords": [
            {
                "CustomerAddress": "10.1.1.11",
                "VirtualSubnetId": 6001,
                "MacAddress": "10-10-10-10-11-05",
                "ProviderAddress": "192.168.1.10",
                "Rule": "36",
                "Type": "",
                "Context": "weft:blue",
                "CustomerId": "{11111111-2222-3333-4444-000000000000}",
            },
            {
                "CustomerAddress": "fd00::0:1",
                "VirtualSubnetId": "6002",
                "MacAddress": "101010101106",
                "ProviderAddress": "192.168.1.10",
                "Rule": "TranslationMethodNat",
                "Type": "L2Only",
                "Context": None,
                "CustomerId": "{00000000-0000-0000-0000-000000000000}",
            },
        ],
        "CustomerRoutes": {
            "RoutingDomainId": "{11111111-2222-3333-4444-00000000000A}",
            "VirtualSubnetId": 6001,
            "DestinationPrefix": "10.1.1.0/24",
            "NextHop": "0.0.0.0",
            "Metric": 255,
        },
        "ProviderAddresses": [
            {
                "ProviderAddress": "192.168.1.10",
                "PrefixLength": 24,
                "VlanId": None,
                "InterfaceIndex": 12,
                "ManagedByCluster": False,
                "AddressState": "Preferred",
            }
        ],
        "ProviderRoutes": [
            {"DestinationPrefix": "0.0.0.0/0", "NextHop": "192.168.1.1", "Metric": None, "InterfaceIndex": 12}
        ],
        "Adapters": [
            {
                "MachineId": "AA-1",
                "Machine": "BlueVM1",
                "Id": "Microsoft:AA-1\\1",
                "MacAddress": "101010101105",
                "VirtualSubnetId": 6001,
                "ProfileId": "{0A000000-0000-0000-0000-000000000001}",
            },
            {
                "MachineId": "AA-2",
                "Machine": "new",
                "Id": "Microsoft:AA-2\\1",
                "MacAddress": "",
                "VirtualSubnetId": None,
                "ProfileId": "{00000000-0000-0000-0000-000000000000}",
            },
        ],
    }
    assert read_found(document) == Found(
        interface_index=12,
        lookup_records=(
            ONE,
            LookupRecord("fd00::1", 6002, "101010101106", "192.168.1.10", "TranslationMethodNat", "L2Only", ""),
        ),
        customer_routes=(CustomerRoute("{11111111-2222-3333-4444-00000000000a}", 6001, "10.1.1.0/24", "0.0.0.0", 255),),
        provider_addresses=(FoundAddress(ProviderAddress("192.168.1.10", 24, 0), 12, False),),
        provider_routes=(FoundRoute(WAY, 12),),
        adapters=(
            FoundAdapter(
                *("aa-1", "BlueVM1", "Microsoft:AA-1\\1", "101010101105", 6001),
                "0a000000-0000-0000-0000-000000000001",
            ),
            FoundAdapter("aa-2", "new", "Microsoft:AA-2\\1", "000000000000", 0, ""),
        ),
    )
    empty = {name: None for name in document} | {"Unbound": True}
    assert read_found(empty) == Found(unbound=True)


def test_a_provider_address_that_another_machine_has_is_told_and_left():
    doubled = replace(IN_PLACE, provider_addresses=(FoundAddress(ADDRESS, 12, duplicate=True),))
    found = difference(WANTED, doubled, WANTED)
    assert not found.changes
    (words,) = found.problems
    assert "192.168.1.10" in words and "Windows does not use it" in words
