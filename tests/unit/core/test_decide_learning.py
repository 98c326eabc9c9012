"""Addresses that guests bring: who may have which, whose they are, and when they go."""

import ipaddress
from typing import Any

import pytest

from tests.unit.core.world import World, dynamic_interface, scope_of, static_interface, virtual_network
from weft.core.changes import LeaseChange
from weft.core.commands import Decision, ReleaseAddress
from weft.core.copy_commands import Clone, Restore, TakeCheckpoint
from weft.core.decide.learning import MOST_TAKE_OVERS, WITHIN_S
from weft.core.host_facts import ForgetAddress, LearnAddress
from weft.model.errors import Refusal
from weft.model.leases import ASSIGNED, COOLING, Lease
from weft.model.resources import AnyResource
from weft.model.values import pack_ip

GUESTS = {"enabled": True, "maximumPerInterface": 2}
WEB = {"addressPrefix": "10.1.1.0/24", "guestSpecifiedAddresses": GUESTS}
VIP = "10.1.1.200"


@pytest.fixture
def world() -> World:
    """Interfaces n1 and n2, of running machines m1 and m2 on two hosts, in a subnet whose guests bring addresses."""
    world = World()
    world.fabric()
    world.put("/virtualNetworks/blue", virtual_network({"web": WEB, "db": "10.1.2.0/24"}))
    for at in ("1", "2"):
        world.interface(f"n{at}")
        world.machine(f"m{at}", f"h{at}", "Running", f"n{at}")
    return world


def claim(world: World, name: str, address: str = VIP, **how: bool) -> LearnAddress:
    return LearnAddress(world.get(f"/networkInterfaces/{name}").instance_id, pack_ip(address), **how)


def learn(world: World, name: str, address: str = VIP, **how: bool) -> Decision:
    return world.do(claim(world, name, address, **how))


def refused(world: World, name: str, address: str = VIP, **how: bool) -> Refusal:
    return world.refuses(claim(world, name, address, **how))


def learnt(world: World, name: str) -> list[str]:
    return [one.ip_address for one in world.get(f"/networkInterfaces/{name}").properties.learned_ip_addresses]


def lease(world: World, address: str = VIP) -> Lease | None:
    found = ipaddress.ip_address(address)
    return world.state.lease(scope_of("blue", found.version), int(found))


def events(decision: Decision) -> list[tuple[str, str, str]]:
    return [(one.event, one.machine, one.host) for one in decision.changes if isinstance(one, LeaseChange)]


def test_an_address_that_a_guest_brings_is_a_lease_of_its_interface(world: World) -> None:
    decision = learn(world, "n1")
    assert events(decision) == [("learnt", "m1", "h1")]
    held = lease(world)
    assert held is not None
    assert (held.state, [one.ref for one in held.holders]) == (ASSIGNED, ["/networkInterfaces/n1"])
    one = world.get("/networkInterfaces/n1").properties.learned_ip_addresses[0]
    assert one.subnet.resource_ref == "/virtualNetworks/blue/subnets/web"
    assert learn(world, "n1").outcome == "unchanged"
    assert world.counts("/virtualnetworks/blue/subnets/web/4")["assigned"] == 3


def test_nobody_else_is_given_it(world: World) -> None:
    learn(world, "n1")
    refusal = world.refused("/networkInterfaces/n3", static_interface("020000000099", ip=VIP))
    assert refusal.code == "PrivateIPAddressInUse"
    assert "held by /networkInterfaces/n1" in refusal.message
    assert "whose guest brought it" in refusal.message


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        ("10.1.1.1", "PrivateIPAddressInReservedRange", "gateway"),
        ("10.1.1.255", "PrivateIPAddressInReservedRange", "broadcast"),
        ("10.1.1.0", "PrivateIPAddressInReservedRange", "network address"),
        ("10.1.2.9", "GuestSpecifiedAddressesDisabled", "no subnet of it"),
        ("192.168.7.7", "GuestSpecifiedAddressesDisabled", "no subnet of it"),
        ("fd00::9", "GuestSpecifiedAddressesDisabled", "no subnet of it"),
    ],
)
def test_what_no_guest_may_bring(world: World, address: str, code: str, words: str) -> None:
    refusal = refused(world, "n1", address)
    assert refusal.code == code
    assert words in refusal.message


