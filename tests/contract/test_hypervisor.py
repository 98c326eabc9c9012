"""The contract of agent.hypervisors.Hypervisor, on the fake datacenter and on the lab's namespaces."""

import asyncio
import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

import msgspec
import pytest

from weft.agent.hypervisors import HypervisorFailure, Migrate, Prepare, Remove, Start, Stop
from weft.fakes.hypervisor import Datacenter
from weft.lab import hosts, namespaces, router, up
from weft.lab.commands import PATH
from weft.lab.hypervisor import open_hypervisor
from weft.lab.state import HostState, LabFolder, open_lab
from weft.model.records import Machine, PortBinding, SubnetRecord
from weft.model.values import InstanceId, Mac, Rdid, Vsid, mac_colons, pack_ip

HOSTS = {"host1": "192.168.1.10", "host2": "192.168.2.20"}
SUBNETS = (SubnetRecord(Vsid(6001), pack_ip("10.1.1.0"), 24, pack_ip("10.1.1.1")),)


def binding(name, number):
    mac = Mac(0x001DD8B71C00 + number)
    addresses = (pack_ip(f"10.1.1.{10 + number}"),)
    own = pack_ip("192.168.1.10")
    return PortBinding(InstanceId(f"id-{name}-{number}"), f"{name}-eth0", Rdid(1), Vsid(6001), mac, addresses, own)


def machine(name, *bindings):
    return Machine(name, "Running", tuple(one.instance_id for one in bindings), "")


WEB_PORTS = (binding("web", 1), binding("web", 2))
WEB = machine("web", *WEB_PORTS)
DB_PORTS = (binding("db", 3),)
DB = machine("db", *DB_PORTS)


class FakeWorld:
    def __init__(self):
        self.datacenter = Datacenter()
        for name, address in HOSTS.items():
            self.datacenter.add_host(name, [address])
        self.hypervisors = self.datacenter.hypervisors

    def ports(self, host):
        """(iface-id, attached-mac) of the guests' ports on a switch."""
        found = self.datacenter.switches[host]._ports.values()
        return {(one.iface_id, one.attached_mac) for one in found if one.iface_id}

    def close(self):
        pass


class LabWorld:
    def __init__(self, folder):
        os.environ["WEFT_LAB_DIR"] = str(folder)
        self.lab = open_lab(f"c{os.getpid()}")
        state = self.lab.create()
        made = {
            name: HostState(name, number, f"{address}/24", address.rpartition(".")[0] + ".1")
            for number, (name, address) in enumerate(HOSTS.items())
        }
        state = self.lab.change(lambda old: msgspec.structs.replace(old, hosts=made))
        router.ensure_router(state)
        router.ensure_plug_space(self.lab.name)
        for name in made:
            hosts.ensure_host(self.lab, state, name)
        self.hypervisors = {name: open_hypervisor(str(self.lab.path), name) for name in made}

    def ports(self, host):
        database = f"unix:{self.lab.rundir(self.lab.host(host))}/db.sock"
        command = ["ovs-vsctl", f"--db={database}", "-f", "json", "--columns=external_ids", "list", "interface"]
        rows = json.loads(subprocess.check_output(command, env={**os.environ, "PATH": PATH}))["data"]
        each = [dict(row[0][1]) for row in rows]
        return {
            (ids["iface-id"], Mac(int(ids["attached-mac"].replace(":", ""), 16))) for ids in each if "iface-id" in ids
        }

    def close(self):
        up.bring_down(self.lab)
        assert namespaces.of_lab(self.lab.name) == []


@pytest.fixture(params=["fake", pytest.param("lab", marks=pytest.mark.root)])
def world(request, monkeypatch):
    if request.param == "fake":
        yield FakeWorld()
        return
    monkeypatch.setenv("WEFT_LAB_DIR", "")
    with tempfile.TemporaryDirectory(prefix="wl") as short:
        made = LabWorld(Path(short) / "l")
        try:
            yield made
        finally:
            made.close()


async def power(world, host, name="web"):
    facts = {one.machine: one.power for one in (await world.hypervisors[host].facts()).machines}
    return facts.get(name, "")


async def do(world, host, *verbs):
    for verb in verbs:
        await world.hypervisors[host].carry_out(verb)


def identities(bindings):
    return {(one.instance_id, one.mac) for one in bindings}


START = Start(WEB, WEB_PORTS, SUBNETS)
PREPARE = Prepare(WEB, WEB_PORTS)


async def test_nothing_is_there_at_first(world):
    assert (await world.hypervisors["host1"].facts()).machines == ()
    assert world.ports("host1") == set()


async def test_prepared_ports_are_there_and_the_machine_is_off(world):
    await do(world, "host1", PREPARE, PREPARE)
    assert world.ports("host1") == identities(WEB_PORTS)
    assert await power(world, "host1") == "Off"


@pytest.mark.parametrize(
    "before", [(), (PREPARE,), (START,), (START, Stop("web"))], ids=["bare", "prepared", "on", "off"]
)
async def test_start_makes_it_run_whatever_was_before(world, before):
    await do(world, "host1", *before, START)
    assert await power(world, "host1") == "Running"
    assert world.ports("host1") == identities(WEB_PORTS)
    assert await power(world, "host2") == ""


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


