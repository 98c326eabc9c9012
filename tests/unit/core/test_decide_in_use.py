"""Policy perHostInUse: a host has a provider address of its own from the first that needs one to the last."""

from typing import Any

import pytest

from tests.unit.core.test_decide_provider_addresses import (
    NEW,
    PA1,
    SCOPE,
    asks,
    change_of,
    goes_on,
    placed,
    purposes,
    told,
    world_of,
)
from tests.unit.core.world import World, put_command, virtual_network
from weft.core import policy
from weft.core.commands import Batch, BeginMove, CreateMachine, Failover, NewInterface, RemoveServer
from weft.core.provider_places import why_none
from weft.model.leases import ip_scope
from weft.model.records import NeededNetwork, PortBinding, TunnelEndpoint
from weft.model.values import ip_text

NONE: tuple[str, ...] = ()
IDLE = "nothing here needs one"
FAR = {"logicalNetwork": {"resourceRef": "/logicalNetworks/far"}}


def world_in_use(last: str = "") -> World:
    return world_of("perHostInUse", last=last)


def own(world: World, server: str = "h1") -> tuple[str, ...]:
    """What its record lists, which is what the ledger holds for it."""
    found: tuple[str, ...] = world.get(f"/servers/{server}").properties.provider_addresses
    assert purposes(world, server).count("") == len(found)
    assert (why_none(world.state, world.get(f"/servers/{server}")) == IDLE) == (not found)
    return found


def network_of(world: World) -> dict[str, Any]:
    """The provider network's body with its policy left out."""
    p = world.get("/logicalNetworks/hnvpa").properties
    subnets = [
        {
            "resourceId": one.resource_id,
            "properties": {
                "addressPrefix": one.properties.address_prefix,
                "ipPools": [
                    {
                        "resourceId": pool.resource_id,
                        "properties": {
                            "startIpAddress": pool.properties.start_ip_address,
                            "endIpAddress": pool.properties.end_ip_address,
                        },
                    }
                    for pool in one.properties.ip_pools
                ],
            },
        }
        for one in p.subnets
    ]
    return {"networkVirtualizationEnabled": True, "subnets": subnets}


def test_it_comes_with_the_first_interface_and_goes_with_the_last() -> None:
    world = world_in_use()
    assert own(world) == own(world, "h2") == NONE
    placed(world, "vm1")
    (first,) = own(world)
    placed(world, "vm2", "db")
    assert own(world) == (first,) and change_of(world) is None
    world.delete("/weft/virtualMachines/vm1")
    assert own(world) == (first,)
    world.delete("/weft/virtualMachines/vm2")
    assert own(world) == NONE
    assert [lease.state for lease in world.state.leases(SCOPE).values()] == ["cooling"]


def test_it_is_granted_and_taken_back_in_the_transaction_of_what_needs_it() -> None:
    world = world_in_use()
    world.interface("vm1-nic", "/virtualNetworks/blue/subnets/web")
    revision = world.state.revision
    world.machine("vm1", "h1", "Off", "vm1-nic")
    assert world.state.revision == revision + 1 and len(own(world)) == 1
    world.delete("/weft/virtualMachines/vm1")
    assert world.state.revision == revision + 2 and own(world) == NONE


def test_a_host_that_needs_one_again_has_the_one_it_had_while_that_rests() -> None:
    """Hosts that come and go use up no others, nor wait for what rests for themselves."""
    world = world_in_use(last=".11")
    for _ in range(3):
        placed(world, "vm1")
        assert own(world) == ("192.168.1.10",)
        world.delete("/weft/virtualMachines/vm1")
    placed(world, "vm2", server="h2")
    assert own(world, "h2") == ("192.168.1.11",)
    world.delete("/weft/virtualMachines/vm2")
    pool = "/logicalnetworks/hnvpa/subnets/pa1/ippools/pool"
    assert world.counts(pool) == {"cooling": 2}
    world.put("/servers/a0", {"networkInterfaces": [{"resourceId": "a", "properties": PA1}]})
    world.put("/weft/clusters/c1", {"servers": [ref("/servers/a0"), ref("/servers/h1")]})
    web = NewInterface("/virtualNetworks/blue/subnets/web")
    world.do(CreateMachine("new1", cluster="c1", interfaces=(web,)))
    assert own(world) == ("192.168.1.10",) and world.counts(pool) == {"assigned": 1, "cooling": 1}
    world.wait(3601)
    placed(world, "vm3", server="h2")
    assert own(world, "h2") == ("192.168.1.11",) and not world.state.addresses.resting


