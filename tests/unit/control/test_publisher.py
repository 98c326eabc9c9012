"""The publisher with model agents: who is let in, who is told what, how acks become "has applied"."""

import asyncio

import msgspec
import pytest

from tests.cluster.control import ANN, deliver, interface, machine, put, settle
from tests.cluster.feed_agent import FeedAgent
from tests.unit.control.feed import agents, controller, rdid
from weft.control.controller import Controller
from weft.control.publisher import FeedRefused
from weft.control.session import Frame, Session
from weft.core.commands import Delete, SetPower
from weft.core.commands import Path as Name
from weft.core.policy import host_stream, network_stream
from weft.model.errors import WaitTimedOut
from weft.wire.messages import HOST_STREAM, PROTOCOL, Ack, Facts, Hello, PortFact, ToAgent

__all__ = ["agents", "controller"]

_decode = msgspec.msgpack.Decoder(ToAgent).decode
_encode = msgspec.msgpack.Encoder().encode


async def test_a_host_is_told_its_own_records_and_the_networks_it_needs(
    controller: Controller, agents: dict[str, FeedAgent]
) -> None:
    state, blue = controller.state, rdid(controller)
    assert agents["host1"].streams == {HOST_STREAM: host_stream(state, "host1"), blue: network_stream(state, blue)}
    assert agents["host2"].streams == {HOST_STREAM: host_stream(state, "host2")}


