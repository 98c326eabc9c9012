"""Two hosts with switches and guests' ports: as fakes, and as Open vSwitch in network namespaces of a lab."""

import asyncio
import contextlib
import os
import select
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from pyroute2 import netns

from tests.unit.agent.policies import HOSTS
from weft.agent.flows.flow import flow_text
from weft.agent.ovs.switch import OvsSwitch
from weft.agent.switch import SwitchMac
from weft.fakes.frames import frame, packet
from weft.fakes.network import Delivery, ProviderNetwork
from weft.fakes.packet import Packet
from weft.fakes.switch import FakeSwitch
from weft.lab import hosts, namespaces, router, up
from weft.lab.commands import ip_batch, run
from weft.lab.processes import kill
from weft.lab.state import HostState, open_lab
from weft.model.values import ip_text, mac_colons

QUIET_SECONDS = 0.15
_OUTGOING = 4


class FakeWorld:
    """Open vSwitch as tests play it."""

    real = False

    def __init__(self):
        network = ProviderNetwork()
        self.switches = {name: FakeSwitch(name, network, [address]) for name, address in HOSTS.items()}
        self._elsewhere = {}
        self._outside = {}
        self._arrived = set()

    async def open(self):
        pass

    async def close(self):
        pass

    def inside(self, host):
        return contextlib.nullcontext()

    async def plug(self, host, name, iface_id="", mac=None):
        self.switches[host].plug(name, iface_id, mac)

    async def unplug(self, host, name):
        self.switches[host].unplug(name)

    async def plug_elsewhere(self, host, bridge, name, mac=None, vlan=0):
        """A port of another hand on a bridge that is none of ours, which learns as any switch does."""
        self._elsewhere[host, name] = (bridge, vlan)
        if mac is not None:
            self.switches[host].show_mac(SwitchMac(mac, name, bridge, vlan))

    async def send_elsewhere(self, host, name, sent: Packet):
        bridge, vlan = self._elsewhere[host, name]
        self.switches[host].show_mac(SwitchMac(sent.eth_src, name, bridge, vlan, True))

    async def unplug_elsewhere(self, host, name, *macs):
        for mac in macs:
            self.switches[host].hide_mac(mac)

    async def plug_outside(self, host, name, vlan=0):
        """A station on the physical network, in a VLAN or untagged; it sends and hears as a guest does."""
        tci = 0x1000 | vlan if vlan else 0

        def hears(packet, hops):
            return [Delivery(host, name, packet)] if packet.vlan_tci == tci else []

        self.switches[host]._network.wire.plug(name, hears)
        self._outside[name] = tci

    async def send(self, host, port, sent: Packet) -> set[tuple[str, str, Packet]]:
        """Where a packet comes out, on any host."""
        self._arrived.clear()
        await self.put(host, port, sent)
        return await self.arrived()

    async def put(self, host, port, sent: Packet):
        """Send a packet and wait for nothing."""
        if port in self._outside:
            tagged = msgspec.structs.replace(sent, vlan_tci=self._outside[port])
            found = self.switches[host]._network.wire.carry(port, tagged)
        else:
            found = self.switches[host].inject(port, sent)
        self._arrived |= {(one.host, one.port, _plain(one.packet)) for one in found}

    async def put_frame(self, host, port, data: bytes):
        await self.put(host, port, packet(data))

    async def arrived(self, quiet_s=0.0) -> set[tuple[str, str, Packet]]:
        """Everything that guests got since they were last asked, until none of them gets any more for so long."""
        found, self._arrived = self._arrived, set()
        for switch in self.switches.values():
            found |= {(one.host, one.port, _plain(one.packet)) for one in switch.announced}
            switch.announced.clear()
        return found

    def put_by_hand(self, host, flow):
        self.switches[host].put_flow(flow)

    async def caught_up(self, host):
        """Wait until no packet can meet flows of before."""

    async def restart(self, host):
        self.switches[host].restart()

    async def lose_database(self, host):
        self.switches[host].faults.unavailable = True

    async def regain_database(self, host):
        self.switches[host].faults.unavailable = False

    def set_provider_mtu(self, host, mtu):
        self.switches[host]._network.mtu = mtu


