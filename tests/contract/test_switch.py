"""The contract of agent.switch.Switch, on the fake switch and on a real Open vSwitch."""

import asyncio

import msgspec
import pytest

from tests.contract.switch_worlds import apply, dumped, named, opened, seen, switch_world
from tests.unit.agent.policies import HOSTS, tunnel
from weft.agent.flows.actions import Goto, Output, SetField
from weft.agent.flows.fields import COOKIE_MARK, ETH_DST, ETH_TYPE, IP_FRAG, IP_SRC, TUN_DST, Table
from weft.agent.flows.flow import Flow, exact
from weft.agent.ovs.database import ANSWER_SECONDS
from weft.agent.ovs.tunnel_ports import tunnel_name
from weft.agent.switch import Announcement, HostAddress, HostRoute, SwitchChange, SwitchMac, SwitchUnavailable
from weft.fakes import packet as p
from weft.model.values import pack_ip

PARAMS = ["fake", pytest.param("ovs", marks=pytest.mark.root)]


@pytest.fixture(params=PARAMS)
async def world(request):
    async with switch_world(request.param) as made:
        yield made


FLOW = Flow(Table.OUTPUT, 7, (exact(ETH_DST, 0x020000000001),), (Output(9),), COOKIE_MARK | 5)


async def test_a_port_is_seen_with_what_it_is_known_by(world):
    await world.plug("host1", "p1", "AAAA-1", 0x001DD8B71C01)
    await world.plug("host1", "p2")
    port = named(await seen(world, "host1", opened("p1")), "p1")
    assert (port.iface_id, port.attached_mac, port.tunnel) == ("aaaa-1", 0x001DD8B71C01, None)
    other = named(await seen(world, "host1", opened("p2")), "p2")
    assert (other.iface_id, other.attached_mac) == ("", None)


async def macs(world, host, enough, patience=30):
    async with asyncio.timeout(patience):
        while True:
            found = set(await world.switches[host].macs() or ())
            if enough(found):
                return found
            await asyncio.sleep(0.05)


async def test_addresses_on_other_bridges_are_seen_given_and_learnt(world):
    await world.plug("host1", "p1", "AAAA-1", 0x001DD8B71C01)
    await world.plug_elsewhere("host1", "br-ex", "tap3", 0x00155D0A0001, 7)
    await world.plug_elsewhere("host1", "br-ex", "tap4")
    given = SwitchMac(0x00155D0A0001, "tap3", "br-ex", 7)
    assert [one for one in await macs(world, "host1", lambda all: given in all) if one.port == "p1"] == []
    for name in ("tap3", "tap4"):
        await seen_elsewhere(world, "host1", name)
    await world.send_elsewhere("host1", "tap4", p.echo((0x00155D0A0002, 0x00155D0A0003), ("10.9.9.1", "10.9.9.2")))
    learnt = SwitchMac(0x00155D0A0002, "tap4", "br-ex", 0, True)
    # seconds, not minutes
    assert await macs(world, "host1", lambda all: learnt in all)
    await world.unplug_elsewhere("host1", "tap3", 0x00155D0A0001)
    assert learnt in await macs(world, "host1", lambda all: given not in all)


async def seen_elsewhere(world, host, name):
    """Wait until a real switch has opened the port."""
    if world.real:
        async with asyncio.timeout(30):
            while not [one for one in world.switches[host]._database.rows().others if one.name == name and one.ofport]:
                await asyncio.sleep(0.05)


async def test_a_port_that_goes_is_gone_and_its_coming_and_going_are_events(world):
    events = world.switches["host1"].events()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await world.plug("host1", "p1", "a")
    async with asyncio.timeout(30):
        await waiting
    await seen(world, "host1", opened("p1"))
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    await world.unplug("host1", "p1")
    async with asyncio.timeout(30):
        await waiting
    await seen(world, "host1", lambda facts: named(facts, "p1") is None)


