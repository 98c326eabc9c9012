"""PUT and DELETE of virtualNetworks and the virtualNetworkManager."""

from typing import Any

import msgspec
import pytest

from tests.unit.core.world import World, put_command, virtual_network
from weft.core import policy
from weft.core.changes import ResourceChange
from weft.model.tenancy import AddressSpace

BLUE = "/virtualNetworks/blue"


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    return world


def subnet(prefix: str, **more: Any) -> dict[str, Any]:
    return {"addressPrefix": prefix, **more}


def pair(ref: str) -> dict[str, Any]:
    return {"dualStackSubnet": {"resourceRef": f"{BLUE}/subnets/{ref}"}}


def vsids(world: World, network: str = "blue") -> list[int]:
    subnets = world.get(f"/virtualNetworks/{network}").properties.subnets
    return [one.properties.virtual_subnet_id for one in subnets]


# -- virtual networks


@pytest.mark.parametrize(
    ("word", "stored"),
    [("nvgre", "NVGRE"), ("Vxlan", "VXLAN"), ("rewrite", "Rewrite"), ("TranslationMethodNat", "Rewrite"), ("", "")],
)
def test_a_network_may_travel_otherwise_than_the_others(world: World, word: str, stored: str) -> None:
    world.put(BLUE, virtual_network({}) | {"networkVirtualizationProtocol": word})
    assert world.get(BLUE).properties.network_virtualization_protocol == stored


def test_a_network_that_travels_otherwise_is_told_so(world: World) -> None:
    world.network()
    number = world.get(BLUE).properties.routing_domain_number
    assert policy.record(world.state, ("network", number), (1,)).encapsulation == "vxlan"
    decision = world.put(BLUE, virtual_network({"web": "10.1.1.0/24"}) | {"networkVirtualizationProtocol": "NVGRE"})
    assert (("network", number), (1,)) in policy.touched(world.state, decision.changes)
    assert policy.record(world.state, ("network", number), (1,)).encapsulation == "nvgre"


def test_a_protocol_is_one_that_hosts_have(world: World) -> None:
    refusal = world.refused(BLUE, virtual_network({}) | {"networkVirtualizationProtocol": "GENEVE"})
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", "networkVirtualizationProtocol")


@pytest.mark.parametrize("seconds", [59, 366 * 86_400 + 1, -1])
def test_a_lease_has_bounds(world: World, seconds: int) -> None:
    refusal = world.refused(BLUE, virtual_network({}) | {"dhcpOptions": {"leaseSeconds": seconds}})
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", "leaseSeconds")


@pytest.mark.parametrize("most", [0, 65])
def test_addresses_of_a_guests_own_have_bounds(world: World, most: int) -> None:
    own = {"guestSpecifiedAddresses": {"enabled": True, "maximumPerInterface": most}}
    refusal = world.refused(BLUE, virtual_network({"web": subnet("10.1.1.0/24", **own)}))
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", "maximumPerInterface")


@pytest.mark.parametrize(
    ("ref", "code"),
    [
        (None, "InvalidLogicalNetworkReference"),
        ("", "InvalidLogicalNetworkReference"),
        ("/logicalNetworks/none", "InvalidLogicalNetworkReference"),
        ("/logicalNetworks/hnvpa/subnets/pa1", "InvalidLogicalNetworkReference"),
        ("/servers/h1", "InvalidLogicalNetworkReference"),
        ("/logicalNetworks/plain", "InvalidLogicalNetworkReference"),
    ],
)
def test_a_virtual_network_needs_a_provider_network(world: World, ref: str | None, code: str) -> None:
    world.put("/logicalNetworks/plain", {})
    body = virtual_network({"web": "10.1.1.0/24"})
    if ref is None:
        del body["logicalNetwork"]
    else:
        body["logicalNetwork"] = {"resourceRef": ref}
    refusal = world.refused(BLUE, body)
    assert (refusal.code, refusal.target) == (code, "logicalNetwork")


