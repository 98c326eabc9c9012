"""virtualNetworkPeerings: each rule of 3.1.5.18.3 with its code, and the state that follows from both sides."""

import copy
from typing import Any

import pytest

from tests.unit.core.gateway_world import GatewayWorld, virtual_gateway
from tests.unit.core.world import World, put_command, virtual_network
from weft.core import peerings
from weft.core.commands import Batch, Preconditions
from weft.core.host_facts import NoteProviderNetwork
from weft.core.trace import trace
from weft.model.fabric import ServerProviderNetwork, TunnelEncryption

SPACES = {"blue": "10.1.0.0/16", "red": "10.2.0.0/16", "green": "10.3.0.0/16", "overlap": "10.1.128.0/17"}


def network(name: str, *peers: str, space: str = "", **more: Any) -> dict[str, Any]:
    """A virtual network with peerings named after those that they lead to."""
    space = space or SPACES[name]
    body = virtual_network({"web": space.replace("/16", "/24").replace("/17", "/24")}, (space,))
    listed = [{"resourceId": f"to-{one}", "properties": peer(one, **more)} for one in peers]
    return body | {"virtualNetworkPeerings": listed}


def peer(name: str, **more: Any) -> dict[str, Any]:
    return {"remoteVirtualNetwork": {"resourceRef": f"/virtualNetworks/{name}"}, **more}


@pytest.fixture
def world() -> World:
    world = World()
    world.fabric()
    for name in ("blue", "red", "green"):
        world.put(f"/virtualNetworks/{name}", network(name))
    return world


def side(world: World, own: str, other: str) -> Any:
    return world.get(f"/virtualNetworks/{own}/virtualNetworkPeerings/to-{other}")


def state(world: World, own: str, other: str) -> str:
    return peerings.state_of(world.state, world.get(f"/virtualNetworks/{own}"), side(world, own, other))


def join(world: World, own: str, other: str, **more: Any) -> None:
    world.put(f"/virtualNetworks/{own}/virtualNetworkPeerings/to-{other}", peer(other, **more))


def refused(world: World, own: str, name: str, properties: dict[str, Any]) -> str:
    return world.refused(f"/virtualNetworks/{own}/virtualNetworkPeerings/{name}", properties).code


# -- the state


def test_a_trace_says_why_the_peering_that_would_lead_there_does_not(world: World) -> None:
    world.interface("n1", "/virtualNetworks/blue/subnets/web")
    world.machine("vm1", "h1", "Running", "n1")

    def said() -> str:
        reason = trace(world.state, "n1", "10.2.0.9").reason
        return "".join(reason.partition("; its peering")[1:])

    assert said() == ""
    join(world, "blue", "red", allowVirtualNetworkAccess=True)
    assert said() == "; its peering to-red with /virtualNetworks/red is Initiated"
    join(world, "red", "blue", allowVirtualNetworkAccess=False)
    assert said() == (
        "; its peering to-red with /virtualNetworks/red is without allowVirtualNetworkAccess at one side or both"
    )
    world.delete("/virtualNetworks/red/virtualNetworkPeerings/to-blue")
    assert said() == "; its peering to-red with /virtualNetworks/red is Disconnected"


def test_a_peering_is_initiated_until_the_other_side_answers(world: World) -> None:
    join(world, "blue", "red")
    assert state(world, "blue", "red") == "Initiated"
    assert list(peerings.connected(world.state, world.get("/virtualNetworks/blue"))) == []
    join(world, "red", "blue")
    assert (state(world, "blue", "red"), state(world, "red", "blue")) == ("Connected", "Connected")
    ((own, back, remote),) = peerings.connected(world.state, world.get("/virtualNetworks/blue"))
    assert (own.resource_id, back.resource_id, remote.resource_id) == ("to-red", "to-blue", "red")


def test_a_peering_without_its_other_side_is_disconnected_and_meets_again(world: World) -> None:
    join(world, "blue", "red")
    join(world, "red", "blue")
    world.delete("/virtualNetworks/red/virtualNetworkPeerings/to-blue")
    assert state(world, "blue", "red") == "Disconnected"
    join(world, "red", "blue")
    assert state(world, "blue", "red") == "Connected"