async def test_what_was_applied_is_what_is_dumped(world):
    assert await apply(world, "host1", SwitchChange(puts=(FLOW,))) == ()
    assert await dumped(world, "host1") == {FLOW.key: FLOW}
    changed = msgspec.structs.replace(FLOW, actions=(Output(10),))
    assert await apply(world, "host1", SwitchChange(puts=(changed,))) == ()
    assert await dumped(world, "host1") == {FLOW.key: changed}


async def test_fragments_are_matched_by_the_names_that_ovs_ofctl_has_for_them(world):
    for value, mask in ((1, 1), (0, 2), (0, 255), (1, 255), (3, 255)):
        match = (exact(ETH_TYPE, 0x86DD), (IP_FRAG, value, mask))
        flow = msgspec.structs.replace(FLOW, match=match, actions=(Output(9),))
        world.put_by_hand("host1", flow)
        assert await dumped(world, "host1") == {flow.key: flow}
        await apply(world, "host1", SwitchChange(removes=(flow.key,)))


async def test_everything_may_be_asked_for_twice(world):
    await world.plug("host1", "p1", "a")
    await seen(world, "host1", opened("p1"))
    change = SwitchChange(tunnels_add=(tunnel("host1"),), mtus=(("p1", 1400),), puts=(FLOW,))
    for _ in range(2):
        assert await apply(world, "host1", change) == ()
    back = SwitchChange(removes=(FLOW.key,), tunnels_remove=(tunnel("host1"),))
    for _ in range(2):
        assert await apply(world, "host1", back) == ()
    assert await dumped(world, "host1") == {}
    facts = await seen(world, "host1", lambda facts: named(facts, "p1").mtu == 1400 and len(facts.ports) == 1)
    assert named(facts, "p1").mtu_of_ours == 1400


async def test_a_tunnel_port_is_known_as_ours(world):
    await apply(world, "host1", SwitchChange(tunnels_add=(tunnel("host1"), tunnel("host1", "vxlan"))))
    facts = await seen(world, "host1", lambda facts: len([one for one in facts.ports if one.ofport > 0]) == 2)
    assert {port.tunnel for port in facts.ports} == {tunnel("host1"), tunnel("host1", "vxlan")}


async def test_the_hosts_own_addresses_are_told_with_the_mtu_of_their_interface(world):
    for mtu in (1400, 1500):
        world.set_provider_mtu("host1", mtu)
        facts = await seen(world, "host1", lambda facts, mtu=mtu: own(facts, HOSTS["host1"]).mtu == mtu)
        assert not own(facts, HOSTS["host1"]).ours


async def test_an_address_that_is_put_on_the_hosts_interface_is_known_as_ours_until_it_is_taken_off(world):
    facts = await seen(world, "host1", lambda facts: own(facts, HOSTS["host1"]))
    more = pack_ip("192.168.1.77")
    device = own(facts, HOSTS["host1"]).device
    asked = (HostAddress(more, 24, device),)
    for _ in range(2):
        assert await apply(world, "host1", SwitchChange(addresses_add=asked)) == ()
    facts = await seen(world, "host1", lambda facts: own(facts, more))
    assert (own(facts, more).prefix_length, own(facts, more).ours) == (24, True)
    for _ in range(2):
        assert await apply(world, "host1", SwitchChange(addresses_remove=asked)) == ()
    await seen(world, "host1", lambda facts: [one.address for one in facts.addresses] == [HOSTS["host1"]])
    assert (await apply(world, "host1", SwitchChange(addresses_add=(HostAddress(more, 24, "none"),))))[
        0
    ].step == "address"