def test_what_a_neighbour_was_given_stays_its_own_however_loud_the_claim(world: World) -> None:
    own = world.get("/networkInterfaces/n2").properties.ip_configurations[0].properties.private_ip_address
    refusal = refused(world, "n1", own, announced=True, silent=True)
    assert refusal.code == "PrivateIPAddressInUse"
    assert (refusal.asker, refusal.address) == ("/networkInterfaces/n1", int(ipaddress.ip_address(own)))
    assert "/networkInterfaces/n2" in refusal.message
    world.power("m2", "Off")
    assert refused(world, "n1", own, announced=True).code == "PrivateIPAddressInUse"


def test_what_cools_after_somebody_was_given_it_is_kept_from_guests(world: World) -> None:
    world.put("/networkInterfaces/n3", static_interface("020000000099", ip=VIP))
    world.delete("/networkInterfaces/n3")
    assert refused(world, "n1", announced=True).code == "PrivateIPAddressInUse"
    world.wait(3601)
    assert learn(world, "n1").outcome == "done"


def test_an_interface_may_have_back_at_once_what_it_gave_up_itself(world: World) -> None:
    body = dynamic_interface()
    extra = {"subnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"}}
    extra |= {"privateIPAllocationMethod": "Static", "privateIPAddress": VIP}
    body["ipConfigurations"].append({"resourceId": "ip2", "properties": extra})
    world.put("/networkInterfaces/n1", body)
    world.put("/networkInterfaces/n1", dynamic_interface())
    assert refused(world, "n2", announced=True).code == "PrivateIPAddressInUse"
    learn(world, "n1")
    assert learnt(world, "n1") == [VIP]


def test_an_excluded_address_is_kept_from_guests(world: World) -> None:
    web = WEB | {"excluded": [{"first": VIP, "last": VIP, "reason": "printer"}]}
    world.put("/virtualNetworks/blue", virtual_network({"web": web, "db": "10.1.2.0/24"}))
    refusal = refused(world, "n1")
    assert refusal.code == "PrivateIPAddressInReservedRange"
    assert "printer" in refusal.message


def test_an_interface_has_so_many(world: World) -> None:
    learn(world, "n1")
    learn(world, "n1", "10.1.1.201")
    refusal = refused(world, "n1", "10.1.1.202")
    assert refusal.code == "GuestAddressLimit"
    assert "takes 2" in refusal.message


def test_an_announcement_takes_it_over(world: World) -> None:
    learn(world, "n1")
    refusal = refused(world, "n2")
    assert "answers for it" in refusal.message
    decision = learn(world, "n2", announced=True)
    assert events(decision) == [("takenOver", "m2", "h2")]
    assert (learnt(world, "n1"), learnt(world, "n2")) == ([], [VIP])
    held = lease(world)
    assert held is not None
    assert [one.ref for one in held.holders] == ["/networkInterfaces/n2"]


def test_using_it_is_enough_where_the_other_does_not_answer_or_does_not_run(world: World) -> None:
    learn(world, "n1")
    learn(world, "n2", silent=True)
    assert learnt(world, "n2") == [VIP]
    world.power("m2", "Off")
    assert learnt(world, "n2") == [VIP]
    learn(world, "n1")
    assert (learnt(world, "n1"), learnt(world, "n2")) == ([VIP], [])


def test_two_that_both_announce_it_do_not_move_it_for_ever(world: World) -> None:
    learn(world, "n1")
    for at in range(MOST_TAKE_OVERS):
        learn(world, ("n2", "n1")[at % 2], announced=True)
    refusal = refused(world, "n2", announced=True)
    assert refusal.code == "GuestAddressContested"
    assert "/networkInterfaces/n1 and /networkInterfaces/n2" in refusal.message
    assert learnt(world, "n1") == [VIP]
    world.wait(WITHIN_S)
    learn(world, "n2", announced=True)
    assert learnt(world, "n2") == [VIP]


