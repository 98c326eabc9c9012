"""Provider addresses by policy: what a host has for itself, and what comes and goes with its virtual subnets."""

from typing import Any

import pytest

from tests.unit.core.world import World, provider_address_of, provider_network, virtual_network
from weft.core import policy
from weft.core.commands import AdvanceProviderAddresses, BeginMove, Failover
from weft.core.provider_places import falls_to
from weft.model.errors import Refusal
from weft.model.leases import ip_scope
from weft.model.records import LookupRecord, PortBinding, ProviderAddress, TunnelEndpoint
from weft.model.values import Vsid, ip_text, pack_ip

SCOPE = ip_scope("/logicalNetworks/hnvpa", 4)
WEB, DB = "/virtualnetworks/blue/subnets/web", "/virtualnetworks/blue/subnets/db"


def world_of(policy: str, count: int = 1, last: str = "") -> World:
    """Hosts h1 and h2 in a provider network with a policy, and the network blue with the subnets web and db."""
    world = World()
    body = provider_network()
    if last:
        for subnet in body["subnets"]:
            pool = subnet["properties"]["ipPools"][0]["properties"]
            pool["endIpAddress"] = pool["startIpAddress"].rpartition(".")[0] + last
    world.put("/macPools/p1", {"startMacAddress": "02-00-00-00-00-00", "endMacAddress": "02-00-00-00-FF-FF"})
    world.put("/logicalNetworks/hnvpa", body | {"providerAddressPolicy": policy, "providerAddressCount": count})
    for server in ("h1", "h2"):
        adapter = {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]}
        world.put(f"/servers/{server}", {"networkInterfaces": [{"resourceId": "a", "properties": adapter}]})
    world.put("/virtualNetworks/blue", virtual_network({"web": "10.1.1.0/24", "db": "10.1.2.0/24"}))
    return world


def placed(world: World, name: str, subnet: str = "web", server: str = "h1") -> None:
    world.interface(f"{name}-nic", f"/virtualNetworks/blue/subnets/{subnet}")
    world.machine(name, server, "Off", f"{name}-nic")


def purposes(world: World, server: str = "h1") -> list[str]:
    """What the provider addresses of a host are for; empty for its own. Both ways in which they are kept agree."""
    addresses = world.state.addresses
    held = addresses.providers.get(f"/servers/{server}", {}).get(SCOPE, {})
    found = {address: why for (_, _, why), every in _providing(world, server) for address in every}
    assert found == held
    return sorted(held.values())


def _providing(world: World, server: str) -> list[tuple[tuple[str, str, str], set[int]]]:
    found = world.state.addresses.providing.items()
    assert all(every for _, every in found)
    return [one for one in found if one[0][:2] == (f"/servers/{server}", SCOPE)]


def test_a_host_has_one_by_default() -> None:
    world = world_of("perHost")
    placed(world, "vm1")
    assert purposes(world) == [""]


def test_several_are_granted_with_the_host() -> None:
    world = world_of("several", 3)
    assert len(world.get("/servers/h1").properties.provider_addresses) == 3
    world.put("/servers/h3", {"providerAddressPolicy": "PERHOST"})
    stored = world.get("/servers/h3").properties
    assert (stored.provider_address_policy, purposes(world, "h3")) == ("perHost", [])


def test_a_host_without_adapters_is_given_more_where_its_own_address_is() -> None:
    world = world_of("perHost")
    world.put("/servers/h3", {"providerAddresses": ["192.168.2.15"]})
    asked = {"providerAddresses": ["192.168.2.15"], "providerAddressPolicy": "several", "providerAddressCount": 3}
    world.put("/servers/h3", asked)
    found = world.get("/servers/h3").properties.provider_addresses
    assert (len(found), found[0]) == (3, "192.168.2.15")
    assert {text.rpartition(".")[0] for text in found} == {"192.168.2"}


@pytest.mark.parametrize(
    "body",
    [
        {"providerAddressPolicy": "perMachine"},
        {"providerAddressPolicy": "several", "providerAddressCount": 65},
        {"providerAddressPolicy": "several", "providerAddressCount": -1},
    ],
)
def test_what_is_no_policy_is_refused(body: dict[str, Any]) -> None:
    world = World()
    assert world.refused("/logicalNetworks/hnvpa", provider_network() | body).code == "InvalidParameterValue"
    assert world.refused("/servers/h1", body).code == "InvalidParameterValue"