async def test_a_route_that_is_put_on_the_host_is_known_as_ours_until_it_is_taken_away(world):
    facts = await seen(world, "host1", lambda facts: own(facts, HOSTS["host1"]) and facts.routes)
    device = own(facts, HOSTS["host1"]).device
    before = facts.routes
    link = [(one.gateway, one.device, one.ours) for one in before if one.prefix == pack_ip("192.168.1.0")]
    assert link == [(b"", device, False)]
    for gateway in ("192.168.1.1", "192.168.1.2"):
        # the second takes the place of the first
        asked = HostRoute(pack_ip("192.168.77.0"), 24, device, pack_ip(gateway), source=HOSTS["host1"], ours=True)
        for _ in range(2):
            assert await apply(world, "host1", SwitchChange(routes_add=(asked,))) == ()
        await seen(world, "host1", lambda facts, asked=asked: set(facts.routes) == {*before, asked})
    other = msgspec.structs.replace(asked, prefix=pack_ip("192.168.1.0"))
    for _ in range(2):
        # the second is none of ours
        assert await apply(world, "host1", SwitchChange(routes_remove=(asked, other))) == ()
    await seen(world, "host1", lambda facts: facts.routes == before)
    # one that sums up, round the subnet that its next hop is in, beside a narrower one by another next hop
    wide = msgspec.structs.replace(asked, prefix=pack_ip("192.168.0.0"), prefix_length=16)
    narrow = msgspec.structs.replace(asked, gateway=pack_ip("192.168.1.1"))
    assert await apply(world, "host1", SwitchChange(routes_add=(wide, narrow))) == ()
    await seen(world, "host1", lambda facts: set(facts.routes) == {*before, wide, narrow})
    assert await apply(world, "host1", SwitchChange(routes_remove=(wide, narrow))) == ()
    await seen(world, "host1", lambda facts: facts.routes == before)
    for wrong in ({"device": "none"}, {"gateway": pack_ip("192.168.99.1")}, {"source": pack_ip("192.168.1.99")}):
        failed = await apply(world, "host1", SwitchChange(routes_add=(msgspec.structs.replace(asked, **wrong),)))
        assert [one.step for one in failed] == ["route"], wrong


async def test_a_route_of_ours_goes_with_the_address_that_it_sends_from(world):
    facts = await seen(world, "host1", lambda facts: own(facts, HOSTS["host1"]))
    device = own(facts, HOSTS["host1"]).device
    more = HostAddress(pack_ip("192.168.1.77"), 24, device)
    route = HostRoute(pack_ip("192.168.77.0"), 24, device, pack_ip("192.168.1.1"), source=more.address, ours=True)
    assert await apply(world, "host1", SwitchChange(addresses_add=(more,), routes_add=(route,))) == ()
    await seen(world, "host1", lambda facts: route in facts.routes)
    assert await apply(world, "host1", SwitchChange(routes_remove=(route,), addresses_remove=(more,))) == ()
    await seen(world, "host1", lambda facts: route not in facts.routes and own(facts, more.address) is None)
    assert await apply(world, "host1", SwitchChange(addresses_add=(more,), routes_add=(route,))) == ()
    assert await apply(world, "host1", SwitchChange(addresses_remove=(more,))) == ()
    await seen(world, "host1", lambda facts: route not in facts.routes)


def own(facts, address):
    return next((one for one in facts.addresses if one.address == address), None)


async def test_a_port_of_another_hand_with_a_tunnels_name_is_left_alone(world):
    ours = tunnel("host1")
    await world.plug("host1", tunnel_name(ours), "a")
    await seen(world, "host1", opened(tunnel_name(ours)))
    for _ in range(2):
        failed = await apply(world, "host1", SwitchChange(tunnels_add=(ours,), puts=(FLOW,)))
        assert [(one.step, one.subject) for one in failed] == [("tunnel", tunnel_name(ours))]
        assert "another's" in failed[0].message
    port = named(await seen(world, "host1", opened(tunnel_name(ours))), tunnel_name(ours))
    assert (port.iface_id, port.tunnel) == ("a", None)
    assert await dumped(world, "host1") == {FLOW.key: FLOW}, "the rest of the change is done"
    await world.unplug("host1", tunnel_name(ours))
    assert await apply(world, "host1", SwitchChange(tunnels_add=(ours,))) == ()


