"""The worlds that the contract of agent.hypervisors.Hypervisor is run on, and the machines that live in them.

A world has `hypervisors` by host, host1 and host2. `prepares` says which kind of driver it has: one whose ports can be
there without their machine, which Prepare makes (the lab's guests, the fake datacenter), or one whose machines must be
defined and bring their ports with them. Those that `hold` have ports only while a machine exists, so it is held for its
start (libvirt).
"""

import contextlib
import itertools
import json
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from weft.agent.hypervisors import Define, Migrate, Prepare, Start
from weft.agent.programs import PATH
from weft.fakes.datacenter import Datacenter
from weft.lab import commands, hosts, libvirtd, names, namespaces, router, up
from weft.lab.commands import ip_batch
from weft.lab.guests import GuestFiles
from weft.lab.hypervisor import open_hypervisor
from weft.lab.state import HostState, open_lab
from weft.model.hypervisor import Hardware
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
    holds = False
    patience = 10
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
    """Hosts of a lab. May serve many tests: `begin` before and `clear` after each."""

    prepares = True
    holds = False
    patience = 10
    letter = "c"

    def __init__(self, folder):
        os.environ["WEFT_LAB_DIR"] = str(folder)
        self.lab = open_lab(f"{self.letter}{os.getpid()}")
        state = self.lab.create()
        made = {
            name: HostState(name, number, f"{address}/24", address.rpartition(".")[0] + ".1")
            for number, (name, address) in enumerate(HOSTS.items())
        }
        state = self.lab.change(lambda old: msgspec.structs.replace(old, hosts=made))
        router.ensure_router(state)
        router.ensure_plug_space(self.lab.name)
        with ThreadPoolExecutor(len(made)) as workers:
            list(workers.map(lambda name: hosts.ensure_host(self.lab, state, name), made))
        self.begin()

    def begin(self):
        """Fresh drivers: one belongs to the event loop of its test."""
        self.hypervisors = {name: open_hypervisor(str(self.lab.path), name) for name in HOSTS}

    def clear(self):
        """The hosts as they were made: no guest, no cable to one, no port."""
        plugs, guests = names.plug_namespace(self.lab.name), GuestFiles(self.lab.guests)
        ip_batch(plugs, [f"link del dev {link}" for link in namespaces.links(plugs) - {"lo"}])
        for guest in guests.all():
            namespaces.delete(guest.namespace)
            guests.delete(guest.machine)
        for name in HOSTS:
            database = f"--db=unix:{self.lab.rundir(self.lab.host(name))}/db.sock"
            ports = commands.run(["ovs-vsctl", database, "list-ports", "br-int"]).split()
            if ports:
                commands.run(["ovs-vsctl", database, *(word for port in ports for word in ("--", "del-port", port))])

    def ports(self, host):
        return {(ids["iface-id"], _mac(ids)) for _, ids in self._interfaces(host) if "iface-id" in ids}

    def _interfaces(self, host):
        """(name, external_ids)."""
        database = f"unix:{self.lab.rundir(self.lab.host(host))}/db.sock"
        command = ["ovs-vsctl", f"--db={database}", "-f", "json", "--columns=name,external_ids", "list", "interface"]
        rows = json.loads(subprocess.check_output(command, env={**os.environ, "PATH": PATH}))["data"]
        return [(name, dict(ids[1])) for name, ids in rows]

    async def forget(self, host, name):
        await self.hypervisors[host].forget(name)

    def close(self):
        up.bring_down(self.lab)
        assert namespaces.of_lab(self.lab.name) == []


def _mac(ids):
    return Mac(int(ids["attached-mac"].replace(":", ""), 16))


class LibvirtWorld(LabWorld):
    """A libvirtd of its own on each host of a lab."""

    prepares = False
    holds = True
    patience = 10
    letter = "v"

    def __init__(self, folder):
        self._ids = itertools.count(1)
        super().__init__(folder)
        for name in HOSTS:
            hosts.start_libvirtd(self.lab, self.lab.host(name))

    def begin(self):
        self.hypervisors = {name: self.driver(name) for name in HOSTS}

    def driver(self, host):
        from weft.agent.libvirt.driver import LibvirtHypervisor

        class Driver(LibvirtHypervisor):
            """Knows the other host's address by its name, as the controller does."""

            async def carry_out(self, verb):
                if isinstance(verb, Migrate) and not verb.address:
                    verb = msgspec.structs.replace(verb, address=HOSTS.get(verb.server, verb.server))
                await super().carry_out(verb)

        return Driver(self.daemon(host).uri, self.settings(host), self.new_id, time.monotonic)

    def settings(self, host):
        from weft.agent.libvirt.host import Settings

        return Settings(host, "br-int", libvirtd.PEER, True, str(self.lab.rundir(self.lab.host(host))))

    def new_id(self):
        return f"11111111-2222-4333-8444-{next(self._ids):012d}"

    def port_owners(self, host):
        """(name, attached-mac, vm-id) of machines' ports."""
        return {(name, _mac(ids), ids["vm-id"]) for name, ids in self._interfaces(host) if "vm-id" in ids}

    def daemon(self, host):
        return hosts.libvirt_daemon(self.lab, self.lab.host(host))

    def hardware(self, machine):
        """It looks for something to boot and finds nothing."""
        return Hardware(memory_mib=32)

    async def forget(self, host, name):
        with self.connected(host) as connection:
            domain = connection.lookupByName(name)
            if domain.isActive():
                domain.destroy()
            domain.undefine()

    @contextlib.contextmanager
    def connected(self, host):
        """As virsh is: another hand."""
        import libvirt

        connection = libvirt.open(self.daemon(host).uri)
        try:
            yield connection
        finally:
            connection.close()

    def clear(self):
        import libvirt

        for driver in self.hypervisors.values():
            driver.close()
        for host in HOSTS:
            with self.connected(host) as connection:
                for domain in connection.listAllDomains():
                    if domain.isActive():
                        domain.destroy()
                    if domain.isPersistent():
                        domain.undefineFlags(
                            libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                        )


@contextlib.contextmanager
def lab_of(kind):
    """A world in a lab, gone afterwards."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="wl") as short:
        patch.setenv("WEFT_LAB_DIR", "")
        made = kind(Path(short) / "l")
        try:
            yield made
        finally:
            made.close()


def libvirt_world():
    """Two daemons, gone afterwards. Skips where there is no libvirt."""
    if libvirtd.missing():
        pytest.skip(libvirtd.missing())
    return lab_of(LibvirtWorld)


async def make(world, host, one=WEB, ports=WEB_PORTS, hardware=None):
    """The machine is there, Off, with its ports bound."""
    if world.prepares:
        await do(world, host, Prepare(one, ports))
    else:
        made = msgspec.structs.replace(one, hardware=hardware or world.hardware(one.machine))
        await do(world, host, Define(made, ports))
        if getattr(world, "holds", False) and one.power == "Running":
            await do(world, host, Prepare(made, ports))


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
