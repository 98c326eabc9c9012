"""Packets that flows send to the agent: to their service, within bounds, and back out of the switch."""

import asyncio

import pytest

from tests.unit.agent.policies import BLUE, GUESTS, HOSTS, host_records, network_records
from weft.agent.answers.questions import Answer, Question
from weft.agent.answers.services import AT_ONCE, Services
from weft.agent.flows.actions import Controller
from weft.agent.flows.fields import COOKIE_MARK, ETH_TYPE, IN_PORT, Table
from weft.agent.flows.flow import Flow, exact
from weft.agent.flows.table import FlowTable
from weft.agent.ovs.plane import OvsPlane
from weft.agent.switch import PacketIn, to_port
from weft.fakes import packet as p
from weft.fakes.frames import frame, packet
from weft.fakes.network import Delivery, ProviderNetwork
from weft.fakes.switch import FakeSwitch

MIRROR, BROKEN = 7, 8
BLUE1 = GUESTS["blue1"]
ASK = p.udp((BLUE1.mac, p.BROADCAST), (BLUE1.v4, "255.255.255.255"), (68, 67), "hello")


def mirror(question):
    """Sends what it is asked back to the port, from the gateway that the host was told of."""
    local = question.local
    if local is None:
        return Answer()
    subnet = question.table.subnets_in(local.binding.rdid, local.binding.vsid)[0]
    asked = packet(question.packet.frame)
    told = p.udp((0x0257, asked.eth_src), (str(p.ipaddress.ip_address(subnet.gateway)), BLUE1.v4), (67, 68), "mirror")
    return Answer((to_port(frame(told), question.packet.in_port),))


def broken(question):
    raise ValueError(question)


def to_service(number, dst):
    match = (exact(IN_PORT, 1), exact(ETH_TYPE, dst))
    return Flow(Table.CLASSIFY, 200, match, (Controller(number),), COOKIE_MARK)


async def test_a_service_answers_a_guest_and_a_broken_one_stops_nothing():
    switch = FakeSwitch("host1", ProviderNetwork(), [HOSTS["host1"]])
    plane = OvsPlane(switch, Services({MIRROR: mirror, BROKEN: broken}))
    switch.plug("tap1", BLUE1.instance, BLUE1.mac)
    for record in host_records("host1"):
        plane.put(0, record.key, record)
    for record in network_records(BLUE):
        plane.put(BLUE, record.key, record)
    await plane.look()
    await plane.act(True)
    switch.put_flow(to_service(MIRROR, p.IPV4))
    switch.put_flow(to_service(BROKEN, p.ARP))
    serving = asyncio.create_task(plane.serve())
    switch.inject("tap1", p.arp_request(BLUE1.mac, BLUE1.v4, BLUE1.v4))
    switch.inject("tap1", ASK)
    async with asyncio.timeout(30):
        while not switch.announced:
            await asyncio.sleep(0)
    (got,) = switch.announced
    told = p.udp((0x0257, BLUE1.mac), ("10.1.1.1", BLUE1.v4), (67, 68), "mirror")
    assert got == Delivery("host1", "tap1", packet(frame(told)))
    assert not serving.done()
    serving.cancel()


def asked(port=1, service=MIRROR):
    return Question(PacketIn(frame(ASK), service, port), None, FlowTable())


def answered(services, now, port=1):
    return bool(services.answer(asked(port), now).out)


def test_a_port_that_asks_too_often_is_answered_as_often_as_it_may_and_others_always():
    services = Services({MIRROR: lambda question: Answer((to_port(b"", question.packet.in_port),))})
    assert [answered(services, 10.0) for _ in range(102)] == [True] * int(AT_ONCE) + [False] * 2
    assert answered(services, 10.0, port=2)
    assert [answered(services, 10.03), answered(services, 10.03)] == [True, False]
    assert services.refused == 3
    assert [answered(services, 100.0) for _ in range(101)] == [True] * 100 + [False]


def test_what_no_service_is_for_or_makes_one_fail_is_counted():
    services = Services({BROKEN: broken})
    assert services.answer(asked(), 0.0) == Answer()
    with pytest.raises(ValueError):
        services.answer(asked(service=BROKEN), 0.0)
    assert services.refused == 2