@pytest.mark.parametrize("world", PARAMS[1:], indirect=True)
async def test_a_tunnel_of_another_bridge_is_left_alone_though_it_bears_our_mark(world):
    """It may be that of another agent on the same Open vSwitch."""
    ours = tunnel("host1")
    words = [
        "--",
        "set",
        "interface",
        tunnel_name(ours),
        "type=gre",
        "options:remote_ip=flow",
        "external_ids:weft=tunnel",
    ]
    world.vsctl("host1", "--no-wait", "add-br", "br-two", "--", "add-port", "br-two", tunnel_name(ours), *words)
    failed = await apply(world, "host1", SwitchChange(tunnels_add=(ours,)))
    assert [one.step for one in failed] == ["tunnel"] and "another bridge" in failed[0].message


@pytest.mark.parametrize("world", PARAMS[1:], indirect=True)
async def test_a_tunnel_port_that_lost_one_of_its_two_marks_is_still_ours(world):
    ours = tunnel("host1")
    await apply(world, "host1", SwitchChange(tunnels_add=(ours,)))
    world.vsctl("host1", "clear", "interface", tunnel_name(ours), "external_ids")
    await seen(world, "host1", lambda facts: named(facts, tunnel_name(ours)).tunnel is None)
    assert await apply(world, "host1", SwitchChange(tunnels_add=(ours,))) == ()
    await seen(world, "host1", lambda facts: named(facts, tunnel_name(ours)).tunnel == ours)


async def test_removing_spares_flows_of_another_hand(world):
    foreign = msgspec.structs.replace(FLOW, cookie=77)
    world.put_by_hand("host1", foreign)
    await apply(world, "host1", SwitchChange(removes=(FLOW.key,)))
    dump = await world.switches["host1"].dump()
    assert dump.flows == ()
    assert len(dump.foreign) == 1 and "priority=7" in dump.foreign[0]


async def test_a_flow_of_ours_that_another_hand_changed_is_seen_as_changed(world):
    await apply(world, "host1", SwitchChange(puts=(FLOW,)))
    world.put_by_hand("host1", msgspec.structs.replace(FLOW, actions=(Output(3),)))
    assert (await dumped(world, "host1"))[FLOW.key] != FLOW


async def test_a_refused_flow_is_reported(world):
    backwards = Flow(Table.OUTPUT, 1, (), (Goto(Table.CLASSIFY),), COOKIE_MARK)
    no_family = Flow(Table.OUTPUT, 2, (exact(IP_SRC, 1),), (Output(1),), COOKIE_MARK)
    for wrong in (backwards, no_family):
        failures = await apply(world, "host1", SwitchChange(puts=(FLOW, wrong)))
        assert failures and {one.step for one in failures} == {"flows"}
        assert wrong.key not in await dumped(world, "host1")
    assert await apply(world, "host1", SwitchChange(puts=(FLOW,))) == ()


async def test_of_several_refused_flows_each_is_reported_and_the_rest_is_in(world):
    wrong = [Flow(Table.OUTPUT, number, (exact(IP_SRC, 1),), (Output(1),), COOKIE_MARK) for number in range(1, 6)]
    failures = await apply(world, "host1", SwitchChange(puts=(*wrong, FLOW)))
    assert {one.flow for one in failures} == {flow.key for flow in wrong}
    assert await dumped(world, "host1") == {FLOW.key: FLOW}


async def test_a_flow_as_long_as_a_message_is_dumped_as_it_was_put_and_a_longer_one_refused(world):
    """Copies to 2044 hosts, and to one more than a message has room for; the rest of the change is in."""
    copies = tuple(step for number in range(1, 2046) for step in (SetField(TUN_DST, number), Output(1)))
    longest, longer = (Flow(Table.OUTPUT, 8, (), copies[:many], COOKIE_MARK) for many in (4088, 4090))
    assert await apply(world, "host1", SwitchChange(puts=(longest, FLOW))) == ()
    assert await dumped(world, "host1") == {FLOW.key: FLOW, longest.key: longest}
    (failure,) = await apply(world, "host1", SwitchChange(puts=(longer,), removes=(FLOW.key,)))
    assert failure.flow == longer.key and len(failure.message) < 1000
    assert await dumped(world, "host1") == {longest.key: longest}