def test_a_virtual_subnet_has_one_from_its_first_interface_to_its_last() -> None:
    world = world_of("perVirtualSubnet")
    assert purposes(world) == [""]
    placed(world, "vm1")
    placed(world, "vm2")
    placed(world, "vm3", "db")
    assert purposes(world) == ["", DB, WEB]
    assert world.get("/servers/h1").properties.provider_addresses == (
        provider_address_of(world, "h1", "/logicalNetworks/hnvpa"),
    )
    world.delete("/weft/virtualMachines/vm1")
    assert purposes(world) == ["", DB, WEB]
    world.delete("/weft/virtualMachines/vm2")
    assert purposes(world) == ["", DB]
    assert [lease.state for lease in world.state.leases(SCOPE).values()].count("cooling") == 1


def test_a_host_that_names_no_provider_subnet_has_more_where_its_own_address_is() -> None:
    world = world_of("perVirtualSubnet")
    world.put("/servers/h3", {"providerAddresses": ["192.168.2.14"]})
    placed(world, "vm1", server="h3")
    held = world.state.addresses.providers["/servers/h3"][SCOPE]
    assert sorted(held.values()) == ["", WEB]
    assert all(ip_text(address.to_bytes(4)).startswith("192.168.2.") for address in held)


def test_a_move_has_both_ends_until_it_is_over() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    world.power("vm1", "Running")
    world.move("vm1", "h2")
    assert (purposes(world, "h1"), purposes(world, "h2")) == (["", WEB], ["", WEB])
    for phase in ("switching", "switched", "done"):
        world.advance("vm1", phase)
    assert (purposes(world, "h1"), purposes(world, "h2")) == ([""], ["", WEB])


def test_a_failover_takes_the_need_along_at_once() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    world.power("vm1", "Running")
    world.do(Failover("vm1", "h2"))
    assert (purposes(world, "h1"), purposes(world, "h2")) == ([""], ["", WEB])
    assert change_of(world, "h2") is None
    assert told(world, "h2")[0] != world.get("/servers/h2").properties.provider_addresses[0]


def test_where_none_is_left_nothing_moves_and_nothing_fails_over_there() -> None:
    world = world_of("perVirtualSubnet")
    pool = world.state.space("/logicalnetworks/hnvpa/subnets/pa1/ippools/pool")
    assert pool is not None
    placed(world, "vm1")
    world.power("vm1", "Running")
    while pool.capacity - pool.taken.used:
        world.put(f"/servers/x{pool.taken.used}", {"networkInterfaces": [{"resourceId": "a", "properties": PA1}]})
    for command in (BeginMove("vm1", "h2"), Failover("vm1", "h2")):
        assert world.refuses(command).code == "PAIpAddressExhausted"
    assert (purposes(world, "h1"), purposes(world, "h2")) == (["", WEB], [""])


def test_an_interface_that_goes_to_another_subnet_takes_its_need_along() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    world.interface("vm1-nic", "/virtualNetworks/blue/subnets/db")
    assert purposes(world) == ["", DB]


def test_a_policy_that_changes_changes_what_is_held() -> None:
    world = world_of("perHost")
    placed(world, "vm1")
    world.put("/logicalNetworks/hnvpa", provider_network() | {"providerAddressPolicy": "perVirtualSubnet"})
    assert purposes(world) == ["", WEB]
    assert change_of(world).phase == "preparing" and len(change_of(world).coming) == 1
    server = {"networkInterfaces": [{"resourceId": "a", "properties": {}}], "providerAddressPolicy": "perHost"}
    server["networkInterfaces"][0]["properties"] = {
        "logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]
    }
    world.put("/servers/h1", server)
    assert (purposes(world), change_of(world)) == ([""], None)


def change_of(world: World, server: str = "h1") -> Any:
    return world.get(f"/servers/{server}").properties.provider_address_change


def goes_on(world: World, *phases: str, server: str = "h1") -> None:
    for phase in phases:
        world.do(AdvanceProviderAddresses(server, phase, change_of(world, server).generation))


