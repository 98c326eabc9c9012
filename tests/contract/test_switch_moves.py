"""What comes for a machine that moves, on the fake switch and on a real Open vSwitch."""

import pytest

from tests.contract.pipeline import (
    BLUE1,
    BLUE2,
    BLUEDB,
    BROADCAST,
    ECHO,
    changed,
    counted,
    settle,
    two_hosts,
)
from tests.contract.switch_worlds import named, opened, seen, switch_world
from tests.unit.agent.policies import BLUE, HOSTS, Guest
from weft.agent.flows.actions import Output, SetField
from weft.agent.flows.fields import COOKIE_MARK, ETH_DST, IN_PORT, Table
from weft.agent.flows.flow import Flow, exact, in_order
from weft.agent.flows.l2 import to_group
from weft.agent.flows.onward import MOST
from weft.agent.flows.ways import key_of, toward
from weft.agent.ovs.tunnel_ports import tunnel_name
from weft.agent.switch import Tunnel
from weft.fakes import packet as p
from weft.model.hypervisor import MachineState
from weft.model.records import Machine, PortLimits
from weft.model.values import ROUTER_MAC, SENT_ON_MAC, Mac

PARAMS = ["fake", pytest.param("ovs", marks=pytest.mark.root)]


@pytest.fixture(params=PARAMS)
async def world(request):
    async with switch_world(request.param) as made:
        yield made


async def test_strays_follow_a_machine_that_moved_and_never_go_back(world):
    """blue2 has left host2 for a third place; then for host1 itself, where the sender is."""
    reconcilers = await two_hosts(world)
    await world.unplug("host2", "blue2")
    await seen(world, "host2", lambda facts: named(facts, "blue2") is None)
    binding = BLUE2.binding(HOSTS["host1"])
    reconcilers["host2"].put(0, binding.key, binding)
    reconcilers["host2"].switch_is(await seen(world, "host2", lambda _: True))
    await settle(world, reconcilers)
    assert await world.send("host1", "blue1", ECHO) == set()
    assert await counted(world, {}, "host2", {"loop": 1}) == {"loop": 1}
    # a neighbour on host2 reaches it at its new place
    await world.plug("host1", "blue2x", BLUE2.instance, BLUE2.mac)
    await seen(world, "host1", opened("blue2x"))
    arrived = BLUE2.binding(host="host1")
    reconcilers["host1"].put(0, arrived.key, arrived)
    reconcilers["host1"].switch_is(await seen(world, "host1", lambda _: True))
    await settle(world, reconcilers)
    routed = p.echo((BLUEDB.mac, ROUTER_MAC), (BLUEDB.v4, BLUE2.v4))
    expected = changed(routed, eth_src=ROUTER_MAC, eth_dst=BLUE2.mac, ttl=63, size=0)
    assert await world.send("host2", "bluedb", routed) == {("host1", "blue2x", expected)}


@pytest.mark.parametrize("encapsulation", ["nvgre", "vxlan"])
async def test_what_its_new_host_sends_to_a_machine_that_is_handed_over_comes_back_to_its_new_port(
    world, encapsulation
):
    """blue2 goes from host2 to host1, where the sender is; its port is at both, and nobody reads the old one."""
    reconcilers = await two_hosts(world, encapsulation)
    await world.plug("host1", "blue2x", BLUE2.instance, BLUE2.mac)
    await seen(world, "host1", opened("blue2x"))
    told = {
        "host1": (BLUE2.binding(host="host1"), Machine("blue2", "Incoming", (BLUE2.instance,), ""), "Off"),
        "host2": (BLUE2.binding(HOSTS["host1"]), Machine("blue2", "Running", (BLUE2.instance,), "", "h"), "Running"),
    }
    for host, (binding, machine, power) in told.items():
        for record in (binding, machine):
            reconcilers[host].put(0, record.key, record)
        reconcilers[host].machines_are([MachineState("blue2", power, handed_over=host == "host2")])
    await settle(world, reconcilers)
    assert await world.send("host1", "blue1", ECHO) == {("host1", "blue2x", changed(ECHO, size=0))}