def test_a_network_that_is_gone_leaves_the_other_side_disconnected(world: World) -> None:
    join(world, "blue", "red")
    join(world, "red", "blue")
    assert world.delete("/virtualNetworks/red").outcome == "deleted"
    assert state(world, "blue", "red") == "Disconnected"
    # one of the same name is another
    world.put("/virtualNetworks/red", network("red"))
    assert state(world, "blue", "red") == "Disconnected"
    assert refused(world, "red", "to-blue", peer("blue")) == "RemotePeeringIsStaleBecauseVnetWasRecreated"
    world.delete("/virtualNetworks/blue/virtualNetworkPeerings/to-red")
    join(world, "blue", "red")
    join(world, "red", "blue")
    assert state(world, "blue", "red") == "Connected"


def test_what_is_left_of_a_peering_can_be_put_again_as_it_is_only(world: World) -> None:
    join(world, "blue", "red")
    world.delete("/virtualNetworks/red")
    assert world.put("/virtualNetworks/blue", network("blue", "red")).outcome == "unchanged"
    more = peer("red", allowForwardedTraffic=True)
    assert refused(world, "blue", "to-red", more) == "CannotUpdateDisconnectedPeeringWithNullRemoteVnet"


def test_putting_the_same_again_changes_nothing(world: World) -> None:
    join(world, "blue", "red")
    join(world, "red", "blue")
    for one, other in (("blue", "red"), ("red", "blue")):
        assert world.put(f"/virtualNetworks/{one}", network(one, other)).changes == ()


def test_the_second_side_tells_the_first_what_it_found(world: World) -> None:
    join(world, "blue", "red")
    world.put("/virtualNetworks/red", network("red", space="10.5.0.0/16"))
    join(world, "red", "blue")
    assert side(world, "blue", "red").properties.remote_address_space.address_prefixes == ("10.5.0.0/16",)


def test_turning_back_a_meeting_turns_back_both_sides(world: World) -> None:
    join(world, "blue", "red")
    before = copy.deepcopy(world.state)
    decision = world.put("/virtualNetworks/red/virtualNetworkPeerings/to-blue", peer("blue"))
    assert {change.id for change in decision.changes} == {"blue", "red"}
    for change in reversed(decision.changes):
        world.state.revert(change)
    world.state.revision = before.revision
    assert world.state == before


# -- the rules


def test_what_a_peering_must_name(world: World) -> None:
    assert refused(world, "blue", "p", {}) == "RemoteVirtualNetworkNotSpecified"
    assert refused(world, "blue", "p", peer("BLUE")) == "PeeringRemoteVnetIsSameAsParentVnet"
    assert refused(world, "blue", "p", peer("none")) == "InvalidResourceReference"
    assert refused(world, "blue", "p", peer("red/subnets/web")) == "InvalidResourceReference"
    logical = {"remoteVirtualNetwork": {"resourceRef": "/logicalNetworks/hnvpa"}}
    assert refused(world, "blue", "p", logical) == "InvalidResourceReference"


def test_what_a_peering_leads_to_is_fixed(world: World) -> None:
    join(world, "blue", "red")
    assert refused(world, "blue", "to-red", peer("green")) == "ChangingRemoteVirtualNetworkNotAllowed"
    assert refused(world, "blue", "again", peer("Red")) == "AnotherPeeringAlreadyReferencesRemoteVnet"


def test_peers_share_no_addresses(world: World) -> None:
    world.put("/virtualNetworks/overlap", network("overlap"))
    refusal = world.refused("/virtualNetworks/blue/virtualNetworkPeerings/p", peer("overlap"))
    assert refusal.code == "VnetAddressSpacesOverlap"
    assert "10.1.128.0/17" in refusal.message
    assert "10.1.0.0/16" in refusal.message
    assert "give one of the networks another addressSpace" in refusal.message


def test_two_peers_of_a_network_share_no_addresses_either(world: World) -> None:
    world.put("/virtualNetworks/overlap", network("overlap"))
    join(world, "green", "blue")
    assert refused(world, "green", "p", peer("overlap")) == "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet"
    # nor from the other end: overlap would be a peer of green, whose peer blue is already
    assert refused(world, "overlap", "p", peer("green")) == "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet"


def test_the_address_space_is_fixed_while_there_are_peerings(world: World) -> None:
    join(world, "blue", "red")
    wider = network("blue", "red", space="10.1.0.0/17")
    assert world.refused("/virtualNetworks/blue", wider).code == "VnetAddressSpaceCannotChangeDueToPeerings"
    assert world.put("/virtualNetworks/blue", network("blue", space="10.1.0.0/17")).outcome == "replaced"