class LabWorld:
    """Open vSwitch's userspace datapath; guests are raw sockets on the far ends of the ports' cables."""

    real = True

    def __init__(self, folder):
        os.environ["WEFT_LAB_DIR"] = str(folder)
        self.lab = open_lab(f"s{os.getpid()}")
        state = self.lab.create()
        made = {
            name: HostState(name, number, f"{ip_text(address)}/24", ip_text(address).rpartition(".")[0] + ".1")
            for number, (name, address) in enumerate(HOSTS.items())
        }
        state = self.lab.change(lambda old: msgspec.structs.replace(old, hosts=made))
        router.ensure_router(state)
        with ThreadPoolExecutor(len(made)) as workers:
            list(workers.map(lambda name: hosts.ensure_host(self.lab, state, name), made))
        self.switches = {}
        self._sockets = {}

    async def open(self):
        for name in HOSTS:
            self.switches[name] = OvsSwitch(self.rundir(name), "br-int")
            # what the fast path dropped is counted within milliseconds, not within half a second
            self.vsctl(name, "set", "Open_vSwitch", ".", "other_config:max-revalidator=20")
            with self.inside(name):
                await self.switches[name].open()

    async def close(self):
        for switch in self.switches.values():
            await switch.close()
        for one in self._sockets.values():
            one.close()
        up.bring_down(self.lab)
        assert namespaces.of_lab(self.lab.name) == []

    def rundir(self, host):
        return self.lab.rundir(self.lab.host(host))

    def space(self, host):
        return hosts.host_namespace(self.lab, self.lab.host(host))

    @contextlib.contextmanager
    def inside(self, host):
        """The driver looks up next hops in its own namespace, and in threads that inherit it."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2, initializer=netns.setns, initargs=(self.space(host),)))
        netns.pushns(self.space(host))
        try:
            yield
        finally:
            netns.popns()

    def vsctl(self, host, *words):
        run(["ovs-vsctl", f"--db=unix:{self.rundir(host)}/db.sock", "--timeout=60", *words])

    async def plug(self, host, name, iface_id="", mac=None, bridge="br-int", vlan=0):
        space = self.space(host)
        ends = [f"link set {end} arp off up" for end in (name, f"{name}.g")]
        ip_batch(space, [f"link add {name} type veth peer name {name}.g", *ends])
        words = ["add-port", bridge, name, *([f"tag={vlan}"] if vlan else [])]
        if iface_id:
            words += ["--", "set", "interface", name, f"external_ids:iface-id={iface_id}"]
        if mac is not None:
            words += ["--", "set", "interface", name, f'external_ids:attached-mac="{mac_colons(mac)}"']
        self.vsctl(host, *words)
        netns.pushns(space)
        try:
            tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
            tap.bind((f"{name}.g", 0))
        finally:
            netns.popns()
        self._sockets[host, name] = tap

    async def plug_outside(self, host, name, vlan=0):
        await self.plug(host, name, bridge="br-phy", vlan=vlan)
        self.vsctl(host, "set", "port", name, f"tag={vlan}")  # 0: untagged frames and no others

    async def plug_elsewhere(self, host, bridge, name, mac=None, vlan=0):
        self.vsctl(host, "--may-exist", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
        await self.plug(host, name, mac=mac, bridge=bridge, vlan=vlan)

    async def send_elsewhere(self, host, name, sent: Packet):
        self._sockets[host, name].send(frame(sent))

    async def unplug_elsewhere(self, host, name, *macs):
        await self.unplug(host, name)

    async def unplug(self, host, name):
        self.vsctl(host, "del-port", name)
        self._sockets.pop((host, name)).close()
        run(["ip", "-n", self.space(host), "link", "del", name])

    async def send(self, host, port, sent: Packet) -> set[tuple[str, str, Packet]]:
        await self.arrived(0.0)
        await self.put(host, port, sent)
        return await self.arrived()

    async def put(self, host, port, sent: Packet):
        self._sockets[host, port].send(frame(sent))

    async def put_frame(self, host, port, data: bytes):
        """As put, of bytes as they are."""
        self._sockets[host, port].send(data)

    async def arrived(self, quiet_s=QUIET_SECONDS) -> set[tuple[str, str, Packet]]:
        found = self._heard(quiet_s)
        # a busy machine may keep a switch from its packets for longer than that
        while self._sockets:
            self._turns()
            if not (more := self._heard(0.0)):
                break
            found |= more
        return found

    def _heard(self, quiet_s):
        names = {tap: where for where, tap in self._sockets.items()}
        found = set()
        while ready := select.select(list(names), [], [], quiet_s)[0]:
            for tap in ready:
                data, address = tap.recvfrom(65536)
                if address[2] != _OUTGOING:
                    found.add((*names[tap], _plain(packet(data))))
        return found

    def _turns(self):
        """Wait until each switch has looked at all its ports, and again: what the last sent to the first. One thread
        does that and answers commands, so between two answers it has looked at every port."""
        for host in (*HOSTS, *HOSTS):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as line:
                line.settimeout(30)
                line.connect(str(self.rundir(host) / "vswitchd.ctl"))
                for _ in range(2):
                    line.sendall(b'{"id":0,"method":"version","params":[]}')
                    line.recv(4096)

    def put_by_hand(self, host, flow):
        socket_path = f"unix:{self.rundir(host)}/br-int.mgmt"
        subprocess.run(["ovs-ofctl", "-O", "OpenFlow13", "add-flow", socket_path, flow_text(flow)], check=True)

    async def caught_up(self, host):
        control = next(self.rundir(host).glob("ovs-vswitchd.*ctl"), self.rundir(host) / "vswitchd.ctl")
        run(["ovs-appctl", "-t", str(control), "revalidator/wait"])

    async def lose_database(self, host):
        kill(self.lab.host(host).database)
        await asyncio.sleep(0.1)

    async def regain_database(self, host):
        await asyncio.to_thread(hosts.start_database, self.lab, self.lab.host(host))

    def set_provider_mtu(self, host, mtu):
        run(["ip", "-n", self.space(host), "link", "set", "br-phy", "mtu", str(mtu)])

    async def restart(self, host):
        hosts.stop_switch(self.lab, self.lab.host(host))
        await asyncio.to_thread(hosts.start_switch, self.lab, self.lab.host(host))


def _plain(seen: Packet) -> Packet:
    """What a guest can tell of a packet in both worlds."""
    return msgspec.structs.replace(seen, size=0, vlan_tci=0)


@contextlib.asynccontextmanager
async def switch_world(kind):
    """ "fake" or "ovs", gone afterwards."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ws") as short:
        patch.setenv("WEFT_LAB_DIR", "")
        made = FakeWorld() if kind == "fake" else LabWorld(Path(short) / "l")
        await made.open()
        try:
            yield made
        finally:
            await made.close()


async def seen(world, host, enough):
    """Facts, once `enough` is true of them: a real switch takes a moment to open a port."""
    async with asyncio.timeout(30):
        while True:
            with world.inside(host):
                facts = await world.switches[host].facts()
            if enough(facts):
                return facts
            await asyncio.sleep(0.01)


def named(facts, name):
    return next((port for port in facts.ports if port.name == name), None)


def opened(name):
    return lambda facts: (port := named(facts, name)) is not None and port.ofport > 0


async def apply(world, host, change):
    with world.inside(host):
        return await world.switches[host].apply(change)


async def dumped(world, host):
    return {flow.key: flow for flow in (await world.switches[host].dump()).flows}