async def test_there_and_back_again(world):
    await do(world, "host1", START)
    for source, destination in (("host1", "host2"), ("host2", "host1"), ("host1", "host2")):
        await do(world, destination, PREPARE)
        await do(world, source, Migrate("web", destination), Remove("web"))
        assert await power(world, destination) == "Running"
        assert world.ports(source) == set()


async def test_a_move_that_is_given_up_leaves_the_machine_where_it_is(world):
    await do(world, "host1", START)
    await do(world, "host2", PREPARE, Remove("web"))
    assert (await power(world, "host1"), await power(world, "host2")) == ("Running", "")
    assert (world.ports("host1"), world.ports("host2")) == (identities(WEB_PORTS), set())


async def test_remove_forgets_the_machine(world):
    await do(world, "host1", START, Remove("web"), Remove("web"))
    assert (await world.hypervisors["host1"].facts()).machines == ()
    assert world.ports("host1") == set()


@pytest.mark.parametrize("before", [(PREPARE,), (START,), (START, Stop("web"))], ids=["prepared", "on", "off"])
async def test_another_hand_may_delete_a_machine_and_it_can_be_made_anew(world, before):
    await do(world, "host1", *before, Start(DB, DB_PORTS, SUBNETS))
    seen = asyncio.Event()

    async def watch():
        async for _ in world.hypervisors["host1"].events():
            if await power(world, "host1") == "":
                seen.set()

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.05)
    await world.hypervisors["host1"].forget("web")
    await asyncio.wait_for(seen.wait(), 2)
    watching.cancel()
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


async def test_remove_touches_no_other_machine(world):
    await do(world, "host1", START, Start(DB, DB_PORTS, SUBNETS), Remove("web"))
    assert await power(world, "host1", "db") == "Running"
    assert world.ports("host1") == identities(DB_PORTS)


@pytest.mark.parametrize(
    "verb",
    [Migrate("web", "host2"), Migrate("nobody", "host2"), Migrate("web", "host9")],
    ids=["not prepared", "unknown machine", "unknown host"],
)
async def test_what_cannot_be_is_refused_and_nothing_has_changed(world, verb):
    await do(world, "host1", START)
    with pytest.raises(HypervisorFailure):
        await do(world, "host1", verb)
    assert await power(world, "host1") == "Running"


async def test_a_machine_never_runs_twice(world):
    await do(world, "host1", START)
    await do(world, "host2", PREPARE)
    with pytest.raises(HypervisorFailure, match="already runs on host1"):
        await do(world, "host2", START)
    assert (await power(world, "host1"), await power(world, "host2")) == ("Running", "Off")


async def test_machines_are_started_together(world):
    await asyncio.gather(do(world, "host1", START), do(world, "host1", Start(DB, DB_PORTS, SUBNETS)))
    assert (await power(world, "host1"), await power(world, "host1", "db")) == ("Running", "Running")
    assert world.ports("host1") == identities(WEB_PORTS + DB_PORTS)


async def test_another_hosts_move_is_an_event_here(world):
    await do(world, "host1", START)
    await do(world, "host2", PREPARE)
    seen = asyncio.Event()

    async def watch():
        async for _ in world.hypervisors["host2"].events():
            if await power(world, "host2") == "Running":
                seen.set()

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.05)
    await do(world, "host1", Migrate("web", "host2"))
    await asyncio.wait_for(seen.wait(), 2)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


# What only the lab's guests have.


@pytest.fixture
def lab_world(monkeypatch):
    monkeypatch.setenv("WEFT_LAB_DIR", "")
    with tempfile.TemporaryDirectory(prefix="wl") as short:
        made = LabWorld(Path(short) / "l")
        try:
            yield made
        finally:
            made.close()


def inside(world, name, *command):
    words = ["ip", "netns", "exec", f"{world.lab.name}-{name}", *command]
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": PATH}).stdout


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
    ping = ("ping", "-c", "3", "-i", "0.05", "-W", "1", "10.1.1.13")
    assert "3 received" in inside(lab_world, "web", *ping)
    await do(lab_world, "host1", Migrate("web", "host2"))
    assert "0 received" in inside(lab_world, "web", *ping)
    await do(lab_world, "host2", Prepare(DB, DB_PORTS))
    await do(lab_world, "host1", Migrate("db", "host2"))
    assert "3 received" in inside(lab_world, "web", *ping)


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
    command = ["ip", "netns", "exec", f"{lab_world.lab.name}-web", "ping", "-q", "-c", "400", "-i", "0.005", "10.1.1.1"]
    pinging = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PATH": PATH}
    )
    await asyncio.sleep(0.4)
    for source, destination in (("host1", "host2"), ("host2", "host1"), ("host1", "host2")):
        await do(lab_world, source, Migrate("web", destination))
        await asyncio.sleep(0.2)
    assert b"400 received" in (await pinging.communicate())[0]


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