@pytest.mark.parametrize(
    ("subnets", "space"),
    [
        ({"web": "10.1.1.0/24"}, ()),
        ({}, ("10.0.0.0",)),
        ({}, ("10.0.0.1/8",)),
        ({}, ("10.0.0.0/40",)),
        ({}, ("10.0.0.0/8", "10.1.0.0/16")),
        ({}, ("224.0.0.0/8",)),
        ({}, ("127.0.0.0/8",)),
        ({}, ("10.0.0.0/8", "169.254.87.0/24")),
        ({}, ("224.0.0.0/3",)),
        ({}, ("255.255.255.0/24",)),
        ({}, ("0.0.0.0/0",)),
        ({}, ("fe80::/64",)),
        ({}, ("::ffff:0:0/96",)),
        ({"web": "11.1.1.0/24"}, ("10.0.0.0/8",)),
        ({"web": "fd00::/64"}, ("10.0.0.0/8",)),
        ({"web": "10.0.0.0/7"}, ("10.0.0.0/8",)),
        ({"web": "10.1.1.0/24", "db": "10.1.1.128/25"}, ("10.0.0.0/8",)),
        ({"web": "10.1.1.0/24", "db": "10.1.1.0/24"}, ("10.0.0.0/8",)),
        ({"web": "10.1.1.0/31"}, ("10.0.0.0/8",)),
        ({"web": "fd00::/127"}, ("fd00::/32",)),
        ({"web": ""}, ("10.0.0.0/8",)),
    ],
)
def test_a_wrong_prefix_is_refused(world: World, subnets: dict[str, Any], space: tuple[str, ...]) -> None:
    assert world.refused(BLUE, virtual_network(subnets, space)).code == "InvalidIPPrefix"


def test_a_space_of_before_that_would_be_refused_now_is_changed_all_the_same(world: World) -> None:
    """It was stored when prefixes were not compared with those that no host has."""
    world.put(BLUE, virtual_network({"web": "10.1.1.0/24"}, ("10.0.0.0/8",)))
    now = world.get(BLUE)
    space = AddressSpace(("10.0.0.0/8", "240.0.0.0/4"))
    assert world.refused(BLUE, virtual_network({}, space.address_prefixes)).code == "InvalidIPPrefix"
    before = msgspec.structs.replace(now, properties=msgspec.structs.replace(now.properties, address_space=space))
    world.state.apply(ResourceChange("virtualNetworks", "blue", now, before))
    world.put(BLUE, virtual_network({"web": "10.1.1.0/24", "db": "10.1.2.0/24"}, space.address_prefixes))
    assert len(world.get(BLUE).properties.subnets) == 2
    more = virtual_network({"web": "10.1.1.0/24", "db": "240.1.2.0/24"}, space.address_prefixes)
    assert "240.0.0.0/4 is reserved" in world.refused(BLUE, more).message


def test_two_networks_may_have_the_same_prefixes(world: World) -> None:
    world.network("blue")
    world.network("red")
    assert (vsids(world, "blue"), vsids(world, "red")) == ([4096], [4097])


def test_prefixes_are_stored_in_canonical_form_and_references_too(world: World) -> None:
    body = virtual_network({"web": "FD00:0::/64"}, ("FD00::/32",))
    body["logicalNetwork"] = {"resourceRef": "/LogicalNetworks/HNVPA"}
    body["dhcpOptions"] = {"dnsServers": ["FD00:0:0::53"]}
    stored = world.put(BLUE, body).resource.properties
    assert stored.address_space.address_prefixes == ("fd00::/32",)
    assert stored.subnets[0].properties.address_prefix == "fd00::/64"
    assert stored.logical_network.resource_ref == "/logicalNetworks/hnvpa"
    assert stored.dhcp_options.dns_servers == ("fd00::53",)


def test_too_many_dns_servers_are_refused(world: World) -> None:
    body = virtual_network({}) | {"dhcpOptions": {"dnsServers": [f"10.0.0.{at}" for at in range(10)]}}
    assert world.refused(BLUE, body).code == "DnsServerCountLimitReached"


def test_a_subnet_with_a_wrong_cool_down_is_refused(world: World) -> None:
    refusal = world.refused(BLUE, virtual_network({"web": subnet("10.1.1.0/24", coolDownSeconds=-1)}))
    assert refusal.target == "coolDownSeconds"


