"""A backup put back: what was seen of the lost revisions is believed by nobody, though their numbers come again."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from tests.cluster.control import ANN, deliver, fill, interface, machine, open_in
from tests.cluster.feed_agent import FeedAgent
from weft.core.commands import SetPower
from weft.core.policy import host_stream, network_stream
from weft.model.errors import Compacted
from weft.wire.messages import HOST_STREAM


async def test_agents_take_full_states_and_watchers_begin_anew(tmp_path: Path) -> None:
    folder, backup = tmp_path / "data", tmp_path / "backup"
    with closing(open_in(folder)) as first:
        await fill(first, interface("a-eth0"), machine("a", "host1", "a-eth0", power="Running"))
    shutil.copytree(folder, backup)
    agent = FeedAgent("host1")
    with closing(open_in(folder)) as second:
        for command in (interface("b-eth0"), machine("b", "host1", "b-eth0", power="Running")):
            await second.submit(command, ANN)
        agent.connect(second.publisher)
        await deliver(agent)
        await agent.disconnect()
        cursor = second.generation, second.state.revision
    shutil.copytree(backup, folder, dirs_exist_ok=True)
    with closing(open_in(folder)) as third:
        # the same numbers, other contents
        while third.state.revision < cursor[1] + 1:
            power = third.state.get("virtualMachines", "a").properties.power_state
            await third.submit(SetPower("a", "Off" if power == "Running" else "Running"), ANN)
        with pytest.raises(Compacted):
            await anext(third.subscribe(*cursor))
        fulls = agent.fulls
        agent.connect(third.publisher)
        await deliver(agent)
        assert agent.fulls == fulls + 2
        rdid = third.state.get("virtualNetworks", "blue").properties.routing_domain_number
        assert agent.streams == {
            HOST_STREAM: host_stream(third.state, "host1"),
            rdid: network_stream(third.state, rdid),
        }
        await agent.disconnect()