@pytest.mark.parametrize("address", ["10.1.1.12", "fd00:1::12"])
async def test_an_announcement_comes_out_of_its_ports_as_one_frame_and_out_of_no_other(world, address):
    for name in ("p1", "p2", "p3"):
        await world.plug("host1", name)
    facts = await seen(world, "host1", lambda facts: all(opened(name)(facts) for name in ("p1", "p2", "p3")))
    numbers = (named(facts, "p1").ofport, named(facts, "p3").ofport, 4000)
    announcement = Announcement(6001, pack_ip(address), 0x001DD8B71CF1, numbers)
    await world.arrived()
    # the port that is gone is no failure; and no flow is needed, none has a say
    assert await apply(world, "host1", SwitchChange(announcements=(announcement,))) == ()
    told = msgspec.structs.replace(p.announcement(0x001DD8B71CF1, address), size=0)
    assert await world.arrived() == {("host1", "p1", told), ("host1", "p3", told)}
    # many, and the switch goes on answering
    more = tuple(msgspec.structs.replace(announcement, mac=0x020000000000 + number) for number in range(200))
    assert await apply(world, "host1", SwitchChange(puts=(FLOW,), announcements=more)) == ()
    assert {one.eth_src for _, _, one in await world.arrived()} == {one.mac for one in more}
    assert await dumped(world, "host1") == {FLOW.key: FLOW}


async def test_no_announcement_without_its_flows(world):
    await world.plug("host1", "p1")
    facts = await seen(world, "host1", opened("p1"))
    announcement = Announcement(6001, pack_ip("10.1.1.12"), 0x001DD8B71CF1, (named(facts, "p1").ofport,))
    wrong = Flow(Table.OUTPUT, 2, (exact(IP_SRC, 1),), (Output(1),), COOKIE_MARK)
    await world.arrived()
    assert await apply(world, "host1", SwitchChange(puts=(wrong,), announcements=(announcement,)))
    assert await world.arrived() == set()


async def test_a_restarted_switch_has_lost_its_flows_and_kept_its_ports(world):
    await world.plug("host1", "p1", "a", 0x001DD8B71C01)
    await seen(world, "host1", opened("p1"))
    await apply(world, "host1", SwitchChange(puts=(FLOW,)))
    await world.restart("host1")
    async with asyncio.timeout(30):
        while True:
            try:
                assert await dumped(world, "host1") == {}
                break
            except SwitchUnavailable:
                await asyncio.sleep(0.05)
    assert named(await seen(world, "host1", opened("p1")), "p1").iface_id == "a"


async def test_without_its_database_it_says_so_at_once_and_is_back_with_it(world):
    """Open vSwitch takes no flows then either; those that it has stay."""
    await apply(world, "host1", SwitchChange(puts=(FLOW,)))
    await world.lose_database("host1")
    for change in (
        SwitchChange(tunnels_add=(tunnel("host1"),), mtus=(("p1", 1400),)),
        SwitchChange(removes=(FLOW.key,)),
    ):
        async with asyncio.timeout(ANSWER_SECONDS / 2):
            with pytest.raises(SwitchUnavailable) as unavailable:
                await apply(world, "host1", change)
        assert not world.real or "userspace datapath forwards nothing" in str(unavailable.value)
    await world.regain_database("host1")
    async with asyncio.timeout(30):
        while True:
            try:
                assert await dumped(world, "host1") == {FLOW.key: FLOW}
                break
            except SwitchUnavailable:
                await asyncio.sleep(0.05)
