"""Routes to the other subnets of the provider network: which are put on the host, and which of ours are taken away."""

import pytest

from tests.unit.agent.policies import HOSTS, addresses, facts
from tests.unit.agent.settling import settled
from weft.agent.provider_routes import ProviderRoutes
from weft.agent.switch import HostAddress, HostRoute, StepFailure, SwitchFacts
from weft.model.records import ProviderAddress
from weft.model.values import PackedIp, pack_ip
from weft.wire.messages import HOST_STREAM

NOWHERE = PackedIp(b"")
GATEWAY = pack_ip("192.168.1.1")
FIRST, SECOND, THIRD = (pack_ip(text) for text in ("192.168.1.10", "192.168.1.11", "192.168.2.10"))
BEYOND = (pack_ip("192.168.2.0"), 24)
SIX = (pack_ip("fd00:2::"), 64)


def wanted(address, gateway=GATEWAY, beyond=(BEYOND,), length=24, for_subnet=False, routes=()):
    return ProviderAddress(address, length, gateway, "/logicalNetworks/hnvpa", 0, for_subnet, beyond, routes)


def at(*found, device="br-phy", ready=True):
    return tuple(HostAddress(one, 24, device, ready=ready) for one in found)


def theirs(text, device="br-phy", gateway=GATEWAY):
    prefix, _, length = text.partition("/")
    return HostRoute(pack_ip(prefix), int(length), device, gateway)


OURS = HostRoute(*BEYOND, "br-phy", GATEWAY, FIRST, ours=True)
LINK = HostRoute(pack_ip("192.168.1.0"), 24, "br-phy", source=FIRST)


def routes(told, found, *there, withheld=()):
    made = ProviderRoutes()
    made.are(told, SwitchFacts(addresses=tuple(found), routes=there), frozenset(withheld))
    return made


def test_the_gateway_of_an_address_leads_to_what_is_beyond_it():
    made = routes([wanted(FIRST)], at(FIRST), LINK)
    assert (made.to_add, made.to_remove, made.are_there) == ((OURS,), (), False)
    made = routes([wanted(FIRST)], at(FIRST), LINK, OURS)
    assert (made.to_add, made.to_remove, made.are_there) == ((), (), True)


def test_both_families():
    six = wanted(pack_ip("fd00:1::a"), pack_ip("fd00:1::1"), (SIX,), 64)
    made = routes([wanted(FIRST), six], at(FIRST, six.address))
    assert made.to_add == (OURS, HostRoute(*SIX, "br-phy", six.gateway, six.address, ours=True))


@pytest.mark.parametrize(
    "route",
    [
        theirs("192.168.2.0/24", gateway=pack_ip("192.168.1.254")),
        theirs("192.168.0.0/16", "eth0"),
        theirs("0.0.0.0/0"),
        theirs("192.168.2.0/24", "", NOWHERE),
    ],
    ids=["his own", "a wider one", "a default route there", "a blackhole"],
)
def test_where_another_hand_has_a_way_ours_is_not_put_and_goes(route):
    assert routes([wanted(FIRST)], at(FIRST), LINK, route).to_add == ()
    made = routes([wanted(FIRST)], at(FIRST), LINK, route, OURS)
    assert (made.to_add, made.to_remove, made.are_there) == ((), (OURS,), True)


@pytest.mark.parametrize(
    "route",
    [theirs("0.0.0.0/0", "eth0"), theirs("0.0.0.0/0", "", NOWHERE), theirs("192.168.2.0/25"), theirs("::/0")],
    ids=["a default route elsewhere", "a default route nowhere", "a part of it", "the other family's"],
)
def test_what_does_not_lead_to_all_of_it_keeps_ours_from_nothing(route):
    made = routes([wanted(FIRST)], at(FIRST), LINK, route)
    assert (made.to_add, made.to_remove) == ((OURS,), ())


def test_a_subnet_that_the_host_has_an_address_in_needs_no_gateway():
    """Also before that address is there."""
    assert routes([wanted(FIRST), wanted(THIRD, NOWHERE, ())], at(FIRST)).to_add == ()


def test_no_route_without_an_address_that_is_there_and_its_own_or_a_gateway():
    assert routes([wanted(FIRST)], ()).to_add == ()
    assert routes([wanted(FIRST)], at(FIRST, ready=False)).to_add == ()
    assert routes([wanted(FIRST)], at(FIRST), withheld={FIRST}).to_add == ()
    # the host is the router
    assert routes([wanted(FIRST)], at(FIRST, GATEWAY)).to_add == ()