def test_what_is_forgotten_cools_and_any_guest_may_bring_it_again(world: World) -> None:
    learn(world, "n1")
    instance = world.get("/networkInterfaces/n1").instance_id
    decision = world.do(ForgetAddress(instance, pack_ip(VIP), "not used for 900 s"))
    assert events(decision) == [("released", "m1", "h1")]
    held = lease(world)
    assert held is not None
    assert (held.state, held.reason) == (COOLING, "learnt: not used for 900 s")
    assert learnt(world, "n1") == []
    refusal = world.refused("/networkInterfaces/n3", static_interface("020000000099", ip=VIP))
    assert "cooling" in refusal.message
    assert world.do(ForgetAddress(instance, pack_ip(VIP), "again")).outcome == "unchanged"
    learn(world, "n2")
    assert learnt(world, "n2") == [VIP]


def test_an_operator_makes_an_interface_forget(world: World) -> None:
    learn(world, "n1")
    learn(world, "n1", "10.1.1.201")
    world.do(ReleaseAddress(scope_of("blue"), int(ipaddress.ip_address(VIP)), "wrong machine"))
    assert learnt(world, "n1") == ["10.1.1.201"]
    held = lease(world)
    assert held is not None
    assert held.state == COOLING


def test_it_goes_with_its_interface(world: World) -> None:
    learn(world, "n1")
    world.power("m1", "Off")
    world.delete("/weft/virtualMachines/m1")
    assert learnt(world, "n1") == [VIP]
    world.delete("/networkInterfaces/n1")
    held = lease(world)
    assert held is not None
    assert held.state == COOLING
    learn(world, "n2")
    assert learnt(world, "n2") == [VIP]


def test_a_put_of_the_interface_keeps_it_and_one_into_another_subnet_does_not(world: World) -> None:
    learn(world, "n1")
    world.put("/networkInterfaces/n1", dynamic_interface())
    assert learnt(world, "n1") == [VIP]
    world.put("/networkInterfaces/n1", dynamic_interface("/virtualNetworks/blue/subnets/db"))
    assert learnt(world, "n1") == []
    held = lease(world)
    assert held is not None
    assert held.state == COOLING


def test_an_interface_may_be_given_what_its_guest_brought(world: World) -> None:
    learn(world, "n1")
    body = dynamic_interface()
    extra = {"subnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"}}
    extra |= {"privateIPAllocationMethod": "Static", "privateIPAddress": VIP}
    body["ipConfigurations"].append({"resourceId": "ip2", "properties": extra})
    world.put("/networkInterfaces/n1", body)
    assert learnt(world, "n1") == []
    held = lease(world)
    assert held is not None
    assert (held.state, held.reason, len(held.holders)) == (ASSIGNED, "", 1)
    assert refused(world, "n2", announced=True).code == "PrivateIPAddressInUse"


def test_a_subnet_that_takes_no_more_gives_up_what_was_brought(world: World) -> None:
    learn(world, "n1")
    learn(world, "n2", "10.1.1.201")
    world.put("/virtualNetworks/blue", virtual_network({"web": "10.1.1.0/24", "db": "10.1.2.0/24"}))
    assert learnt(world, "n1") == learnt(world, "n2") == []
    assert world.counts("/virtualnetworks/blue/subnets/web/4")["assigned"] == 2
    assert world.state.index.learning == {}


def test_no_checkpoint_captures_it_and_no_copy_has_it(world: World) -> None:
    learn(world, "n1")
    world.do(TakeCheckpoint("m1", "before"))
    learn(world, "n1", "10.1.1.201")
    held = lease(world)
    assert held is not None
    assert len(held.holders) == 1
    world.power("m1", "Off")
    world.do(Restore("m1", "before"))
    assert learnt(world, "n1") == [VIP, "10.1.1.201"]
    for addresses in ("new", "keep"):
        copy: AnyResource = world.do(Clone("m1", f"copy-{addresses}", addresses)).resource
        name = copy.properties.network_interfaces[0].resource_ref.rpartition("/")[2]
        assert learnt(world, name) == []


