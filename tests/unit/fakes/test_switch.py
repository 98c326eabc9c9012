"""The fake switch alone and two of them over a provider network."""

import asyncio

import pytest

from weft.agent.flows import fields as f
from weft.agent.flows.actions import Goto, InPort, Output, SetField
from weft.agent.flows.flow import Flow, exact
from weft.agent.switch import Peer, SwitchChange, SwitchUnavailable, Tunnel
from weft.fakes import packet as p
from weft.fakes.network import Delivery, Outer, ProviderNetwork
from weft.fakes.switch import FakeSwitch
from weft.model.values import Mac, pack_ip

MAC_A, MAC_B = Mac(0x0A0000000001), Mac(0x0A0000000002)
PA1, PA2 = pack_ip("192.168.1.10"), pack_ip("192.168.2.20")
PING = p.echo((MAC_A, MAC_B), ("10.1.1.11", "10.1.1.12"))


def flow(*match, actions=(), priority=10, table=0, cookie=f.COOKIE_MARK):
    return Flow(table, priority, match, tuple(actions), cookie)


async def switch_with(change=None):
    switch = FakeSwitch("host1", ProviderNetwork())
    switch.plug("tap1", "AAAA", MAC_A)
    switch.plug("tap2", "bbbb", MAC_B)
    assert await switch.apply(change or SwitchChange()) == ()
    return switch


async def test_an_empty_switch_forwards_nothing():
    assert (await switch_with()).inject("tap1", PING) == []


async def test_a_flow_forwards_and_counts_and_a_port_that_went_is_no_way():
    forward = flow(exact(f.IN_PORT, 1), actions=[Output(2)])
    switch = await switch_with(SwitchChange(puts=(forward,)))
    assert switch.inject("tap1", PING) == [Delivery("host1", "tap2", PING)]
    assert switch.inject("tap2", PING) == []
    assert switch.packets(forward) == 1
    switch.unplug("tap2")
    assert switch.inject("tap1", PING) == []
    assert switch.packets(forward) == 2
    switch.unplug("tap1")
    assert switch.inject("tap1", PING) == []


async def test_a_port_that_comes_back_has_another_number():
    switch = await switch_with(SwitchChange(puts=(flow(actions=[Output(2)]),)))
    switch.unplug("tap2")
    again = switch.plug("tap2", "bbbb", MAC_B)
    assert again.ofport == 3
    assert switch.inject("tap1", PING) == []


async def test_facts_tell_ports_in_the_words_of_ovsdb():
    switch = await switch_with(SwitchChange(mtus=(("tap1", 1458),), tunnels_add=(Tunnel("gre", PA1),)))
    ports = {port.name: port for port in (await switch.facts()).ports}
    assert (ports["tap1"].iface_id, ports["tap1"].attached_mac, ports["tap1"].mtu) == ("aaaa", MAC_A, 1458)
    assert [port.tunnel for port in ports.values() if port.tunnel] == [Tunnel("gre", PA1)]


async def test_an_equal_match_in_another_order_is_the_same_flow():
    terms = (exact(f.ETH_TYPE, 0x0800), exact(f.IP_DST, 1))
    old = flow(exact(f.IN_PORT, 1), *terms, actions=[Output(2)])
    switch = await switch_with(SwitchChange(puts=(old,)))
    new = flow(*terms, exact(f.IN_PORT, 1), actions=[Output(3)])
    await switch.apply(SwitchChange(puts=(new,)))
    assert switch.flows() == (new,)
    await switch.apply(SwitchChange(removes=(old.key,)))
    assert switch.flows() == ()


async def test_a_bad_flow_is_left_out_of_its_bundle():
    good, bad = flow(actions=[Output(2)]), flow(exact(f.IP_SRC, 1))
    switch = await switch_with()
    (failure,) = await switch.apply(SwitchChange(puts=(good, bad)))
    assert (failure.step, failure.flow) == ("flows", bad.key)
    assert "prerequisite" in failure.message
    assert switch.flows() == (good,)


async def test_another_hands_flow_is_foreign_and_not_removed():
    theirs = flow(actions=[Output(2)], cookie=7)
    switch = await switch_with()
    switch.put_flow(theirs)
    await switch.apply(SwitchChange(removes=(theirs.key,)))
    dump = await switch.dump()
    assert dump.flows == ()
    assert dump.foreign == ("cookie=0x7,table=0,priority=10 actions=output:2",)


async def test_drops_are_counted_by_reason():
    reason = f.DropReason.SPOOFED_MAC
    drop = flow(exact(f.REASON, reason), table=9, cookie=f.COOKIE_DROPS | reason)
    to_drop = flow(actions=[SetField(f.REASON, reason), Goto(9)])
    switch = await switch_with(SwitchChange(puts=(drop, to_drop)))
    switch.inject("tap1", PING)
    switch.inject("tap1", PING)
    assert (await switch.dump()).drops == {"spoofed_mac": 2}


