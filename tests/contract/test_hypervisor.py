"""What is true of every driver of agent.hypervisors.Hypervisor; see hypervisor_worlds.py for what it is run on.

test_hypervisor_ports.py has what drivers add whose ports can be there without their machine.
"""

import asyncio

import pytest

from tests.contract.hyperv_world import HYPERV, KINDS
from tests.contract.hypervisor_worlds import (
    DB,
    DB_PORTS,
    HOSTS,
    START,
    WEB_PORTS,
    FakeWorld,
    LabWorld,
    do,
    expect,
    identities,
    lab_of,
    make,
    power,
    run,
)
from weft.agent.hypervisors import HypervisorFailure, Migrate, Remove, Stop


@pytest.fixture(scope="module")
def lab_hosts():
    with lab_of(LabWorld) as made:
        yield made


@pytest.fixture(params=["fake", *HYPERV, *(pytest.param(one, marks=pytest.mark.root) for one in ("lab", "libvirt"))])
def world(request):
    if request.param not in ("lab", "libvirt"):
        made = FakeWorld() if request.param == "fake" else KINDS[request.param]()
        yield made
        made.close()
        return
    made = request.getfixturevalue("libvirt_daemons" if request.param == "libvirt" else "lab_hosts")
    made.begin()
    yield made
    made.clear()


async def until(world, host, wanted, name="web"):
    """An event comes after which the machine is so there."""
    async with asyncio.timeout(world.patience):
        async for _ in world.hypervisors[host].events():
            if await power(world, host, name) == wanted:
                return


async def test_nothing_is_there_at_first(world):
    for host in HOSTS:
        assert await power(world, host) == ""
        assert world.ports(host) == set()


async def test_a_machine_that_was_made_is_off_and_has_its_ports(world):
    await make(world, "host1")
    assert world.ports("host1") == identities(WEB_PORTS)
    assert await power(world, "host1") == "Off"


@pytest.mark.parametrize("before", [(), (START,), (START, Stop("web"))], ids=["made", "on", "off"])
async def test_start_makes_it_run_whatever_was_before(world, before):
    await make(world, "host1")
    await do(world, "host1", *before, START)
    assert await power(world, "host1") == "Running"
    assert world.ports("host1") == identities(WEB_PORTS)
    assert await power(world, "host2") == ""


async def test_it_stops_and_is_there(world):
    await run(world, "host1")
    await do(world, "host1", Stop("web"), Stop("web"))
    assert await power(world, "host1") == "Off"


async def test_a_machine_moves_there_and_back_again(world):
    await run(world, "host1")
    for source, destination in (("host1", "host2"), ("host2", "host1"), ("host1", "host2")):
        await expect(world, destination)
        assert (await power(world, source), await power(world, destination)) == ("Running", "Off")
        await do(world, source, Migrate("web", destination), Migrate("web", destination), Remove("web"))
        assert (await power(world, source), await power(world, destination)) == ("", "Running")
        assert (world.ports(source), world.ports(destination)) == (set(), identities(WEB_PORTS))
    await do(world, "host2", START)
    assert await power(world, "host2") == "Running"


async def test_a_move_that_is_given_up_leaves_the_machine_where_it_is(world):
    await run(world, "host1")
    await expect(world, "host2")
    await do(world, "host2", Remove("web"))
    assert (await power(world, "host1"), await power(world, "host2")) == ("Running", "")
    assert (world.ports("host1"), world.ports("host2")) == (identities(WEB_PORTS), set())


async def test_remove_forgets_the_machine(world):
    await run(world, "host1")
    await do(world, "host1", Remove("web"), Remove("web"))
    assert await power(world, "host1") == ""
    assert world.ports("host1") == set()


@pytest.mark.parametrize("before", [(), (START,), (START, Stop("web"))], ids=["made", "on", "off"])
async def test_another_hand_may_delete_a_machine_and_it_can_be_made_anew(world, before):
    await make(world, "host1")
    await do(world, "host1", *before)
    await run(world, "host1", DB, DB_PORTS)
    seen = asyncio.create_task(until(world, "host1", ""))
    await asyncio.sleep(0)
    await world.forget("host1", "web")
    await seen
    assert (await power(world, "host1"), world.ports("host1")) == ("", identities(DB_PORTS))
    await run(world, "host1")
    assert (await power(world, "host1"), await power(world, "host1", "db")) == ("Running", "Running")


async def test_remove_touches_no_other_machine(world):
    await run(world, "host1")
    await run(world, "host1", DB, DB_PORTS)
    await do(world, "host1", Remove("web"))
    assert await power(world, "host1", "db") == "Running"
    assert world.ports("host1") == identities(DB_PORTS)


@pytest.mark.parametrize(
    "verb", [Migrate("nobody", "host2"), Migrate("web", "host9")], ids=["unknown machine", "unknown host"]
)
async def test_what_cannot_be_is_refused_and_nothing_has_changed(world, verb):
    await run(world, "host1")
    with pytest.raises(HypervisorFailure):
        await do(world, "host1", verb)
    assert await power(world, "host1") == "Running"


async def test_a_machine_never_runs_twice(world):
    await run(world, "host1")
    await expect(world, "host2")
    with pytest.raises(HypervisorFailure):
        await do(world, "host2", START)
    assert (await power(world, "host1"), await power(world, "host2")) == ("Running", "Off")


async def test_machines_are_started_together(world):
    await asyncio.gather(run(world, "host1"), run(world, "host1", DB, DB_PORTS))
    assert (await power(world, "host1"), await power(world, "host1", "db")) == ("Running", "Running")
    assert world.ports("host1") == identities(WEB_PORTS + DB_PORTS)


async def test_another_hosts_move_is_an_event_here(world):
    await run(world, "host1")
    await expect(world, "host2")
    seen = asyncio.create_task(until(world, "host2", "Running"))
    await asyncio.sleep(0)
    await do(world, "host1", Migrate("web", "host2"))
    await seen