def test_a_restore_into_another_subnet_gives_it_up(world: World) -> None:
    world.do(TakeCheckpoint("m1", "in-web"))
    world.put("/virtualNetworks/blue", virtual_network({"web": WEB, "db": WEB | {"addressPrefix": "10.1.2.0/24"}}))
    world.put("/networkInterfaces/n1", dynamic_interface("/virtualNetworks/blue/subnets/db"))
    learn(world, "n1", "10.1.2.200")
    world.power("m1", "Off")
    world.do(Restore("m1", "in-web"))
    assert learnt(world, "n1") == []
    held = lease(world, "10.1.2.200")
    assert held is not None
    assert held.state == COOLING


def pair_of_subnets(*, enabled: bool, **six: Any) -> dict[str, Any]:
    def one(prefix: str, other: str, **more: Any) -> dict[str, Any]:
        ref = {"resourceRef": f"/virtualNetworks/red/subnets/{other}"}
        guests = {"guestSpecifiedAddresses": GUESTS} if enabled else {}
        return {"addressPrefix": prefix, "dualStackSubnet": ref, **guests, **more}

    return virtual_network({"v4": one("10.2.0.0/24", "v6"), "v6": one("fd00:0:0:2::/64", "v4", **six)})


def test_a_pair_of_subnets_that_takes_no_more_gives_up_what_one_interface_has_of_both(world: World) -> None:
    world.put("/virtualNetworks/red", pair_of_subnets(enabled=True))
    world.interface("n9", "/virtualNetworks/red/subnets/v4")
    world.machine("m9", "h1", "Running", "n9")
    learn(world, "n9", "10.2.0.9")
    learn(world, "n9", "fd00:0:0:2::9")
    world.put("/virtualNetworks/red", pair_of_subnets(enabled=False))
    assert learnt(world, "n9") == []
    assert world.state.index.learning == {}


def test_nobody_gets_round_the_access_list_of_a_partner(world: World) -> None:
    """A port is under the lists of the subnets that its ipConfigurations name."""
    world.put("/accessControlLists/front", {"aclRules": []})
    front = {"accessControlList": {"resourceRef": "/accessControlLists/front"}}
    world.put("/virtualNetworks/red", pair_of_subnets(enabled=True))
    for name in ("n8", "n9"):
        world.interface(name, "/virtualNetworks/red/subnets/v4")
        world.machine(f"m{name[1]}", "h1", "Running", name)
    four = dynamic_interface("/virtualNetworks/red/subnets/v4")
    six = {"resourceId": "six", "properties": {"subnet": {"resourceRef": "/virtualNetworks/red/subnets/v6"}}}
    world.put("/networkInterfaces/n8", four | {"ipConfigurations": [*four["ipConfigurations"], six]})
    for name, address in (("n8", "fd00:0:0:2::8"), ("n9", "fd00:0:0:2::9"), ("n9", "10.2.0.9")):
        learn(world, name, address)
    world.put("/virtualNetworks/red", pair_of_subnets(enabled=True, **front))
    assert (learnt(world, "n8"), learnt(world, "n9")) == (["fd00:0:0:2::8"], ["10.2.0.9"])
    refusal = refused(world, "n9", "fd00:0:0:2::7")
    assert refusal.code == "GuestSpecifiedAddressesDisabled" and "access list" in refusal.message
    learn(world, "n8", "fd00:0:0:2::7")
    world.put("/networkInterfaces/n8", four)
    assert learnt(world, "n8") == []


def test_both_families_of_a_pair_have_their_own_limit(world: World) -> None:
    world.put("/virtualNetworks/red", pair_of_subnets(enabled=True))
    world.interface("n9", "/virtualNetworks/red/subnets/v4")
    world.machine("m9", "h1", "Running", "n9")
    for address in ("10.2.0.9", "10.2.0.8", "fd00:0:0:2::9", "fd00:0:0:2::8"):
        learn(world, "n9", address)
    assert refused(world, "n9", "fd00:0:0:2::7").code == "GuestAddressLimit"
    assert len(learnt(world, "n9")) == 4


@pytest.mark.parametrize(("member", "value"), [("maximumPerInterface", 65), ("ageSeconds", 59)])
def test_the_bounds_of_what_a_subnet_says(world: World, member: str, value: int) -> None:
    web = WEB | {"guestSpecifiedAddresses": GUESTS | {member: value}}
    refusal = world.refused("/virtualNetworks/blue", virtual_network({"web": web, "db": "10.1.2.0/24"}))
    assert refusal.target == member