def test_routing_domain_numbers_are_unique_and_kept(world: World) -> None:
    for name in ("a", "b"):
        world.network(name)
    numbers = [world.get(f"/virtualNetworks/{name}").properties.routing_domain_number for name in ("a", "b")]
    assert numbers == [1, 2]
    world.put("/virtualNetworks/a", virtual_network({}))
    assert world.get("/virtualNetworks/a").properties.routing_domain_number == 1
    world.delete("/virtualNetworks/a")
    world.network("c")
    assert world.get("/virtualNetworks/c").properties.routing_domain_number == 3


@pytest.mark.parametrize("vsid", [1, 4095, 16_777_215, -4, 2**32])
def test_a_vsid_out_of_range_is_refused(world: World, vsid: int) -> None:
    refusal = world.refused(BLUE, virtual_network({"web": subnet("10.1.1.0/24", virtualSubnetId=vsid)}))
    assert (refusal.code, refusal.target) == ("InvalidParameterValue", "virtualSubnetId")


def test_a_vsid_asked_for_is_taken_if_it_is_free(world: World) -> None:
    for vsid in (4096, 6001, 16_777_214):
        world.put(f"/virtualNetworks/n{vsid}", virtual_network({"web": subnet("10.1.1.0/24", virtualSubnetId=vsid)}))
    refusal = world.refused(BLUE, virtual_network({"web": subnet("10.1.1.0/24", virtualSubnetId=6001)}))
    assert refusal.code == "VirtualSubnetIdInUse"
    assert "/virtualNetworks/n6001/subnets/web" in refusal.message
    twice = {name: subnet(f"10.1.{at}.0/24", virtualSubnetId=7000) for at, name in enumerate(("a", "b"))}
    assert world.refused(BLUE, virtual_network(twice)).code == "VirtualSubnetIdInUse"
    world.network("red")
    assert vsids(world, "red") == [4097]


def test_a_vsid_is_kept_changed_on_request_and_given_back(world: World) -> None:
    world.put(BLUE, virtual_network({"web": subnet("10.1.1.0/24", virtualSubnetId=6001)}))
    assert world.put(BLUE, virtual_network({"web": "10.1.1.0/24"})).outcome == "unchanged"
    world.put(BLUE, virtual_network({"web": subnet("10.1.1.0/24", virtualSubnetId=6002)}))
    assert vsids(world) == [6002]
    assert world.state.lease("vsid", 6001) is None
    world.delete(f"{BLUE}/subnets/web")
    assert world.state.lease("vsid", 6002) is None
    world.put(f"{BLUE}/subnets/web", subnet("10.1.1.0/24", virtualSubnetId=6001))
    world.delete(BLUE)
    assert not world.state.leases("vsid")


def test_subnets_of_one_network_may_exchange_their_vsids(world: World) -> None:
    def exchanged(web: int, db: int) -> dict[str, Any]:
        return virtual_network(
            {"web": subnet("10.1.1.0/24", virtualSubnetId=web), "db": subnet("10.1.2.0/24", virtualSubnetId=db)}
        )

    world.put(BLUE, exchanged(6001, 6002))
    world.put(BLUE, exchanged(6002, 6001))
    lease = world.state.lease("vsid", 6001)
    assert lease is not None
    assert [holder.ref for holder in lease.holders] == [f"{BLUE}/subnets/db"]


def test_a_dual_stack_pair_shares_one_vsid(world: World) -> None:
    both = {"web": subnet("10.1.1.0/24", **pair("web6")), "web6": "fd00::/64", "db": "10.1.2.0/24"}
    world.put(BLUE, virtual_network(both))
    assert vsids(world) == [4096, 4096, 4097]
    back = {"web": subnet("10.1.1.0/24", **pair("WEB6")), "web6": subnet("fd00::/64", **pair("web"))}
    world.put(BLUE, virtual_network(back))
    assert vsids(world) == [4096, 4096]
    lease = world.state.lease("vsid", 4096)
    assert lease is not None
    assert len(lease.holders) == 2


def test_pairing_two_subnets_gives_one_vsid_back_and_parting_grants_one(world: World) -> None:
    world.put(BLUE, virtual_network({"web": "10.1.1.0/24", "web6": "fd00::/64"}))
    assert vsids(world) == [4096, 4097]
    world.put(BLUE, virtual_network({"web": "10.1.1.0/24", "web6": subnet("fd00::/64", **pair("web"))}))
    assert vsids(world) == [4096, 4096]
    assert world.state.lease("vsid", 4097) is None
    world.put(BLUE, virtual_network({"web": "10.1.1.0/24", "web6": "fd00::/64"}))
    assert vsids(world) == [4096, 4098]