def test_one_that_was_taken_out_of_the_pool_does_not_come_back() -> None:
    world = world_in_use()
    placed(world, "vm1")
    (first,) = own(world)
    world.delete("/weft/virtualMachines/vm1")
    body = network_of(world)
    excluded = [{"first": first, "last": first, "reason": "another machine has it"}]
    body["subnets"][0]["properties"]["ipPools"][0]["properties"]["excluded"] = excluded
    world.put("/logicalNetworks/hnvpa", body | {"providerAddressPolicy": "perHostInUse"})
    placed(world, "vm2")
    assert own(world) == ("192.168.1.11",)


def test_an_interface_of_no_virtual_network_needs_none() -> None:
    world = world_in_use()
    pool = {"resourceId": "p", "properties": {"startIpAddress": "10.7.0.10", "endIpAddress": "10.7.0.20"}}
    shops = {"resourceId": "v20", "properties": {"addressPrefix": "10.7.0.0/24", "vlanID": 20, "ipPools": [pool]}}
    world.put("/logicalNetworks/shops", {"subnets": [shops]})
    world.interface("vm1-nic", "/logicalNetworks/shops/subnets/v20")
    world.machine("vm1", "h1", "Off", "vm1-nic")
    assert own(world) == NONE
    world.interface("vm1-nic", "/virtualNetworks/blue/subnets/web")
    assert len(own(world)) == 1
    world.interface("vm1-nic", "/logicalNetworks/shops/subnets/v20")
    assert own(world) == NONE


def test_where_none_is_left_nothing_is_placed_moved_or_failed_over_but_onto_hosts_that_have_one() -> None:
    world = world_in_use(last=".10")
    placed(world, "vm1")
    world.power("vm1", "Running")
    placed(world, "vm2")
    world.interface("vm3-nic", "/virtualNetworks/blue/subnets/web")
    body = {"networkInterfaces": [{"resourceRef": "/networkInterfaces/vm3-nic"}]}
    body |= {"server": {"resourceRef": "/servers/h2"}}
    for command in (put_command("/weft/virtualMachines/vm3", body), BeginMove("vm1", "h2"), Failover("vm1", "h2")):
        refusal = world.refuses(command)
        assert refusal.code == "PAIpAddressExhausted"
        assert "ipPools/pool" in refusal.message and "is held by /servers/h1" in refusal.message
    assert own(world, "h2") == NONE
    world.machine("vm3", "h1", "Off", "vm3-nic")


def test_of_a_cluster_a_host_is_chosen_that_can_have_one() -> None:
    world = world_in_use(last=".10")
    world.put("/weft/clusters/c1", {"servers": [{"resourceRef": f"/servers/{one}"} for one in ("h1", "h2")]})
    placed(world, "vm1", server="h2")
    web = NewInterface("/virtualNetworks/blue/subnets/web")
    world.do(CreateMachine("new1", cluster="c1", interfaces=(web,)))
    assert world.get("/weft/virtualMachines/new1").properties.server.resource_ref == "/servers/h2"


def test_a_move_has_both_ends_until_it_is_over_and_the_old_host_forwards_from_its_own() -> None:
    world = world_in_use()
    placed(world, "vm1")
    world.power("vm1", "Running")
    (old,) = own(world)
    world.move("vm1", "h2")
    (new,) = own(world, "h2")
    for phase in ("switching", "switched"):
        world.advance("vm1", phase)
        assert (own(world), own(world, "h2")) == ((old,), (new,))
        (port,) = (one for one in policy.host_stream(world.state, "h1").values() if isinstance(one, PortBinding))
        assert (ip_text(port.provider_address), ip_text(port.forward_to)) == (old, new)
        assert accepted(world) == {old, new}
    world.advance("vm1", "done")
    assert (own(world), own(world, "h2")) == (NONE, (new,))
    assert accepted(world) == {new}


def accepted(world: World, network: str = "blue") -> set[str]:
    rdid = world.get(f"/virtualNetworks/{network}").properties.routing_domain_number
    records = policy.network_stream(world.state, rdid).values()
    return {ip_text(one.provider_address) for one in records if isinstance(one, TunnelEndpoint)}


