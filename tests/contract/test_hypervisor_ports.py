"""What drivers promise whose ports can be there without their machine: the fake datacenter and the lab's namespaces.

And what only the lab's guests have. See test_hypervisor.py for what every driver promises.
"""

import asyncio
import json
import os
import re
import subprocess

import pytest

from tests.contract.hypervisor_worlds import (
    DB,
    DB_PORTS,
    HOSTS,
    PREPARE,
    START,
    SUBNETS,
    WEB,
    WEB_PORTS,
    FakeWorld,
    LabWorld,
    do,
    identities,
    lab_of,
    machine,
    power,
)
from weft.agent.hypervisors import HypervisorFailure, Migrate, Prepare, Remove, Start, Stop
from weft.agent.programs import PATH
from weft.lab.hypervisor import open_hypervisor
from weft.lab.pings import Answers, command
from weft.lab.state import LabFolder
from weft.model.values import mac_colons


@pytest.fixture(scope="module")
def lab_hosts():
    """For all tests of this file that leave no flow and no setting behind."""
    with lab_of(LabWorld) as made:
        yield made


@pytest.fixture(params=["fake", pytest.param("lab", marks=pytest.mark.root)])
def world(request):
    if request.param == "fake":
        yield FakeWorld()
        return
    made = request.getfixturevalue("lab_hosts")
    made.begin()
    yield made
    made.clear()


async def test_prepared_ports_are_there_and_the_machine_is_off(world):
    await do(world, "host1", PREPARE, PREPARE)
    assert world.ports("host1") == identities(WEB_PORTS)
    assert await power(world, "host1") == "Off"


async def test_start_makes_a_machine_that_was_not_there_run(world):
    await do(world, "host1", START)
    assert await power(world, "host1") == "Running"
    assert world.ports("host1") == identities(WEB_PORTS)


async def test_stop_keeps_the_ports(world):
    await do(world, "host1", START, Stop("web"), Stop("web"))
    assert await power(world, "host1") == "Off"
    assert world.ports("host1") == identities(WEB_PORTS)


async def test_a_move_leaves_the_ports_of_the_source_until_they_are_removed(world):
    await do(world, "host1", START)
    await do(world, "host2", PREPARE)
    assert (await power(world, "host1"), await power(world, "host2")) == ("Running", "Off")
    await do(world, "host1", Migrate("web", "HOST2"), Migrate("web", "host2"))
    assert (await power(world, "host1"), await power(world, "host2")) == ("Off", "Running")
    assert world.ports("host1") == world.ports("host2") == identities(WEB_PORTS)
    await do(world, "host1", Remove("web"))
    await do(world, "host2", START)
    assert (await power(world, "host1"), await power(world, "host2")) == ("", "Running")
    assert (world.ports("host1"), world.ports("host2")) == (set(), identities(WEB_PORTS))


async def test_another_hand_may_delete_prepared_ports_and_they_can_be_made_anew(world):
    await do(world, "host1", PREPARE, Start(DB, DB_PORTS, SUBNETS))
    await world.hypervisors["host1"].forget("web")
    assert (await power(world, "host1"), world.ports("host1")) == ("", identities(DB_PORTS))
    await do(world, "host1", START)
    assert (await power(world, "host1"), await power(world, "host1", "db")) == ("Running", "Running")


async def test_a_machine_that_is_off_is_listed_wherever_it_has_ports(world):
    await do(world, "host1", START)
    await do(world, "host2", PREPARE)
    await do(world, "host1", Stop("web"))
    for host in HOSTS:
        facts = await world.hypervisors[host].facts()
        assert [(one.machine, one.power) for one in facts.machines] == [("web", "Off")]


async def test_a_move_to_where_nothing_was_prepared_is_refused(world):
    await do(world, "host1", START)
    with pytest.raises(HypervisorFailure):
        await do(world, "host1", Migrate("web", "host2"))
    assert await power(world, "host1") == "Running"


async def test_who_starts_it_twice_is_told_where_it_runs(world):
    await do(world, "host1", START)
    await do(world, "host2", PREPARE)
    with pytest.raises(HypervisorFailure, match="already runs on host1"):
        await do(world, "host2", START)


# What only the lab's guests have.


@pytest.fixture
def lab_world():
    """A lab of its own."""
    with lab_of(LabWorld) as made:
        yield made


def inside(world, name, *command):
    words = ["ip", "netns", "exec", f"{world.lab.name}-{name}", *command]
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": PATH}).stdout


def answered(world, name, address):
    """Of three pings."""
    found = Answers(3)
    for line in inside(world, name, *command(address, 3, 0.05)).splitlines():
        found.take(line)
    return found.received


