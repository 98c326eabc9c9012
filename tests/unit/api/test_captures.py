"""GET /weft/v1/capture: the stream of an agent's pieces, and what is said before the first packet."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.cluster.control import deliver
from tests.cluster.feed_agent import FeedAgent
from tests.unit.api.conftest import Api, N, W, interface_in, machine_with
from weft.control.controller import Controller
from weft.core.commands import Actor, BeginMove, SetPower
from weft.wire.messages import CAPTURE, Capture, Captured

CLICK = f"{W}/capture?interface=n1"
PACKET = bytes(16)


@pytest.fixture
async def agent(fabric: Api, controller: Controller) -> AsyncIterator[FeedAgent]:
    await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
    await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
    made = FeedAgent("host1", "lab")
    made.abilities = (*made.abilities, CAPTURE)
    made.connect(controller.publisher)
    await deliver(made)
    yield made
    await made.disconnect()


async def captured(fabric: Api, agent: FeedAgent, more: str = "") -> bytes:
    asking = asyncio.create_task(fabric.get(CLICK + more))
    async with asyncio.timeout(30):
        while not (asked := [one for one in agent.words if isinstance(one, Capture)]):
            await deliver(agent)
    for piece in (Captured(asked[0].number), Captured(asked[0].number, PACKET), Captured(asked[0].number, ended=True)):
        agent.say(piece)
    found = await asking
    assert found.status_code == 200
    return found.content


async def test_a_machine_that_is_off_is_named_before_anything_else(
    fabric: Api, controller: Controller, agent: FeedAgent
) -> None:
    content = await captured(fabric, agent)
    words = b"weft: machine vm1 is Off: packets come by once it runs"
    assert content[24 + 16 :] == bytes(12) + b"\x88\xb5" + words + PACKET
    await controller.submit(SetPower("vm1", "Running"), Actor())
    agent.words.clear()
    assert (await captured(fabric, agent))[24:] == PACKET


async def test_while_its_machine_moves_either_end_is_asked_and_no_other_host(
    fabric: Api, controller: Controller, agent: FeedAgent
) -> None:
    there = FeedAgent("host2", "lab")
    there.abilities = (*there.abilities, CAPTURE)
    there.connect(controller.publisher)
    await deliver(there)
    refused = await fabric.get(f"{CLICK}&server=host2")
    assert (refused.status_code, "has no machine on 'host2'" in refused.text) == (409, True)
    await controller.submit(SetPower("vm1", "Running"), Actor())
    await controller.submit(BeginMove("vm1", "host2"), Actor())
    for more, asked, other in (("", agent, there), ("&server=host1", agent, there), ("&server=host2", there, agent)):
        assert (await captured(fabric, asked, more))[24:] == PACKET
        await deliver(other)
        assert not [one for one in other.words if isinstance(one, Capture)]
        asked.words.clear()
    await there.disconnect()


NO, SEE = "", ": see which there are with weft nic list."


@pytest.mark.parametrize(
    ("name", "words", "remedy"),
    [
        ("vm1", "'vm1' is a machine and no network interface: name one of its own, n1.", NO),
        (
            "10.1.1.2",
            "'10.1.1.2' is an address, which interfaces of several networks may have: name the interface.",
            "",
        ),
        ("n2", "There is no network interface 'n2'", SEE),
    ],
)
@pytest.mark.usefixtures("agent")
async def test_what_is_no_interface_is_told_what_it_is(fabric: Api, name: str, words: str, remedy: str) -> None:
    answer: Any = await fabric.get(f"{W}/capture?interface={name}")
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, words + ("." if remedy else ""))
    traced = await fabric.post(f"{W}/trace", {"from": name, "to": "10.1.1.9"})
    assert (traced.status_code, traced.json()["error"]["message"]) == (400, words + remedy)


@pytest.mark.usefixtures("agent")
async def test_what_a_trace_cannot_be_for(fabric: Api) -> None:
    for asked, words in (
        ({"to": "10.1.1.300"}, f"There is no network interface '10.1.1.300', and it is no IP address{SEE}"),
        ({"to": "10.1.1.0/24"}, f"There is no network interface '10.1.1.0/24', and it is no IP address{SEE}"),
        (
            {"to": "10.1.1.9", "protocol": "http", "port": 80},
            "'http' is not traced: name one of icmp, icmpv6, tcp, udp.",
        ),
        (
            {"to": "10.1.1.9", "port": 80},
            "Only tcp and udp have ports: name one of them as the protocol, or leave port out.",
        ),
    ):
        answer = await fabric.post(f"{W}/trace", {"from": "n1", **asked})
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, words)