def told(world: World, server: str = "h1") -> tuple[str, str, list[str]]:
    """What web's machine on a host is reached at, what its port sends from, and what is on the host's interface."""
    rdid = world.get("/virtualNetworks/blue").properties.routing_domain_number
    network = policy.network_stream(world.state, rdid)
    host = policy.host_stream(world.state, server)
    (lookup,) = (one for one in network.values() if isinstance(one, LookupRecord))
    (port,) = (one for one in host.values() if isinstance(one, PortBinding))
    own = sorted(ip_text(one.address) for one in host.values() if isinstance(one, ProviderAddress))
    accepted = sorted(ip_text(one.provider_address) for one in network.values() if isinstance(one, TunnelEndpoint))
    assert own == accepted
    return ip_text(lookup.provider_address), ip_text(port.provider_address), own


def awaited(world: World) -> list[str]:
    records = policy.host_stream(world.state, "h1").values()
    return [ip_text(one.address) for one in records if isinstance(one, ProviderAddress) and one.awaited]


OLD, NEW, OTHER = "192.168.1.10", "192.168.1.15", "192.168.1.16"


def asks(world: World, *addresses: str, server: str = "h1") -> None:
    body = {"networkInterfaces": [{"resourceId": "a", "properties": PA1}], "providerAddresses": list(addresses)}
    world.put(f"/servers/{server}", body)


PA1 = {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]}


def running_world(policy_name: str = "perHost", count: int = 1) -> World:
    world = world_of(policy_name, count)
    placed(world, "vm1")
    world.power("vm1", "Running")
    return world


def test_a_hosts_address_is_another_only_once_it_is_accepted_and_the_old_one_goes_last() -> None:
    world = running_world()
    asks(world, NEW)
    assert world.get("/servers/h1").properties.provider_addresses == (NEW,)
    assert told(world) == (OLD, OLD, [OLD, NEW])
    assert awaited(world) == [NEW]
    goes_on(world, "switched")
    assert told(world) == (NEW, NEW, [OLD, NEW])
    assert awaited(world) == []
    goes_on(world, "done")
    assert told(world) == (NEW, NEW, [NEW])
    assert change_of(world) is None
    assert [lease.state for lease in world.state.leases(SCOPE).values()].count("cooling") == 1


def test_a_host_that_nobody_uses_has_another_address_at_once() -> None:
    world = world_of("perHost")
    asks(world, NEW)
    assert change_of(world) is None
    assert purposes(world) == [""]


def test_what_was_asked_for_may_be_taken_back_or_be_another_while_it_is_prepared() -> None:
    world = running_world()
    asks(world, NEW)
    asks(world, OTHER)
    assert told(world) == (OLD, OLD, [OLD, OTHER])
    asks(world, OLD)
    assert told(world) == (OLD, OLD, [OLD])
    assert change_of(world) is None


def test_once_it_is_switched_it_must_end_first() -> None:
    world = running_world()
    asks(world, NEW)
    goes_on(world, "switched")
    asks(world, NEW)
    body = {"networkInterfaces": [{"resourceId": "a", "properties": PA1}], "providerAddresses": [OTHER]}
    assert world.refused("/servers/h1", body).code == "ProviderAddressesAreChanging"
    goes_on(world, "done")
    asks(world, OTHER)
    assert told(world) == (NEW, NEW, [NEW, OTHER])


def test_a_step_out_of_turn_or_of_another_change_is_refused() -> None:
    world = running_world()
    asks(world, NEW)
    for command, code in (
        (AdvanceProviderAddresses("h1", "done", change_of(world).generation), "InvalidParameterValue"),
        (AdvanceProviderAddresses("h1", "switched", 0), "ProviderAddressChangeIsOver"),
        (AdvanceProviderAddresses("h9", "switched", 0), "NotFound"),
    ):
        with pytest.raises(Refusal) as refused:
            world.do(command)
        assert refused.value.code == code