def flood(world, host):
    """Let the switch of a host behave as any learning switch, to see packets without policy."""
    target = f"unix:{world.lab.rundir(world.lab.host(host))}/br-int.mgmt"
    subprocess.run(["ovs-ofctl", "add-flow", target, "actions=NORMAL"], check=True, env={**os.environ, "PATH": PATH})


@pytest.mark.root
async def test_the_guest_has_what_was_granted(lab_world):
    await do(lab_world, "host1", Start(WEB, WEB_PORTS, SUBNETS, mtu=1450))
    links = json.loads(inside(lab_world, "web", "ip", "-j", "addr", "show", "dev", "eth1"))[0]
    assert (links["address"], links["mtu"]) == (mac_colons(WEB_PORTS[1].mac), 1450)
    await do(lab_world, "host1", Start(WEB, WEB_PORTS, SUBNETS, mtu=1400))
    (state,) = (await lab_world.hypervisors["host1"].facts()).machines
    assert (state.power, state.mtu) == ("Running", 1400)
    assert [(one["local"], one["prefixlen"]) for one in links["addr_info"] if one["family"] == "inet"] == [
        ("10.1.1.12", 24)
    ]
    assert "default via 10.1.1.1 dev eth0" in inside(lab_world, "web", "ip", "route")


@pytest.mark.root
async def test_a_guest_sends_where_it_runs_and_hears_from_every_leg(lab_world):
    peer = Start(DB, DB_PORTS, SUBNETS)
    await do(lab_world, "host1", Start(machine("web", WEB_PORTS[0]), WEB_PORTS[:1], SUBNETS), peer)
    await do(lab_world, "host2", Prepare(machine("web", WEB_PORTS[0]), WEB_PORTS[:1]))
    for host in HOSTS:
        flood(lab_world, host)
    assert answered(lab_world, "web", "10.1.1.13") == 3
    await do(lab_world, "host1", Migrate("web", "host2"))
    assert answered(lab_world, "web", "10.1.1.13") == 0
    await do(lab_world, "host2", Prepare(DB, DB_PORTS))
    await do(lab_world, "host1", Migrate("db", "host2"))
    assert answered(lab_world, "web", "10.1.1.13") == 3


@pytest.mark.root
async def test_a_swap_loses_no_packet(lab_world):
    """The peer is the bridge's own port on both hosts, with one address and one MAC: whatever leg, it answers."""
    await do(lab_world, "host1", Start(machine("web", WEB_PORTS[0]), WEB_PORTS[:1], SUBNETS))
    await do(lab_world, "host2", Prepare(machine("web", WEB_PORTS[0]), WEB_PORTS[:1]))
    for host in HOSTS:
        flood(lab_world, host)
        space = f"{lab_world.lab.name}-{host}"
        database = f"unix:{lab_world.lab.rundir(lab_world.lab.host(host))}/db.sock"
        mac = 'other_config:hwaddr="02:00:00:00:00:99"'
        for words in (
            ("ovs-vsctl", f"--db={database}", "set", "bridge", "br-int", mac),
            ("ip", "-n", space, "link", "set", "dev", "br-int", "up"),
            ("ip", "-n", space, "addr", "add", "10.1.1.1/24", "dev", "br-int"),
        ):
            subprocess.run(words, check=True, env={**os.environ, "PATH": PATH})
    words = ["ip", "netns", "exec", f"{lab_world.lab.name}-web", "ping", "-n", "-i", "0.005", "10.1.1.1"]
    pinging = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PATH": PATH}
    )
    seen = []

    async def more():
        """Half a second of them: some are answered that were sent after now."""
        wanted = (seen or [0])[-1] + 100
        while not seen or seen[-1] < wanted:
            async with asyncio.timeout(30):
                said = await pinging.stdout.readline()
            assert said
            seen.extend(map(int, re.findall(rb"icmp_seq=(\d+) ttl", said)))

    await more()
    for source, destination in (("host1", "host2"), ("host2", "host1"), ("host1", "host2")):
        await do(lab_world, source, Migrate("web", destination))
        await more()
    pinging.kill()
    await pinging.communicate()
    assert seen == list(range(1, seen[-1] + 1))


@pytest.mark.root
async def test_a_killed_driver_leaves_nothing_that_the_next_cannot_finish(lab_world):
    """A driver has no memory: another one on the same files goes on where the first was."""
    await do(lab_world, "host1", START)
    second = open_hypervisor(str(LabFolder(lab_world.lab.path).path), "host1")
    assert {one.machine: one.power for one in (await second.facts()).machines} == {"web": "Running"}
    subprocess.run(["ip", "netns", "del", f"{lab_world.lab.name}-web"], check=True, env={**os.environ, "PATH": PATH})
    assert {one.machine: one.power for one in (await second.facts()).machines} == {"web": "Off"}
    await second.carry_out(START)
    assert await power(lab_world, "host1") == "Running"
    assert "10.1.1.11/24" in inside(lab_world, "web", "ip", "addr")