@pytest.mark.parametrize("encapsulation", ["nvgre", "vxlan"])
async def test_broadcasts_follow_a_machine_that_moved_and_never_itself(world, encapsulation):
    """blue2 goes from host2, where another of its subnet stays, to host1; nobody's records know."""
    reconcilers = await two_hosts(world, encapsulation)
    stays = Guest("blue3", "host2", BLUE, BLUE2.vsid, Mac(0x001DD8B71C33), "10.1.1.13", "fd00:1::13")
    await world.unplug("host2", "blue2")
    await seen(world, "host2", lambda facts: named(facts, "blue2") is None)
    await world.plug("host2", stays.name, stays.instance, stays.mac)
    await seen(world, "host2", opened(stays.name))
    await world.plug("host1", "blue2x", BLUE2.instance, BLUE2.mac)
    await seen(world, "host1", opened("blue2x"))
    incoming = Machine("blue2", "Incoming", (BLUE2.instance,), "")
    host_records = {
        "host1": (BLUE2.binding(host="host1"), incoming),
        "host2": (BLUE2.binding(HOSTS["host1"]), stays.binding()),
    }
    for host, records in host_records.items():
        for record in records:
            reconcilers[host].put(0, record.key, record)
        for record in stays.lookups():
            reconcilers[host].put(BLUE, record.key, record)
    reconcilers["host1"].machines_are([MachineState("blue2", "Off")])
    await settle(world, reconcilers)

    def loud(guest):
        return p.udp((guest.mac, p.BROADCAST), (guest.v4, "255.255.255.255"), (9, 9), "x")

    def at(host, port, sent, **fields):
        return host, port, changed(sent, size=0, **fields)

    # while it is handed over, only what its old host sends on comes to its new port
    alone = at("host1", "blue2x", loud(BLUE1), eth_dst=BLUE2.mac)
    assert await world.send("host1", "blue1", loud(BLUE1)) == {at("host2", "blue3", loud(BLUE1)), alone}
    from_there = {at("host1", "blue1", loud(stays)), at("host1", "blue2x", loud(stays), eth_dst=BLUE2.mac)}
    assert await world.send("host2", "blue3", loud(stays)) == from_there
    reconcilers["host1"].machines_are([MachineState("blue2", "Running")])
    await settle(world, reconcilers)
    await world.caught_up("host1")
    both = {at("host2", "blue3", loud(BLUE1)), alone, at("host1", "blue2x", loud(BLUE1))}
    assert await world.send("host1", "blue1", loud(BLUE1)) == both
    own = {at("host1", "blue1", loud(BLUE2)), at("host2", "blue3", loud(BLUE2))}
    assert await world.send("host1", "blue2x", loud(BLUE2)) == own


def away(number, host):
    """A machine of blue2's subnet that has left a host, without a port there."""
    mac, last = Mac(0x001DD8B71D00 + number), 0x100 + number
    return Guest(f"away{number}", host, BLUE, BLUE2.vsid, mac, f"10.1.1.{number + 100}", f"fd00:1::{last:x}")


@pytest.mark.parametrize("encapsulation", ["nvgre", "vxlan"])
async def test_a_copy_that_was_sent_on_goes_no_further_and_comes_to_all_behind_a_port(world, encapsulation):
    """blue2, behind which others are, has left host2 for host1, and so have many; back from there goes one."""
    reconcilers = await two_hosts(world, encapsulation)
    stays = Guest("blue3", "host2", BLUE, BLUE2.vsid, Mac(0x001DD8B71C33), "10.1.1.13", "fd00:1::13")
    back, many = away(99, "host1"), [away(number, "host2") for number in range(MOST)]
    await world.unplug("host2", "blue2")
    await seen(world, "host2", lambda facts: named(facts, "blue2") is None)
    for host, name, guest in (("host2", "blue3", stays), ("host1", "blue2x", BLUE2), ("host2", "away99", back)):
        await world.plug(host, name, guest.instance, guest.mac)
        await seen(world, host, opened(name))
    told = {
        "host1": (BLUE2.binding(host="host1"), back.binding(HOSTS["host2"])),
        "host2": (BLUE2.binding(HOSTS["host1"]), stays.binding(), back.binding(host="host2")),
    }
    for host, bindings in told.items():
        for record in (*bindings, PortLimits(BLUE2.instance, spoofing=True)):
            reconcilers[host].put(0, record.key, record)
        records = [*stays.lookups(), *back.lookups(), *(one for guest in many for one in guest.lookups("host1"))]
        for record in records:
            reconcilers[host].put(BLUE, record.key, record)
    for guest in many:
        record = guest.binding(HOSTS["host1"])
        reconcilers["host2"].put(0, record.key, record)
    await settle(world, reconcilers)

    def at(host, port, sent, **fields):
        return host, port, changed(sent, size=0, **fields)

    vrrp = changed(BROADCAST, eth_src=stays.mac, eth_dst=0x01005E000012, ip_src=p.number(stays.v4))
    vrrp = changed(vrrp, ip_dst=p.number("224.0.0.18"))
    loud = {"eth_dst": p.BROADCAST}
    here = {at("host1", "blue1", vrrp), at("host1", "blue2x", vrrp), at("host1", "blue2x", vrrp, **loud)}
    there = {at("host2", "away99", vrrp), at("host2", "away99", vrrp, eth_dst=back.mac)}
    assert await world.send("host2", "blue3", vrrp) == {*here, *there}
    # what comes from their new host does not go back there
    from_there = {at("host1", "blue2x", BROADCAST), at("host2", "blue3", BROADCAST), at("host2", "away99", BROADCAST)}
    assert await world.send("host1", "blue1", BROADCAST) == {
        *from_there,
        at("host2", "away99", BROADCAST, eth_dst=back.mac),
    }
    # as an old host sends it on to all of the subnet here; nothing goes to the machine that has left
    facts = await seen(world, "host2", lambda _: True)
    kind = "gre" if encapsulation == "nvgre" else "vxlan"
    out = Output(named(facts, tunnel_name(Tunnel(kind))).ofport)
    aimed = (SetField(ETH_DST, SENT_ON_MAC), key_of(kind, BLUE2.vsid), toward(HOSTS["host1"]), out)
    match = in_order((exact(IN_PORT, named(facts, "blue3").ofport), *to_group(BLUE2.vsid)))
    world.put_by_hand("host2", Flow(Table.OUTPUT, 60000, match, aimed, COOKIE_MARK))
    await world.caught_up("host2")
    all_of_it = {at("host1", "blue1", vrrp, **loud), at("host1", "blue2x", vrrp, **loud)}
    assert await world.send("host2", "blue3", vrrp) == all_of_it