def test_a_move_that_fails_takes_back_what_it_brought() -> None:
    world = world_in_use()
    placed(world, "vm1")
    world.power("vm1", "Running")
    world.move("vm1", "h2")
    world.advance("vm1", "failed")
    assert len(own(world)) == 1 and own(world, "h2") == NONE


def test_a_failover_takes_it_from_the_dead_host_with_its_last_machine() -> None:
    world = world_in_use()
    for name in ("vm1", "vm2"):
        placed(world, name)
        world.power(name, "Running")
    world.do(Failover("vm1", "h2"))
    assert len(own(world)) == len(own(world, "h2")) == 1
    world.do(Failover("vm2", "h2"))
    assert own(world) == NONE
    world.do(RemoveServer("h1"))
    assert purposes(world) == []


def test_what_was_asked_for_stays() -> None:
    world = world_in_use()
    asks(world, NEW)
    assert own(world) == (NEW,)
    placed(world, "vm1")
    world.delete("/weft/virtualMachines/vm1")
    assert own(world) == (NEW,)


def test_another_that_is_asked_for_while_it_is_used_takes_its_place_and_stays() -> None:
    world = world_in_use()
    placed(world, "vm1")
    world.power("vm1", "Running")
    (old,) = own(world)
    asks(world, NEW)
    assert told(world) == (old, old, sorted((old, NEW)))
    goes_on(world, "switched")
    world.delete("/weft/virtualMachines/vm1")
    assert purposes(world) == [""] and change_of(world).leaving == ()
    goes_on(world, "done")
    assert own(world) == (NEW,)


def test_a_server_that_is_put_again_keeps_what_it_has() -> None:
    world = world_in_use()
    placed(world, "vm1")
    before = own(world)
    body = {"networkInterfaces": [{"resourceId": "a", "properties": PA1}]}
    world.put("/servers/h1", body | {"hostGroup": "old"})
    assert own(world) == before
    world.put("/servers/h1", body | {"providerAddresses": list(before)})
    world.delete("/weft/virtualMachines/vm1")
    assert own(world) == NONE


def test_a_gateway_has_one_as_long_as_it_is_one() -> None:
    world = world_in_use()
    world.put("/gatewayPools/default", {"type": "forwarding"})
    world.put("/gateways/g1", {"pool": {"resourceRef": "/gatewayPools/default"}, "server": ref("/servers/h2")})
    (address,) = own(world, "h2")
    placed(world, "vm1", server="h2")
    world.delete("/weft/virtualMachines/vm1")
    assert own(world, "h2") == (address,)
    world.delete("/gateways/g1")
    assert own(world, "h2") == NONE


def ref(text: str) -> dict[str, str]:
    return {"resourceRef": text}


def test_a_host_has_one_in_the_provider_network_of_a_peer_too() -> None:
    """Which it sends into from there; only while the peering stands."""
    world = world_in_use()
    pool = {"resourceId": "p", "properties": {"startIpAddress": "172.16.0.10", "endIpAddress": "172.16.0.20"}}
    far = {"resourceId": "pb1", "properties": {"addressPrefix": "172.16.0.0/24", "ipPools": [pool]}}
    words = {"networkVirtualizationEnabled": True, "providerAddressPolicy": "perHostInUse"}
    world.put("/logicalNetworks/far", words | {"subnets": [far]})
    both = {"logicalSubnets": [ref("/logicalNetworks/hnvpa/subnets/pa1"), ref("/logicalNetworks/far/subnets/pb1")]}
    world.put("/servers/h1", {"networkInterfaces": [{"resourceId": "a", "properties": both}]})
    red = virtual_network({"web": "10.9.1.0/24"}, space=("10.9.0.0/16",)) | {
        "logicalNetwork": ref("/logicalNetworks/far")
    }
    blue = virtual_network({"web": "10.1.1.0/24", "db": "10.1.2.0/24"}, space=("10.1.0.0/16",))
    world.put("/virtualNetworks/blue", blue)
    world.put("/virtualNetworks/red", red)
    placed(world, "vm1")
    (near,) = listed(world)
    world.put("/virtualNetworks/blue", blue | peered("red"))
    assert listed(world) == (near,)
    world.put("/virtualNetworks/red", red | peered("blue"))
    assert listed(world) == (near, "172.16.0.10")
    rdid = world.get("/virtualNetworks/red").properties.routing_domain_number
    needed = policy.host_stream(world.state, "h1")[NeededNetwork(rdid, "").key]
    assert isinstance(needed, NeededNetwork) and ip_text(needed.provider_address) == "172.16.0.10"
    world.put("/virtualNetworks/red", red)
    assert listed(world) == (near,)
    world.put("/virtualNetworks/blue", blue)
    world.put("/virtualNetworks/red", red | peered("blue"))
    world.put("/virtualNetworks/blue", blue | peered("red"))
    assert len(listed(world)) == 2
    world.put("/virtualNetworks/blue", blue)
    assert listed(world) == (near,)
    world.delete("/weft/virtualMachines/vm1")
    assert listed(world) == NONE