@pytest.mark.parametrize(
    ("subnets", "code"),
    [
        ({"web": subnet("10.1.1.0/24", **pair("none"))}, "InvalidResourceReference"),
        ({"web": subnet("10.1.1.0/24", **pair("web"))}, "InvalidResourceReference"),
        ({"web": subnet("10.1.1.0/24", **pair("db")), "db": "10.1.2.0/24"}, "InvalidResourceReference"),
        (
            {
                "web": subnet("10.1.1.0/24", **pair("six")),
                "db": subnet("10.1.2.0/24", **pair("six")),
                "six": "fd00::/64",
            },
            "InvalidParameterValue",
        ),
        (
            {
                "web": subnet("10.1.1.0/24", virtualSubnetId=6001, **pair("six")),
                "six": subnet("fd00::/64", virtualSubnetId=6002),
            },
            "InvalidParameterValue",
        ),
    ],
)
def test_a_wrong_pair_is_refused(world: World, subnets: dict[str, Any], code: str) -> None:
    refusal = world.refused(BLUE, virtual_network(subnets))
    assert refusal.code == code


def test_a_subnet_in_use_keeps_its_place(world: World) -> None:
    world.put(BLUE, virtual_network({"web": "10.1.1.0/24", "db": "10.1.2.0/24"}))
    world.interface("n1")
    refuse = [
        ({"db": "10.1.2.0/24"}, "InUseSubnetCannotBeDeleted"),
        ({"web": "10.1.0.0/23", "db": "10.1.2.0/24"}, "InUseSubnetCannotBeUpdated"),
        ({"web": subnet("10.1.1.0/24", virtualSubnetId=6001), "db": "10.1.2.0/24"}, "InUseSubnetCannotBeUpdated"),
    ]
    for subnets, code in refuse:
        refusal = world.refused(BLUE, virtual_network(subnets))
        assert refusal.code == code
        assert "/networkInterfaces/n1" in refusal.message
    assert world.refused_delete(f"{BLUE}/subnets/web").code == "InUseSubnetCannotBeDeleted"
    assert world.refused_delete(BLUE).code == "ResourceInUse"
    world.put(BLUE, virtual_network({"web": subnet("10.1.1.0/24", coolDownSeconds=5)}))
    world.delete("/networkInterfaces/n1")
    world.delete(BLUE)


def test_a_subnet_in_use_may_get_an_ipv6_partner_but_no_new_domain(world: World) -> None:
    world.put(BLUE, virtual_network({"web": "10.1.1.0/24"}))
    world.interface("n1")
    world.put(BLUE, virtual_network({"web": "10.1.1.0/24", "six": subnet("fd00::/64", **pair("web"))}))
    assert vsids(world) == [4096, 4096]
    world.delete("/networkInterfaces/n1")
    world.put(BLUE, virtual_network({"six": subnet("fd00::/64")}))
    world.interface("n1", f"{BLUE}/subnets/six")
    refusal = world.refused(BLUE, virtual_network({"web": subnet("10.1.1.0/24", **pair("six")), "six": "fd00::/64"}))
    assert refusal.code == "InUseSubnetCannotBeUpdated"


def test_the_address_space_cannot_shrink_below_its_subnets(world: World) -> None:
    world.network("blue")
    refusal = world.refused(BLUE, virtual_network({"web": "10.1.1.0/24"}, ("10.2.0.0/16",)))
    assert refusal.code == "InvalidIPPrefix"
    world.interface("n1")
    assert world.refused(BLUE, virtual_network({"web": "10.1.1.0/24"}, ("10.2.0.0/16",))).code == "VnetInUse"


def test_the_provider_network_is_fixed_while_an_interface_is_in_it(world: World) -> None:
    world.network("blue")
    world.put("/logicalNetworks/other", {"networkVirtualizationEnabled": True})
    other = virtual_network({"web": "10.1.1.0/24"}) | {"logicalNetwork": {"resourceRef": "/logicalNetworks/other"}}
    world.interface("n1")
    assert world.refused(BLUE, other).code == "VnetInUse"
    world.delete("/networkInterfaces/n1")
    world.put(BLUE, other)
    world.delete("/logicalNetworks/hnvpa/subnets/none")
    assert world.refused_delete("/logicalNetworks/other").code == "ResourceInUse"


