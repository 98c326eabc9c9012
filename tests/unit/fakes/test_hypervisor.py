"""Fake machines on fake hosts: ports that come and go, guests that answer, a move that keeps the machine."""

import asyncio

import pytest

from weft.agent.flows import fields as f
from weft.agent.flows.actions import Output
from weft.agent.flows.flow import Flow, exact
from weft.agent.hypervisors import HypervisorFailure, Migrate, Prepare, Remove, Start, Stop
from weft.agent.switch import SwitchChange
from weft.fakes import packet as p
from weft.fakes.datacenter import Datacenter
from weft.fakes.guest import Adapter, resolved
from weft.model.records import Machine, PortBinding, SubnetRecord
from weft.model.values import Mac, pack_ip

V4 = SubnetRecord(6001, pack_ip("10.1.1.0"), 24, pack_ip("10.1.1.1"))
V6 = SubnetRecord(6001, pack_ip("fd00:1::"), 64, pack_ip("fd00:1::1"))


def binding(number):
    addresses = (pack_ip(f"10.1.1.{number}"), pack_ip(f"fd00:1::{number}"))
    return PortBinding(
        f"id-{number}", f"n{number}", 60, 6001, Mac(0x0A0000000000 + number), addresses, pack_ip("192.168.1.10")
    )


def start(number):
    record = Machine(f"vm{number}", "Running", (f"id-{number}",), "")
    return Start(record, (binding(number),), (V4, V6))


def prepare(number):
    return Prepare(Machine(f"vm{number}", "Incoming", (f"id-{number}",), ""), (binding(number),))


async def datacenter(*numbers, on_legs=False):
    """Hosts h1 and h2; machines on h1, whose switch floods between the first two ports."""
    center = Datacenter(on_legs=on_legs)
    one, _ = center.add_host("h1", ["192.168.1.10"]), center.add_host("h2", ["192.168.2.20"])
    for number in numbers:
        await one.carry_out(start(number))
    flows = tuple(
        Flow(0, 1, (exact(f.IN_PORT, here),), (Output(there),), f.COOKIE_MARK) for here, there in ((1, 2), (2, 1))
    )
    await center.switches["h1"].apply(SwitchChange(puts=flows))
    return center


async def powers(hypervisor):
    return {one.machine: one.power for one in (await hypervisor.facts()).machines}


async def test_starting_plugs_a_port_with_the_names_that_binding_goes_by():
    center = await datacenter(11)
    (port,) = (await center.switches["h1"].facts()).ports
    assert (port.iface_id, port.attached_mac) == ("id-11", 0x0A000000000B)
    assert await powers(center.hypervisors["h1"]) == {"vm11": "Running"}
    assert await powers(center.hypervisors["h2"]) == {}
    await center.hypervisors["h1"].carry_out(start(11))
    assert len((await center.switches["h1"].facts()).ports) == 1, "starting what runs is no error"


@pytest.mark.parametrize("address", ["10.1.1.12", "fd00:1::12"])
async def test_guests_resolve_and_ping_each_other_over_the_switch(address):
    center = await datacenter(11, 12)
    if ":" in address:
        # guests leave neighbour discovery to the network; this switch has none
        assert center.ping("vm11", address).reason == "no answer for fd00:1::12"
        return
    assert center.ping("vm11", address).ttl == 64
    center.guests["vm12"].silent = True
    assert center.ping("vm11", address).reason == "no answer for 10.1.1.12"


async def test_pings_that_cannot_be():
    center = await datacenter(11, 12)
    assert center.ping("vm99", "10.1.1.12").reason == "vm99 does not run"
    assert center.ping("vm11", "10.9.9.9").reason == "no answer for 10.1.1.1"
    bare = Start(Machine("bare", "Running", ("id-20",), ""), (binding(20),))
    await center.hypervisors["h1"].carry_out(bare)
    assert center.ping("bare", "10.1.1.12").reason == "network is unreachable"


async def test_a_stopped_machine_answers_nothing_and_keeps_its_port():
    center = await datacenter(11, 12)
    await center.hypervisors["h1"].carry_out(Stop("vm12"))
    assert not center.ping("vm11", "10.1.1.12").received
    assert not center.ping("vm12", "10.1.1.11").received
    assert center.send("vm12", p.arp_request(1, "10.1.1.12", "10.1.1.11")) == []
    assert len((await center.switches["h1"].facts()).ports) == 2
    assert (await powers(center.hypervisors["h1"]))["vm12"] == "Off"