def test_a_policy_that_changes_while_machines_run_is_made_before_it_is_broken_both_ways() -> None:
    world = running_world()
    world.put("/logicalNetworks/hnvpa", provider_network() | {"providerAddressPolicy": "perVirtualSubnet"})
    before, _, both = told(world)
    assert before == OLD and len(both) == 2
    assert awaited(world) == [one for one in both if one != OLD]
    goes_on(world, "switched")
    (own,) = set(both) - {OLD}
    assert told(world) == (own, own, both)
    goes_on(world, "done")
    world.put("/logicalNetworks/hnvpa", provider_network())
    assert told(world) == (own, own, both)
    assert awaited(world) == []
    goes_on(world, "switched")
    assert told(world) == (OLD, OLD, both)
    goes_on(world, "done")
    assert told(world) == (OLD, OLD, [OLD])


def test_what_interfaces_bring_is_used_at_once_and_what_they_leave_goes_at_once() -> None:
    world = running_world("perVirtualSubnet")
    assert change_of(world) is None
    reached, sends, own = told(world)
    assert reached == sends != OLD and own == [OLD, reached]
    world.delete("/weft/virtualMachines/vm1")
    assert purposes(world) == [""]


def test_more_of_a_hosts_own_are_used_once_they_are_accepted() -> None:
    world = running_world()
    body = {"networkInterfaces": [{"resourceId": "a", "properties": PA1}], "providerAddressPolicy": "several"}
    world.put("/servers/h1", body | {"providerAddressCount": 4})
    assert told(world)[0] == OLD and len(told(world)[2]) == 4
    goes_on(world, "switched", "done")
    vsid = world.get("/virtualNetworks/blue").properties.subnets[0].properties.virtual_subnet_id
    own = [pack_ip(text) for text in told(world)[2]]
    assert told(world)[0] == ip_text(falls_to(vsid, own))


def test_virtual_subnets_are_dealt_out_evenly_and_one_address_more_moves_only_its_share() -> None:
    own = [pack_ip(f"192.168.1.{last}") for last in range(10, 14)]
    dealt = {vsid: falls_to(Vsid(vsid), own) for vsid in range(5000, 7000)}
    shares = sorted(list(dealt.values()).count(one) for one in own)
    assert 400 < shares[0] and shares[-1] < 600
    more = {vsid: falls_to(Vsid(vsid), [*own, pack_ip("192.168.1.14")]) for vsid in dealt}
    moved = {vsid for vsid in dealt if more[vsid] != dealt[vsid]}
    assert {more[vsid] for vsid in moved} == {pack_ip("192.168.1.14")} and 300 < len(moved) < 500


def test_a_host_that_is_deleted_gives_all_back() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    world.delete("/weft/virtualMachines/vm1")
    world.delete("/servers/h1")
    assert purposes(world) == []


def test_a_machine_is_not_placed_where_no_address_is_left_and_the_refusal_names_pool_and_holder() -> None:
    world = world_of("perVirtualSubnet")
    pool = world.state.space("/logicalnetworks/hnvpa/subnets/pa1/ippools/pool")
    assert pool is not None
    while pool.capacity - pool.taken.used:
        world.put(
            f"/servers/x{pool.taken.used}",
            {
                "networkInterfaces": [
                    {
                        "resourceId": "a",
                        "properties": {"logicalSubnets": [{"resourceRef": "/logicalNetworks/hnvpa/subnets/pa1"}]},
                    }
                ]
            },
        )
    world.interface("vm1-nic", "/virtualNetworks/blue/subnets/web")
    refusal = world.refused(
        "/weft/virtualMachines/vm1",
        {
            "networkInterfaces": [{"resourceRef": "/networkInterfaces/vm1-nic"}],
            "server": {"resourceRef": "/servers/h1"},
        },
    )
    assert refusal.code == "PAIpAddressExhausted"
    assert "/logicalNetworks/hnvpa/subnets/pa1/ipPools/pool" in refusal.message
    assert "is held by /servers/" in refusal.message
    assert purposes(world) == [""]


def test_a_subnets_address_is_not_asked_for_as_the_hosts_own() -> None:
    world = world_of("perVirtualSubnet")
    placed(world, "vm1")
    (address,) = (a for a, why in world.state.addresses.providers["/servers/h1"][SCOPE].items() if why)
    text = ".".join(str(address >> shift & 255) for shift in (24, 16, 8, 0))
    body = {"networkInterfaces": [{"resourceId": "a", "properties": PA1}], "providerAddresses": [text]}
    assert world.refused("/servers/h1", body).code == "PrivateIPAddressInUse"
