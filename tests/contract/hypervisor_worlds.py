"""The worlds that the contract of agent.hypervisors.Hypervisor is run on, and the machines that live in them.

A world has `hypervisors` by host, host1 and host2. `prepares` says which kind of driver it has: one whose ports can be
there without their machine, which Prepare makes (the lab's guests, the fake datacenter), or one whose machines must be
defined and bring their ports with them.
"""

import json
import os
import subprocess

import msgspec

from weft.agent.hypervisors import Define, Prepare, Start
from weft.fakes.hypervisor import Datacenter
from weft.lab import hosts, namespaces, router, up
from weft.lab.commands import PATH
from weft.lab.hypervisor import open_hypervisor
from weft.lab.state import HostState, open_lab
from weft.model.records import Machine, PortBinding, SubnetRecord
from weft.model.values import InstanceId, Mac, Rdid, Vsid, pack_ip

HOSTS = {"host1": "192.168.1.10", "host2": "192.168.2.20"}
SUBNETS = (SubnetRecord(Vsid(6001), pack_ip("10.1.1.0"), 24, pack_ip("10.1.1.1")),)


def binding(name, number):
    mac = Mac(0x001DD8B71C00 + number)
    addresses = (pack_ip(f"10.1.1.{10 + number}"),)
    own = pack_ip("192.168.1.10")
    instance = InstanceId(f"5eedface-0000-4000-8000-{number:012x}")
    return PortBinding(instance, f"{name}-eth0", Rdid(1), Vsid(6001), mac, addresses, own)


def machine(name, *bindings, hardware=None):
    instances = tuple(one.instance_id for one in bindings)
    return Machine(name, "Running", instances, "", hardware=hardware, macs=tuple(one.mac for one in bindings))


WEB_PORTS = (binding("web", 1), binding("web", 2))
WEB = machine("web", *WEB_PORTS)
DB_PORTS = (binding("db", 3),)
DB = machine("db", *DB_PORTS)


START = Start(WEB, WEB_PORTS, SUBNETS)
PREPARE = Prepare(WEB, WEB_PORTS)


class FakeWorld:
    prepares = True
    patience = 2
    """Seconds within which an event comes."""

    def __init__(self):
        self.datacenter = Datacenter()
        for name, address in HOSTS.items():
            self.datacenter.add_host(name, [address])
        self.hypervisors = self.datacenter.hypervisors

    def ports(self, host):
        """(iface-id, attached-mac) of the guests' ports on a switch."""
        found = self.datacenter.switches[host]._ports.values()
        return {(one.iface_id, one.attached_mac) for one in found if one.iface_id}

    async def forget(self, host, name):
        """Another hand deletes the machine."""
        await self.hypervisors[host].forget(name)

    def close(self):
        pass


class LabWorld:
    prepares = True
    patience = 2

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

    async def forget(self, host, name):
        await self.hypervisors[host].forget(name)

    def close(self):
        up.bring_down(self.lab)
        assert namespaces.of_lab(self.lab.name) == []


async def make(world, host, one=WEB, ports=WEB_PORTS, hardware=None):
    """The machine is there, Off, with its ports bound."""
    if world.prepares:
        await do(world, host, Prepare(one, ports))
    else:
        made = msgspec.structs.replace(one, hardware=hardware or world.hardware(one.machine))
        await do(world, host, Define(made, ports))


async def run(world, host, one=WEB, ports=WEB_PORTS):
    """The machine runs there."""
    await make(world, host, one, ports)
    await do(world, host, Start(one, ports, SUBNETS))


async def expect(world, host, one=WEB, ports=WEB_PORTS):
    """The host is told that the machine may come."""
    coming = one if world.prepares else msgspec.structs.replace(one, power="Incoming")
    await do(world, host, Prepare(coming, ports))


async def power(world, host, name="web"):
    facts = {one.machine: one.power for one in (await world.hypervisors[host].facts()).machines}
    return facts.get(name, "")


async def do(world, host, *verbs):
    for verb in verbs:
        await world.hypervisors[host].carry_out(verb)


def identities(bindings):
    return {(one.instance_id, one.mac) for one in bindings}