async def test_a_move_needs_a_prepared_destination_and_keeps_both_ends_ports():
    center = await datacenter(11)
    one, two = center.hypervisors["h1"], center.hypervisors["h2"]
    for wrong in ("h2", "nowhere"):
        with pytest.raises(HypervisorFailure):
            await one.carry_out(Migrate("vm11", wrong))
    await two.carry_out(prepare(11))
    with pytest.raises(HypervisorFailure, match="already runs on h1"):
        await two.carry_out(start(11))
    center.add_host("h3", ["192.168.2.30"])
    with pytest.raises(HypervisorFailure, match="does not run on h2"):
        await two.carry_out(Migrate("vm11", "h3"))
    heard = two.events()
    waiting = asyncio.ensure_future(anext(heard))
    await asyncio.sleep(0)
    await one.carry_out(Migrate("vm11", "H2"))
    await one.carry_out(Migrate("vm11", "h2"))
    await asyncio.wait_for(waiting, 30)
    await heard.aclose()
    assert await powers(one) == {"vm11": "Off"}
    assert await powers(two) == {"vm11": "Running"}
    assert [len((await switch.facts()).ports) for switch in center.switches.values()] == [1, 1, 0]
    await one.carry_out(Remove("vm11"))
    assert (await center.switches["h1"].facts()).ports == ()
    assert await powers(two) == {"vm11": "Running"}
    await two.carry_out(Remove("vm11"))
    await two.carry_out(Remove("vm11"))
    assert center.guests == {}


async def test_a_verb_fails_when_told_to_and_on_unknown_machines():
    center = await datacenter(11)
    center.hypervisors["h1"].failing["stop"] = "no reason"
    with pytest.raises(HypervisorFailure, match="stop on h1: no reason"):
        await center.hypervisors["h1"].carry_out(Stop("vm11"))
    with pytest.raises(HypervisorFailure, match="h1 knows no machine"):
        await center.hypervisors["h1"].carry_out(Migrate("other", "h2"))


async def test_preparing_with_another_adapter_takes_the_old_port_away():
    center = await datacenter()
    hypervisor = center.hypervisors["h1"]
    await hypervisor.carry_out(prepare(11))
    await hypervisor.carry_out(Prepare(Machine("vm11", "Off", ("id-12",), ""), (binding(12),)))
    assert [port.iface_id for port in (await center.switches["h1"].facts()).ports] == ["id-12"]


def test_a_guest_answers_what_is_meant_for_it_alone():
    own = Adapter("id", Mac(5), ((pack_ip("10.1.1.11"), 24), (pack_ip("fd00:1::11"), 64)))
    (reply,) = own.answers(p.arp_request(7, "10.1.1.12", "10.1.1.11"))
    assert resolved(reply, pack_ip("10.1.1.11")) == 5
    assert own.answers(p.arp_request(7, "10.1.1.12", "10.1.1.13")) == []
    assert own.answers(reply) == []
    (pong,) = own.answers(p.echo((7, 5), ("fd00:1::12", "fd00:1::11")))
    assert (pong.icmp_type, pong.eth_dst) == (p.ECHO6_REPLY, 7)
    assert own.answers(p.echo((7, 6), ("10.1.1.12", "10.1.1.11"))) == [], "another MAC"
    assert own.answers(p.udp((7, 5), ("10.1.1.12", "10.1.1.11"), (1, 2))) == []


@pytest.mark.parametrize(("on_legs", "reached"), [(False, False), (True, True)])
async def test_after_a_move_the_old_port_reaches_only_a_guest_on_legs(on_legs, reached):
    center = await datacenter(11, 12, on_legs=on_legs)
    await center.hypervisors["h2"].carry_out(prepare(12))
    await center.hypervisors["h1"].carry_out(Migrate("vm12", "h2"))
    request = p.echo((0x0A000000000B, 0x0A000000000C), ("10.1.1.11", "10.1.1.12"))
    (delivery,) = center.send("vm11", request)
    assert (center.receiver(delivery) is not None) is reached
    await center.hypervisors["h1"].carry_out(Remove("vm12"))
    assert center.send("vm11", request) == [] and center.guests["vm12"].host == "h2"