def test_gateways_are_used_one_way_only(world: World) -> None:
    both = peer("red", useRemoteGateways=True, allowGatewayTransit=True)
    assert refused(world, "blue", "p", both) == "UseRemoteAndAllowTransitCannotBeTrue"
    join(world, "red", "blue")
    using = peer("red", useRemoteGateways=True)
    assert refused(world, "blue", "p", using) == "RemotePeeringDoesNotAllowGatewayTransit"
    join(world, "red", "blue", allowGatewayTransit=True)
    join(world, "blue", "red", useRemoteGateways=True)
    assert refused(world, "red", "to-blue", peer("blue")) == "ResourceInUse"
    assert refused(world, "blue", "p", peer("green", useRemoteGateways=True)) == (
        "AnotherPeeringAlreadyUsesRemoteGateways"
    )


def test_a_network_is_left_by_its_own_gateway_or_a_peers() -> None:
    world = GatewayWorld()
    green = virtual_network({"web": "172.20.1.0/24", "gw": "172.20.2.0/24"}, ("172.20.0.0/16",))
    world.put("/virtualNetworks/green", green)
    world.put("/virtualGateways/v", virtual_gateway("blue"))
    join(world, "blue", "green", allowGatewayTransit=True)
    join(world, "green", "blue", useRemoteGateways=True)
    refusal = world.refused("/virtualGateways/w", virtual_gateway("green"))
    assert refusal.code == "UseRemoteGatewaysWithOwnGateway"
    join(world, "green", "blue")
    world.put("/virtualGateways/w", virtual_gateway("green"))
    assert refused(world, "green", "to-blue", peer("blue", useRemoteGateways=True)) == "UseRemoteGatewaysWithOwnGateway"


def test_a_network_joins_an_encrypted_one_s_peers_on_hosts_that_can_encrypt_only(world: World) -> None:
    """Also where the encrypted one is the peer of a peer."""
    sealed = {"resourceId": "web", "properties": {"addressPrefix": "10.2.0.0/24", "encryptionEnabled": True}}
    able, unable = (ServerProviderNetwork(tunnel_encryption=TunnelEncryption(available=one)) for one in (True, False))
    world.interface("n1", "/virtualNetworks/green/subnets/web")
    world.interface("n2", "/virtualNetworks/green/subnets/web")
    world.machine("vm1", "h1", "Running", "n1")
    world.do(NoteProviderNetwork("h2", able))
    join(world, "blue", "red")
    join(world, "green", "blue")
    world.put("/virtualNetworks/red", network("red", "blue") | {"subnets": [sealed]})
    refusal = world.refused("/virtualNetworks/blue/virtualNetworkPeerings/to-green", peer("green"))
    assert refusal.code == "EncryptionNotAvailable" and "h1" in refusal.message
    world.do(NoteProviderNetwork("h1", able))
    join(world, "blue", "green")
    world.do(NoteProviderNetwork("h1", unable))
    machine = {"networkInterfaces": [{"resourceRef": "/networkInterfaces/n2"}], "powerState": "Running"}
    refusal = world.refused("/weft/virtualMachines/vm2", machine | {"server": {"resourceRef": "/servers/h1"}})
    assert refusal.code == "EncryptionNotAvailable" and "/virtualNetworks/green" in refusal.message


# -- in one batch


def test_a_batch_makes_networks_that_are_each_others_peers() -> None:
    world = World()
    world.fabric()
    puts = [
        put_command("/virtualNetworks/blue", network("blue", "red"), when=Preconditions(if_none_match="*")),
        put_command("/virtualNetworks/red", network("red", "blue")),
    ]
    decision = world.batch(*puts)
    assert [part.outcome for part in decision.parts] == ["created", "created"]
    assert (state(world, "blue", "red"), state(world, "red", "blue")) == ("Connected", "Connected")
    assert world.batch(puts[1]).outcome == "unchanged"


def test_a_batch_with_a_peering_to_nothing_is_refused_whole() -> None:
    world = World()
    world.fabric()
    before = copy.deepcopy(world.state)
    bad = put_command("/virtualNetworks/red", network("red", "none"))
    refusal = world.refuses(Batch((put_command("/virtualNetworks/blue", network("blue", "red")), bad)))
    assert (refusal.code, refusal.position) == ("InvalidResourceReference", 1)
    assert world.state == before


# -- who refers to whom


def test_peers_are_found_without_looking_at_every_network(world: World) -> None:
    join(world, "blue", "red")
    join(world, "green", "red")
    assert sorted(one.resource_id for one in world.state.peering_to("RED")) == ["blue", "green"]
    world.delete("/virtualNetworks/blue")
    assert [one.resource_id for one in world.state.peering_to("red")] == ["green"]