def listed(world: World) -> tuple[str, ...]:
    found: tuple[str, ...] = world.get("/servers/h1").properties.provider_addresses
    return found


def peered(other: str) -> dict[str, Any]:
    properties = {"remoteVirtualNetwork": ref(f"/virtualNetworks/{other}"), "allowVirtualNetworkAccess": True}
    return {"virtualNetworkPeerings": [{"resourceId": f"to-{other}", "properties": properties}]}


def test_a_host_whose_subnet_nothing_names_any_more_keeps_what_it_has() -> None:
    """It could not be granted one again, as nobody knew in which subnet."""
    world = World()
    world.fabric()
    world.network()
    alone = network_of(world) | {"providerAddressPolicy": "perHostInUse"}
    for one in ("h1", "h2"):
        world.delete(f"/servers/{one}")
    world.put("/logicalNetworks/hnvpa", alone | {"subnets": alone["subnets"][:1]})
    world.put("/servers/h1", {})
    placed(world, "vm1")
    (address,) = own(world)
    world.put("/logicalNetworks/hnvpa", alone)
    world.delete("/weft/virtualMachines/vm1")
    assert own(world) == (address,)
    placed(world, "vm2")
    world.put("/logicalNetworks/hnvpa", alone | {"subnets": alone["subnets"][:1]})
    world.delete("/weft/virtualMachines/vm2")
    assert own(world) == NONE


def test_a_batch_that_puts_another_machine_in_the_place_of_the_last_leaves_it_alone() -> None:
    world = world_in_use()
    placed(world, "vm1")
    (first,) = own(world)
    world.interface("vm2-nic", "/virtualNetworks/blue/subnets/web")
    body = {"networkInterfaces": [ref("/networkInterfaces/vm2-nic")], "server": ref("/servers/h1")}
    gone = world.delete_command("/weft/virtualMachines/vm1")
    world.do(Batch((gone, put_command("/weft/virtualMachines/vm2", body))))
    assert own(world) == (first,)


@pytest.mark.parametrize("version", [4, 6])
def test_each_family_has_its_scope(version: int) -> None:
    """A provider network of one family grants of that one."""
    world = world_in_use()
    base = "fd00:77::" if version == 6 else "172.16.0."
    pool = {"resourceId": "p", "properties": {"startIpAddress": f"{base}10", "endIpAddress": f"{base}20"}}
    prefix = "fd00:77::/64" if version == 6 else "172.16.0.0/24"
    subnet = {"resourceId": "s", "properties": {"addressPrefix": prefix, "ipPools": [pool]}}
    words = {"networkVirtualizationEnabled": True, "providerAddressPolicy": "perHostInUse", "subnets": [subnet]}
    world.put("/logicalNetworks/far", words)
    there = {"logicalSubnets": [ref("/logicalNetworks/far/subnets/s")]}
    world.put("/servers/h1", {"networkInterfaces": [{"resourceId": "a", "properties": there}]})
    world.put(
        "/virtualNetworks/red",
        virtual_network({"web": "10.1.1.0/24"}) | FAR,
    )
    world.interface("vm1-nic", "/virtualNetworks/red/subnets/web")
    world.machine("vm1", "h1", "Off", "vm1-nic")
    assert listed(world) == (f"{base}10",)
    assert world.state.addresses.providing.keys() == {("/servers/h1", ip_scope("/logicalNetworks/far", version), "")}
    world.delete("/weft/virtualMachines/vm1")
    assert listed(world) == NONE