def test_a_subnet_made_anew_begins_anew_but_what_cools_still_cools(world: World) -> None:
    world.network("blue")
    world.interface("n1")
    world.delete("/networkInterfaces/n1")
    world.delete(BLUE)
    world.network("blue")
    assert world.counts("/virtualnetworks/blue/subnets/web/4") == {"cooling": 1, "reserved": 3, "free": 252}
    stored = world.interface("n2")
    assert stored.properties.ip_configurations[0].properties.private_ip_address == "10.1.1.3"


def test_an_rdid_asked_for_is_taken_once(world: World) -> None:
    rdid = "11111111-2222-3333-4444-000000000000"
    world.put(BLUE, virtual_network({}), instanceId="{" + rdid.upper() + "}")
    assert world.get(BLUE).instance_id == rdid
    command = put_command("/virtualNetworks/red", virtual_network({}), instanceId=rdid)
    refusal = world.refuses(command)
    assert refusal.code == "RoutingDomainInUse"
    assert BLUE in refusal.message


# -- the manager


def manager(first: int = 4096, last: int = 16_777_214, **more: Any) -> dict[str, Any]:
    return {"virtualSubnetIdRange": {"startId": first, "endId": last}, **more}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (manager(5000, 5000), "InvalidVsidRangeFormat"),
        (manager(5001, 5000), "InvalidVsidRangeFormat"),
        (manager(4095, 5000), "InvalidVsidRangeValues"),
        (manager(4096, 16_777_216), "InvalidVsidRangeValues"),
        (manager(networkVirtualizationProtocol="GENEVE"), "InvalidParameterValue"),
        (manager(distributedRouterState="Disabled"), "OperationNotSupported"),
        (manager(enableMetering=True), "OperationNotSupported"),
    ],
)
def test_a_wrong_manager_is_refused(world: World, body: dict[str, Any], code: str) -> None:
    assert world.refused("/virtualNetworkManager/configuration", body).code == code


def test_the_manager_is_one_exists_from_the_first_and_stays() -> None:
    world = World()
    found = world.get("/virtualNetworkManager/configuration")
    assert found.instance_id and found.etag == f'W/"{found.instance_id}"'
    assert world.refused("/virtualNetworkManager/other", manager()).code == "NotFound"
    assert world.refused_delete("/virtualNetworkManager/configuration").code == "OperationNotSupported"
    stored = world.put("/VirtualNetworkManager/Configuration", manager(networkVirtualizationProtocol="Nvgre"))
    assert (stored.outcome, stored.resource.properties.network_virtualization_protocol) == ("replaced", "NVGRE")
    assert stored.resource.resource_id == "configuration"
    assert stored.resource.instance_id == found.instance_id


def test_vsid_16777215_is_accepted_as_end_and_never_granted(world: World) -> None:
    world.put("/virtualNetworkManager/configuration", manager(16_777_213, 16_777_215))
    world.put(BLUE, virtual_network({"a": "10.1.1.0/24", "b": "10.1.2.0/24"}))
    assert vsids(world) == [16_777_213, 16_777_214]
    refusal = world.refused("/virtualNetworks/red", virtual_network({"a": "10.1.1.0/24"}))
    assert refusal.code == "VirtualSubnetIdsExhausted"
    assert "2 assigned" in refusal.message


def test_the_range_can_be_narrowed_only_where_it_is_unused(world: World) -> None:
    world.put(BLUE, virtual_network({"a": subnet("10.1.1.0/24", virtualSubnetId=5000)}))
    for first, last in ((4096, 4999), (5001, 6000)):
        refusal = world.refused("/virtualNetworkManager/configuration", manager(first, last))
        assert refusal.code == "ResourceInUse"
        assert f"{BLUE}/subnets/a" in refusal.message
    world.put("/virtualNetworkManager/configuration", manager(5000, 5001))
    assert world.counts("vsid") == {"assigned": 1, "free": 1}
    world.put("/virtualNetworkManager/configuration", manager(4096, 16_777_215))
    assert world.counts("vsid") == {"assigned": 1, "free": 16_773_118}