def test_the_hosts_own_address_leads_before_those_of_virtual_subnets():
    told = [wanted(FIRST, for_subnet=True), wanted(SECOND)]
    assert [one.source for one in routes(told, at(FIRST, SECOND)).to_add] == [SECOND]


HOP, FAR = pack_ip("192.168.1.254"), (pack_ip("10.9.0.0"), 16)


def test_a_route_of_the_subnet_has_its_own_next_hop_also_without_a_gateway():
    way = HostRoute(*FAR, "br-phy", HOP, FIRST, ours=True)
    assert routes([wanted(FIRST, routes=((*FAR, HOP),))], at(FIRST), LINK).to_add == (way, OURS)
    assert routes([wanted(FIRST, NOWHERE, (), routes=((*FAR, HOP),))], at(FIRST), LINK).to_add == (way,)
    # the host is the gateway, or is the next hop
    assert routes([wanted(FIRST, routes=((*FAR, HOP),))], at(FIRST, GATEWAY)).to_add == (way,)
    assert routes([wanted(FIRST, routes=((*FAR, HOP),))], at(FIRST, HOP)).to_add == (OURS,)


def test_a_route_of_the_subnet_goes_before_its_gateway_and_after_the_operators():
    told = [wanted(FIRST, routes=((*BEYOND, HOP),))]
    assert [one.gateway for one in routes(told, at(FIRST), LINK).to_add] == [HOP]
    assert routes(told, at(FIRST), LINK, theirs("192.168.0.0/16", "eth0")).to_add == ()
    # a default route leads to another next hop
    assert [one.gateway for one in routes(told, at(FIRST), LINK, theirs("0.0.0.0/0")).to_add] == [HOP]


def test_a_route_of_the_subnet_may_sum_up_and_takes_nothing_from_where_the_host_is():
    wide, part = (pack_ip("192.168.0.0"), 16), (pack_ip("192.168.2.128"), 25)
    told = [wanted(FIRST, beyond=(), routes=((*wide, HOP), (*part, HOP))), wanted(THIRD, NOWHERE, ())]
    assert routes(told, at(FIRST)).to_add == (HostRoute(*wide, "br-phy", HOP, FIRST, ours=True),)


def test_another_gateway_takes_the_place_of_the_one_before():
    before = HostRoute(*BEYOND, "br-phy", pack_ip("192.168.1.254"), FIRST, ours=True)
    made = routes([wanted(FIRST)], at(FIRST), before)
    assert (made.to_add, made.to_remove) == ((OURS,), ())


def test_only_what_an_agent_put_there_is_taken_away():
    made = routes([], at(FIRST), LINK, theirs("10.0.0.0/8"), OURS)
    assert made.to_remove == (OURS,)


def test_a_route_is_there_before_anything_is_acked_and_goes_when_all_is_known():
    own, gateway = HOSTS["host1"], pack_ip("192.168.1.1")
    beyond = HostRoute(pack_ip("192.168.9.0"), 24, "br-phy", gateway, own, ours=True)
    told = ProviderAddress(own, 24, gateway, "provider", beyond=((beyond.prefix, 24),))
    reconciler = settled()
    reconciler.put(HOST_STREAM, told.key, told)
    change = reconciler.plan(True)
    assert change.routes_add == (beyond,)
    reconciler.done(change, ())
    assert not reconciler.settled
    reconciler.switch_is(SwitchFacts(facts("host1").ports, addresses=addresses("host1"), routes=(beyond,)))
    assert not reconciler.plan(True) and reconciler.settled
    plain = ProviderAddress(own, 24, gateway, "provider")
    reconciler.put(HOST_STREAM, plain.key, plain)
    assert reconciler.plan(False).routes_remove == ()
    assert reconciler.plan(True).routes_remove == (beyond,)


def test_a_route_that_the_kernel_refuses_is_told_and_tried_again_and_holds_nobody_up():
    own = HOSTS["host1"]
    told = ProviderAddress(own, 24, pack_ip("192.168.1.1"), "provider", beyond=((pack_ip("192.168.9.0"), 24),))
    reconciler = settled()
    reconciler.put(HOST_STREAM, told.key, told)
    change = reconciler.plan(True)
    reconciler.done(change, (StepFailure("route", "192.168.9.0/24", "Nexthop has invalid gateway"),))
    assert reconciler.settled
    assert ["Nexthop has invalid gateway" in one.message for one in reconciler.problems()] == [True]
    assert reconciler.plan(True).routes_add == change.routes_add
