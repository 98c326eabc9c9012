"""Model agents of three hosts at the feed of a controller with one machine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.control import deliver, fill, interface, machine, open_in
from tests.cluster.feed_agent import FeedAgent
from weft.control.controller import Controller


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    opened = open_in(tmp_path)
    await fill(opened, interface("a-eth0"), machine("a", "host1", "a-eth0", power="Running"))
    yield opened
    opened.close()


@pytest.fixture
async def agents(controller: Controller) -> AsyncIterator[dict[str, FeedAgent]]:
    made = {name: FeedAgent(name) for name in ("host1", "host2", "host3")}
    for agent in made.values():
        agent.connect(controller.publisher)
    await deliver(*made.values())
    yield made
    for agent in made.values():
        await agent.disconnect()


def rdid(controller: Controller) -> int:
    return controller.state.get("virtualNetworks", "blue").properties.routing_domain_number
