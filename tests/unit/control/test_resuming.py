"""Agents that come back: the difference where it is known, everything anew where it is not."""

from pathlib import Path

import msgspec
import pytest

from tests.cluster.control import ANN, FailingStore, deliver, fill, interface, machine, open_in, settle
from tests.cluster.feed_agent import FeedAgent
from tests.unit.control.feed import agents, controller, rdid
from weft.control.controller import Controller
from weft.core.commands import Delete, SetPower
from weft.core.commands import Path as Name
from weft.core.policy import host_stream, network_stream
from weft.model.errors import WaitTimedOut
from weft.wire.messages import HOST_STREAM, Resend, ToAgent

__all__ = ["agents", "controller"]

_decode = msgspec.msgpack.Decoder(ToAgent).decode
_encode = msgspec.msgpack.Encoder().encode


async def test_a_reconnect_gets_the_difference_only(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    agent = agents["host1"]
    await agent.disconnect()
    await controller.submit(SetPower("a", "Off"), ANN)
    fulls = agent.fulls
    agent.connect(controller.publisher)
    await deliver(agent)
    assert agent.fulls == fulls
    assert agent.streams[HOST_STREAM] == host_stream(controller.state, "host1")
    await controller.submit(SetPower("a", "Running"), ANN)
    await deliver(agent)
    assert agent.fulls == fulls
    assert agent.streams[HOST_STREAM] == host_stream(controller.state, "host1")


async def test_a_restart_resumes_from_the_log(tmp_path: Path) -> None:
    first = open_in(tmp_path)
    await fill(first, interface("a-eth0"), machine("a", "host1", "a-eth0", power="Running"))
    agent = FeedAgent("host1")
    agent.connect(first.publisher)
    await deliver(agent)
    await agent.disconnect()
    await first.submit(SetPower("a", "Off"), ANN)
    first.close()
    again = open_in(tmp_path)
    fulls, before = agent.fulls, again.state.revision
    agent.connect(again.publisher)
    await deliver(agent)
    assert agent.fulls == fulls
    assert agent.streams[HOST_STREAM] == host_stream(again.state, "host1")
    assert again.state.revision == before
    await agent.disconnect()
    again.close()


async def test_after_a_restart_a_stream_too_far_back_comes_whole_and_is_looked_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.recent.MAX_REPLAYED", 2)
    first = open_in(tmp_path)
    await fill(first, interface("a-eth0"), machine("a", "host1", "a-eth0", power="Running"))
    agent, blue = FeedAgent("host1"), rdid(first)
    agent.connect(first.publisher)
    await deliver(agent)
    await agent.disconnect()
    agent.cursors[blue] = 3
    fulls = agent.fulls
    await first.submit(SetPower("a", "Off"), ANN)
    first.close()
    again = open_in(tmp_path)
    store, reads = again.publisher._store, []
    log = store.log
    monkeypatch.setattr(store, "log", lambda *args: reads.append(args) or log(*args))
    agent.connect(again.publisher)
    await deliver(agent)
    assert agent.fulls == fulls + 1
    assert agent.streams == {
        HOST_STREAM: host_stream(again.state, "host1"),
        blue: network_stream(again.state, blue),
    }
    await agent.disconnect()
    agent.cursors[blue] = 3
    assert reads
    reads.clear()
    agent.connect(again.publisher)
    assert not reads
    await agent.disconnect()
    again.close()


async def test_another_generation_gets_everything_anew(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    agent = agents["host1"]
    await agent.disconnect()
    agent.generation = "of another store"
    agent.streams[77], agent.cursors[77] = {}, 3
    fulls = agent.fulls
    agent.connect(controller.publisher)
    await deliver(agent)
    assert agent.fulls == fulls + 2
    assert 77 not in agent.streams


async def test_an_agent_that_followed_an_earlier_edition_of_policy_gets_everything_anew(
    controller: Controller, agents: dict[str, FeedAgent]
) -> None:
    agent = agents["host1"]
    await agent.disconnect()
    agent.generation = controller.generation
    fulls = agent.fulls
    agent.connect(controller.publisher)
    await deliver(agent)
    assert agent.fulls == fulls + 2


async def test_resend_gives_that_stream_and_no_other(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    agent = agents["host1"]
    fulls = agent.fulls
    agent.say(Resend(rdid(controller)))
    await settle()
    assert [type(_decode(frame)).__name__ for _, frame in agent.inbox] == ["Full"]
    agent.deliver()
    assert agent.fulls == fulls + 1
    agent.say(Resend(4711))
    await settle()
    assert agent.inbox == []


async def test_a_lost_frame_is_seen_by_its_number(controller: Controller, agents: dict[str, FeedAgent]) -> None:
    agent = agents["host1"]
    await controller.submit(SetPower("a", "Off"), ANN)
    await settle()
    agent.inbox.clear()
    await controller.submit(SetPower("a", "Running"), ANN)
    await deliver(agent)
    assert agent.streams[HOST_STREAM] == host_stream(controller.state, "host1")
    assert agent.streams[rdid(controller)] == network_stream(controller.state, rdid(controller))


async def test_a_slow_agent_gets_its_full_state_when_it_is_back(
    controller: Controller, agents: dict[str, FeedAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.session.MAX_FRAMES", 3)
    agent = agents["host1"]
    agent.gate.clear()
    for number in range(20):
        await controller.submit(SetPower("a", "Off" if number % 2 else "Running"), ANN)
        await settle()
    agent.gate.set()
    fulls = agent.fulls
    await deliver(agent)
    assert fulls < agent.fulls <= fulls + 4
    assert agent.streams[HOST_STREAM] == host_stream(controller.state, "host1")
    assert controller.publisher.missing("host1") is None


async def test_after_a_restart_nobody_is_taken_for_up_to_date_before_it_is_back(tmp_path: Path) -> None:
    first = open_in(tmp_path)
    await fill(first, interface("a-eth0"), machine("a", "host1", "a-eth0", power="Running"))
    agent, idle = FeedAgent("host1"), FeedAgent("host2")
    for one in (agent, idle):
        one.connect(first.publisher)
    await deliver(agent, idle)
    for one in (agent, idle):
        await one.disconnect()
    done = await first.submit(SetPower("a", "Off"), ANN)
    first.close()
    again = open_in(tmp_path)
    view = again.host("host1")
    assert (view.connected, view.applied_revision, view.lag) == (False, 0, done.revision)
    with pytest.raises(WaitTimedOut, match=r"host1 \(not connected\)") as late:
        await again.wait_applied(done.revision, 0.01)
    assert "host2" not in str(late.value)
    agent.connect(again.publisher)
    await deliver(agent)
    await again.wait_applied(done.revision, 0.01)
    assert again.host("host1").lag == 0
    await agent.disconnect()
    again.close()


async def test_a_server_whose_agent_could_not_be_forgotten_is_forgotten_at_the_next_start(
    tmp_path: Path,
) -> None:
    first = open_in(tmp_path)
    await fill(first)
    agent = FeedAgent("host3")
    agent.connect(first.publisher)
    store = first.publisher._store = FailingStore(first.publisher._store)
    store.fails = True
    await first.submit(Delete(Name("servers", "host3")), ANN)
    await agent.disconnect()
    first.close()
    again = open_in(tmp_path)
    assert not again.host("host3").managed
    assert again.publisher._store.agents() == []
    again.close()


@pytest.mark.parametrize("where", ["weft.control.publisher.touched_by", "weft.core.policy.records"])
async def test_after_a_change_that_cannot_be_told_by_itself_every_agent_comes_back_for_all(
    controller: Controller, agents: dict[str, FeedAgent], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def broken(*asked: object) -> object:
        raise LookupError("no such record")

    with monkeypatch.context() as patched:
        patched.setattr(where, broken)
        await controller.submit(interface("b-eth0"), ANN)
        done = await controller.submit(machine("b", "host2", "b-eth0", power="Running"), ANN)
    with pytest.raises(WaitTimedOut, match="host1.*host2"):
        await controller.wait_applied(done.revision, 0.01)
    for agent in agents.values():
        assert not agent.connected
        await agent.disconnect()
        agent.connect(controller.publisher)
    await deliver(*agents.values())
    blue = rdid(controller)
    for name in ("host1", "host2"):
        assert agents[name].streams == {
            HOST_STREAM: host_stream(controller.state, name),
            blue: network_stream(controller.state, blue),
        }
    await controller.wait_applied(done.revision, 0.01)