async def test_it_dies_after_some_steps_and_what_was_done_stays_done():
    switch = await switch_with()
    change = SwitchChange(tunnels_add=(Tunnel("gre", PA1),), puts=(flow(actions=[Output(2)]),))
    switch.faults.die_after = 1
    with pytest.raises(SwitchUnavailable):
        await switch.apply(change)
    assert any(port.tunnel for port in (await switch.facts()).ports)
    assert switch.flows() == ()
    assert await switch.apply(change) == ()
    assert len(switch.flows()) == 1


async def test_a_failing_step_leaves_the_others_done():
    switch = await switch_with()
    switch.faults.failing_steps = {"peer"}
    peer = Peer(PA1, PA2)
    (failure,) = await switch.apply(SwitchChange(peers=(peer,), puts=(flow(actions=[Output(2)]),)))
    assert failure.peer == peer
    assert len(switch.flows()) == 1
    switch.faults.unavailable = True
    for call in (switch.facts(), switch.dump(), switch.apply(SwitchChange())):
        with pytest.raises(SwitchUnavailable):
            await call


async def test_restart_loses_flows_and_renumbers_ports_and_says_so():
    switch = await switch_with(SwitchChange(puts=(flow(actions=[Output(2)]),)))
    events = switch.events()
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    switch.restart()
    await asyncio.wait_for(waiting, 30)
    await events.aclose()
    assert switch.flows() == ()
    assert {port.ofport for port in (await switch.facts()).ports}.isdisjoint({1, 2})


async def two_hosts(kind="gre", mtu=1500):
    """tap1 on host1 sends all into the tunnel to host2; host2 brings all with key 6001 << 8 to tap2."""
    network = ProviderNetwork(mtu)
    one, two = FakeSwitch("host1", network, [PA1]), FakeSwitch("host2", network, [PA2])
    one.plug("tap1")
    two.plug("tap2")
    into = [SetField(f.TUN_DST, int.from_bytes(PA2)), SetField(f.TUN_ID, 6001 << 8), Output(2)]
    peers = (Peer(PA1, PA2),)
    await one.apply(SwitchChange(tunnels_add=(Tunnel(kind, PA1),), peers=peers, puts=(flow(actions=into),)))
    source = exact(f.TUN_SRC, int.from_bytes(PA1))
    out = flow(exact(f.IN_PORT, 2), source, exact(f.TUN_ID, 6001 << 8), actions=[Output(1)])
    await two.apply(SwitchChange(tunnels_add=(Tunnel(kind, PA2),), puts=(out,)))
    return network, one, two


async def test_a_tunnel_carries_key_and_outer_addresses():
    network, one, _ = await two_hosts()
    assert one.inject("tap1", PING) == [Delivery("host2", "tap2", PING)]
    assert network.seen == [Outer("gre", PA1, PA2, 6001 << 8, PING)]


async def test_cut_paths_and_large_packets_are_lost_in_silence():
    network, one, _ = await two_hosts(mtu=1500)
    network.cut(PA2, PA1)
    assert one.inject("tap1", PING) == []
    network.mend()
    large = p.Packet(MAC_A, MAC_B, p.IPV4, size=1458)
    assert len(one.inject("tap1", large)) == 1
    assert one.inject("tap1", p.Packet(MAC_A, MAC_B, p.IPV4, size=1459)) == []


async def test_vxlan_has_a_key_of_24_bits():
    network, one, _ = await two_hosts("vxlan")
    await one.apply(
        SwitchChange(puts=(flow(actions=[SetField(f.TUN_ID, 1 << 24 | 5), SetField(f.TUN_DST, 1), Output(2)]),))
    )
    one.inject("tap1", PING)
    one.inject("tap1", PING)
    assert network.seen[-1].key == 5


async def test_a_packet_without_policy_for_its_kind_is_not_taken():
    _, _, two = await two_hosts("vxlan")
    assert two.receive(Outer("gre", PA1, PA2, 6001 << 8, PING)) == []
    assert two.receive(Outer("vxlan", PA1, PA2, 6001 << 8, PING)) == [Delivery("host2", "tap2", PING)]
    assert two.receive(Outer("vxlan", PA2, PA2, 6001 << 8, PING)) == [], "another outer source"


async def test_the_first_packet_to_an_unknown_neighbour_is_lost():
    network, one, _ = await two_hosts()
    one.restart()
    number = next(port.ofport for port in (await one.facts()).ports if port.tunnel)
    into = [SetField(f.TUN_DST, int.from_bytes(PA2)), SetField(f.TUN_ID, 6001 << 8), Output(number)]
    await one.apply(SwitchChange(puts=(flow(actions=into),)))
    assert [len(one.inject("tap1", PING)) for _ in range(3)] == [0, 1, 1]


async def test_two_hosts_that_send_a_packet_back_and_forth_end_it():
    network = ProviderNetwork()
    one, two = FakeSwitch("host1", network, [PA1]), FakeSwitch("host2", network, [PA2])
    for switch, own, other in ((one, PA1, PA2), (two, PA2, PA1)):
        back = [SetField(f.TUN_DST, int.from_bytes(other)), InPort()]
        change = SwitchChange(tunnels_add=(Tunnel("gre", own),), peers=(Peer(own, other),), puts=(flow(actions=back),))
        await switch.apply(change)
    assert two.receive(Outer("gre", PA1, PA2, 1, PING)) == []
    assert len(network.seen) > 10