async def test_who_has_no_interest_gets_no_bytes(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    before = agents["host2"].bytes
    await controller.submit(SetPower("a", "Off"), ANN)
    await controller.submit(interface("elsewhere"), ANN)
    await deliver(*agents.values())
    assert agents["host2"].bytes == before
    assert agents["host1"].streams[rdid(controller)] == network_stream(controller.state, rdid(controller))


async def test_members_get_the_same_bytes(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    await controller.submit(interface("b-eth0"), ANN)
    await controller.submit(machine("b", "host2", "b-eth0"), ANN)
    await deliver(*agents.values())
    await controller.submit(SetPower("b", "Running"), ANN)
    await settle()
    frames = [
        {frame for _, frame in agents[name].inbox if _decode(frame).stream == rdid(controller)}
        for name in ("host1", "host2")
    ]
    assert frames[0] == frames[1] and len(frames[0]) == 1
    assert len(next(iter(frames[0]))) <= 64


async def test_interest_comes_with_a_full_state_and_goes_with_dropped(
    controller: Controller, agents: dict[str, FeedAgent]
) -> None:
    await controller.submit(interface("b-eth0"), ANN)
    await controller.submit(machine("b", "host2", "b-eth0"), ANN)
    await deliver(*agents.values())
    assert agents["host2"].streams[rdid(controller)] == network_stream(controller.state, rdid(controller))
    await controller.submit(Delete(Name("virtualMachines", "b")), ANN)
    await deliver(*agents.values())
    assert agents["host2"].streams.keys() == {HOST_STREAM}


async def test_a_second_agent_of_a_server_is_refused_while_the_first_lives(
    controller: Controller, agents: dict[str, FeedAgent]
) -> None:
    second = FeedAgent("HOST1", name="another")
    with pytest.raises(FeedRefused) as refused:
        second.connect(controller.publisher)
    assert refused.value.retry
    await agents["host1"].disconnect()
    second.connect(controller.publisher)
    await second.disconnect()


async def test_the_same_agent_may_connect_again(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    first = agents["host1"].session
    agents["host1"].connect(controller.publisher)
    assert first.ended is not None
    await deliver(agents["host1"])
    assert controller.host("host1").connected


async def test_unknown_servers_and_other_protocols_are_refused(controller: Controller) -> None:
    with pytest.raises(FeedRefused, match="no server 'host9'"):
        FeedAgent("host9").connect(controller.publisher)
    with pytest.raises(FeedRefused, match="protocol") as refused:
        controller.publisher.attach(Hello(PROTOCOL + 1, "host1", "x", ""), nowhere, 0.0)
    assert not refused.value.retry
    assert not controller.host("host1").managed


async def nowhere(frame: bytes) -> None:
    pass


async def test_a_deleted_server_ends_its_session_and_is_unmanaged_when_it_is_made_again(
    controller: Controller, agents: dict[str, FeedAgent]
) -> None:
    await controller.submit(Delete(Name("servers", "host3")), ANN)
    assert agents["host3"].session.ended is not None
    assert not controller.host("host3").managed
    assert [agent.server for agent in controller._store.agents()] == ["host1", "host2"]


async def test_what_the_feed_knows_of_a_host(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    newest = controller.state.revision
    view = controller.host("Host1")
    assert (view.managed, view.connected, view.applied_revision, view.lag) == (True, True, newest, 0)
    agents["host1"].say(Facts(ports=(PortFact("i", "bound"),)))
    assert controller.host("host1").facts.ports == (PortFact("i", "bound"),)
    await controller.submit(SetPower("a", "Off"), ANN)
    assert controller.host("host1").lag == 1
    await agents["host1"].disconnect()
    view = controller.host("host1")
    assert (view.connected, view.lag, view.facts) == (False, 1, Facts())
    assert controller.host("nobody").managed is False


async def test_a_wait_ends_with_the_ack_of_those_concerned(
    controller: Controller, agents: dict[str, FeedAgent]
) -> None:
    submitted = await controller.submit(SetPower("a", "Off"), ANN)
    with pytest.raises(WaitTimedOut, match=r"host1 \(at revision") as late:
        await controller.wait_applied(submitted.revision, 0.01)
    assert "host2" not in late.value.message
    waiting = asyncio.create_task(controller.wait_applied(submitted.revision, 5))
    await settle()
    assert not waiting.done()
    await deliver(agents["host1"])
    await waiting
    await controller.wait_applied(controller.state.revision, 0)


async def test_a_full_state_on_its_way_is_not_applied_yet(controller: Controller) -> None:
    agent = FeedAgent("host1")
    agent.connect(controller.publisher)
    await settle()
    with pytest.raises(WaitTimedOut):
        await controller.wait_applied(1, 0.01)
    await deliver(agent)
    await controller.wait_applied(controller.state.revision, 0.01)
    await agent.disconnect()


async def test_a_wait_names_the_host_that_went_away(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    await agents["host1"].disconnect()
    await controller.wait_applied(controller.state.revision, 0.01)
    submitted = await controller.submit(SetPower("a", "Off"), ANN)
    with pytest.raises(WaitTimedOut, match=r"host1 \(not connected\)"):
        await controller.wait_applied(submitted.revision, 0.01)
    waiting = asyncio.create_task(controller.wait_applied(submitted.revision, 5))
    agents["host1"].connect(controller.publisher)
    await deliver(agents["host1"])
    await waiting


async def test_acks_of_streams_that_ended_are_no_harm(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    agents["host2"].say(Ack(((4711, 3, 9),)))
    assert controller.publisher.missing("host2") is None


async def test_a_delayed_feed_holds_frames_back(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    controller.set_feed_delay(1)
    await controller.submit(SetPower("a", "Off"), ANN)
    await deliver(agents["host1"])
    assert controller.host("host1").lag == 1
    async with asyncio.timeout(30):
        while controller.host("host1").lag:
            await deliver(agents["host1"])
            await asyncio.sleep(0.01)
    controller.set_feed_delay(0)


async def test_who_cannot_be_told_its_state_holds_no_place(
    controller: Controller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(state: object, server: str) -> object:
        raise LookupError("no such record")

    with monkeypatch.context() as patched, pytest.raises(LookupError):
        patched.setattr("weft.core.policy.host_stream", broken)
        controller.publisher.attach(Hello(PROTOCOL, "host1", "first", ""), nowhere, 0.0)
    assert not controller.host("host1").connected
    controller.publisher.attach(Hello(PROTOCOL, "host1", "second", ""), nowhere, 0.0)
    assert controller.host("host1").connected


async def test_a_put_of_a_server_is_fed_too(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    document = controller.state.get("servers", "host2").properties
    changed = msgspec.structs.replace(document, provider_addresses=("192.168.1.200",))
    await controller.submit(put("servers", "host2", changed), ANN)
    await deliver(agents["host2"])
    assert agents["host2"].streams[HOST_STREAM] == host_stream(controller.state, "host2")


@pytest.mark.parametrize("alone", [True, False])
async def test_an_ack_from_before_a_stream_was_dropped_counts_for_nothing(
    controller: Controller, agents: dict[str, FeedAgent], alone: bool
) -> None:
    if alone:
        await controller.submit(Delete(Name("virtualMachines", "a")), ANN)
    agent, blue = agents["host2"], rdid(controller)
    await controller.submit(interface("b-eth0"), ANN)
    await controller.submit(machine("b", "host2", "b-eth0"), ANN)
    await settle()
    (first,) = [one for _, frame in agent.inbox if (one := _decode(frame)).stream == blue]
    await controller.submit(Delete(Name("virtualMachines", "b")), ANN)
    await controller.submit(machine("b", "host2", "b-eth0"), ANN)
    await settle()
    needed = controller.state.revision
    assert agent.session is not None
    controller.publisher.received(
        agent.session, Ack(((blue, first.sequence, first.revision), (HOST_STREAM, 1_000, needed)))
    )
    assert controller.publisher.missing("host2") == 1
    await deliver(agent)
    assert controller.publisher.missing("host2") is None
    assert agent.streams[blue] == network_stream(controller.state, blue)


async def test_a_stream_that_begins_again_goes_on_counting_and_nothing_is_kept_of_it(
    controller: Controller, agents: dict[str, FeedAgent]
) -> None:
    agent, blue = agents["host1"], rdid(controller)
    for power in ("Off", "Running"):
        await controller.submit(SetPower("a", power), ANN)
    await deliver(agent)
    before = agent.sequences[blue]
    await controller.submit(Delete(Name("virtualMachines", "a")), ANN)
    await deliver(agent)
    assert controller.publisher.frames.sequences == {}
    await controller.submit(machine("a", "host1", "a-eth0"), ANN)
    await deliver(agent)
    assert agent.sequences[blue] > before


def test_an_ack_counts_only_for_frames_as_old_as_it() -> None:
    def full(session: Session, stream: int) -> Frame:
        return Frame(stream, 5, revisions.pop(), b"")

    revisions = [20, 10]
    session = Session(Hello(PROTOCOL, "host1", "a1", ""), "host1", lambda frame: asyncio.sleep(0), full)
    session.need(60)
    session._next(0.0)
    session.drop(60)
    session.need(60)
    # the ack of the first full state, before and after the second has gone out under the same number
    session.acked(Ack(((60, 5, 10),)))
    assert session.missing() == 1
    session._next(0.0)
    session.acked(Ack(((60, 5, 10),)))
    assert session.missing() == 1
    session.acked(Ack(((60, 5, 20),)))
    assert session.missing() is None
