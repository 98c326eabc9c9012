"""What is for a machine that its hypervisors hand over waits at its new port, also what its new host sends itself."""

import pytest

from tests.unit.agent.three_hosts import Cluster

EVERYWHERE = {"sender": "a", "mover": "b", "stays": "b", "other": "c"}


@pytest.mark.parametrize("name", ["sender", "stays", "other"])
async def test_what_is_sent_while_it_is_handed_over_waits_at_its_new_port(name):
    cluster = Cluster(EVERYWHERE)
    await cluster.settle()
    assert cluster.gets(name, "mover") == ["b mover"]
    await cluster.move(handing_over=True)
    assert cluster.gets(name, "mover") == ["c mover"]


@pytest.mark.parametrize(("name", "found"), [("sender", ["c mover"]), ("stays", ["c mover"]), ("other", [])])
async def test_once_it_has_left_nothing_goes_back_to_where_it_is(name, found):
    """Its new host has it at a port of its own by then; an old one that sent back what comes from there would send for
    ever, if that one had lost it."""
    cluster = Cluster(EVERYWHERE)
    await cluster.settle()
    cluster.switches["b"].unplug("mover")
    cluster.bind("mover", "b", to="c")
    await cluster.settle()
    if found:
        cluster.plug("mover", "c")
        await cluster.settle()
    assert cluster.gets(name, "mover") == found
