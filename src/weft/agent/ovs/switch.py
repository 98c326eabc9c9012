"""Driver of a real Open vSwitch: ports and tunnels over OVSDB, flows over OpenFlow, next hops over the control socket.

Made by run.py; implements agent.switch.Switch. Needs only the sockets in Open vSwitch's run folder, so one machine can
have many. Every port that it makes bears external_ids:weft; every flow bears our cookie. A lost connection raises
SwitchUnavailable and is opened anew with the next call; then the caller reads everything again.
"""

import asyncio
import contextlib
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import msgspec

from weft.agent.announcements import packet_of
from weft.agent.flows.fields import COOKIE_DROPS, COOKIE_DROPS_MASK, COUNTED, DropReason
from weft.agent.flows.flow import Flow, FlowKey
from weft.agent.openflow.connection import FlowsRefused, Heard, OpenflowConnection
from weft.agent.openflow.messages import Counted
from weft.agent.openflow.terms import UnknownOnWire
from weft.agent.ovs import learnt as ovs_learnt
from weft.agent.ovs import neighbours
from weft.agent.ovs import patch as ovs_patch
from weft.agent.ovs.database import Interface, OvsDatabase, PortTaken
from weft.agent.ovs.host_side import HostSide
from weft.agent.ovs.next_hops import NextHops
from weft.agent.ovs.tunnel_ports import tunnel_name, tunnel_of, tunnel_options
from weft.agent.switch import (
    PacketIn,
    PacketOut,
    StepFailure,
    SwitchChange,
    SwitchDump,
    SwitchFacts,
    SwitchMac,
    SwitchPort,
    SwitchUnavailable,
    Tunnel,
)
from weft.model.errors import InvalidMacAddress
from weft.model.values import Mac, parse_mac

PROTOCOLS = ("OpenFlow13",)
OPEN_SECONDS = 2.0
MOST_WAITING = 1000
"""Packets for the agent."""
_MAX_REFUSED = 20
TUNNELS = ("gre", "vxlan", "geneve")


class OvsSwitch:
    """One bridge. `open` first, `close` last."""

    def __init__(self, rundir: Path, bridge: str) -> None:
        self._rundir = rundir.absolute()
        self._bridge = bridge
        self._happened = asyncio.Event()
        self._database = OvsDatabase(str(self._rundir / "db.sock"), bridge, self._database_changed)
        self._links: socket.socket | None = None
        self._connection: OpenflowConnection | None = None
        self._known: dict[int, Flow] = {}
        """Flows by the hash of their bytes in a dump, so that only new ones are decoded."""
        self._next_hops = NextHops(self._rundir)
        self._keepers: tuple[asyncio.Task[None], ...] = ()
        self._learnt: frozenset[SwitchMac] | None = None
        self._host = HostSide()
        self._marked = False
        self._packets: asyncio.Queue[PacketIn] = asyncio.Queue(MOST_WAITING)
        self._lost = 0

    async def open(self) -> None:
        """Returns once the database has been read, or after a moment without it."""
        self._database.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await self._happened.wait()
        self._links = neighbours.link_news()
        asyncio.get_running_loop().add_reader(self._links, self._links_changed)
        self._keepers = (
            asyncio.create_task(self._next_hops.keep(), name="next hops"),
            asyncio.create_task(self._keep_learnt(), name="learnt addresses"),
        )

    async def close(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if self._links is not None:
            asyncio.get_running_loop().remove_reader(self._links)
            self._links.close()
        self._hang_up()
        await self._database.close()

    async def facts(self) -> SwitchFacts:
        rows = self._database.rows()
        connection = await self._connected()
        numbers = await connection.ports()
        ports = [self._port(row, numbers) for row in rows.interfaces]
        return SwitchFacts(tuple(ports), self._bridge, *await self._host.found())

    async def macs(self) -> tuple[SwitchMac, ...] | None:
        if self._learnt is None:
            return None
        given = (
            SwitchMac(int(mac), row.name, row.bridge, row.vlan)
            for row in self._database.rows().others
            if (mac := _mac_of(row.attached_mac)) is not None
        )
        return (*given, *self._learnt)

    def datapath(self) -> str:
        """The bridge's datapath_type; empty for the kernel's, and while that is not known."""
        try:
            return self._database.rows().datapath_type
        except SwitchUnavailable:
            return ""

    def ports_beside(self, interface: str) -> tuple[str, ...]:
        """The devices on the bridge, another than ours, that an interface is on or is the own port of."""
        try:
            others = self._database.rows().others
        except SwitchUnavailable:
            return ()
        bridges = {one.bridge for one in others if interface in (one.name, one.bridge)}
        return tuple(one.name for one in others if one.bridge in bridges and one.name != interface and not one.kind)

    async def apply(self, change: SwitchChange) -> tuple[StepFailure, ...]:
        connection = await self._connected()
        failures = await self._open(change)
        if change.peers and self._database.rows().datapath_type == "netdev":
            failures += await self._next_hops.reach(change.peers)
        for name, mtu in change.mtus:
            failures += await self._in_database(
                "mtu", name, lambda tables, name=name, mtu=mtu: tables.set_mtu(name, mtu)
            )
        if change.meters:
            refused = await connection.set_meters(change.meters)
            failures += [StepFailure("meter", str(number), str(why), meter=number) for number, why in refused.items()]
        connection.flush_zones(change.zones_flush)
        if change.puts or change.removes:
            failures += await self._change_flows(connection, list(change.puts), list(change.removes))
        if change.meters_remove:
            await connection.remove_meters(change.meters_remove)
        failures += await self._shut(change)
        if change.announcements and not any(failure.step == "flows" for failure in failures):
            connection.send(packet_of(one) for one in change.announcements)
        return tuple(failures)

    async def _open(self, change: SwitchChange) -> list[StepFailure]:
        """What flows and peers stand on."""
        failures = await self._host.put(change.addresses_add, change.routes_add)
        for tunnel in change.tunnels_add:
            failures += await self._add_tunnel(tunnel)
        if change.patch_add is not None:
            devices = await asyncio.to_thread(ovs_patch.devices_of, change.patch_add)
            failures += await self._in_database("patch", ovs_patch.HERE, lambda tables: ovs_patch.put(tables, devices))
        return failures

    async def _shut(self, change: SwitchChange) -> list[StepFailure]:
        """What no flow needs any more."""
        failures: list[StepFailure] = []
        for name in map(tunnel_name, change.tunnels_remove):
            failures += await self._in_database("tunnel", name, lambda tables, name=name: tables.remove_port(name))
        failures += await self._host.take(change.routes_remove, change.addresses_remove)
        if change.patch_remove:
            failures += await self._in_database("patch", ovs_patch.HERE, ovs_patch.remove)
        return failures

    async def dump(self) -> SwitchDump:
        connection = await self._connected()
        entries = await connection.dump()
        flows: list[Flow] = []
        foreign: list[str] = []
        drops: dict[str, int] = defaultdict(int)
        counts: dict[int, tuple[int, int]] = {}
        known: dict[int, Flow] = {}
        for entry in entries:
            flow = self._flow(entry) if entry.ours else None
            if flow is None:
                foreign.append(entry.words())
                continue
            known[hash(entry.raw)] = flow
            flows.append(flow)
            if entry.cookie & COOKIE_DROPS_MASK == COOKIE_DROPS and entry.packets:
                drops[DropReason(entry.cookie & 0xFFFF).name.lower()] += entry.packets
            elif entry.cookie >> 40 & 0xFF in COUNTED:
                packets, octets = counts.get(entry.cookie, (0, 0))
                counts[entry.cookie] = packets + entry.packets, octets + entry.octets
        self._known = known
        return SwitchDump(tuple(flows), dict(drops), tuple(foreign), tuple(await connection.meters()), counts)

    async def events(self) -> AsyncIterator[None]:
        while True:
            await self._happened.wait()
            self._happened.clear()
            yield None

    async def packets_in(self) -> AsyncIterator[PacketIn]:
        while True:
            yield await self._packets.get()

    @property
    def packets_lost(self) -> int:
        return self._lost + (self._connection.lost if self._connection is not None else 0)

    def send(self, packets: Iterable[PacketOut]) -> None:
        if self._connection is not None:
            self._connection.send(packets)
        else:
            self._lost += len(list(packets))

    def _packet_came(self, packet: PacketIn) -> None:
        try:
            self._packets.put_nowait(packet)
        except asyncio.QueueFull:
            self._lost += 1

    # connections

    def _database_changed(self) -> None:
        """Without its database the switch answers no OpenFlow either: wait for nothing."""
        if not self._database.answers:
            self._hang_up("the database went away")
        self._happened.set()

    def _links_changed(self) -> None:
        """An interface of the host, an address of one or a route came, went or changed."""
        if self._links is not None:
            neighbours.drain(self._links)
        self._host.changed()
        self._happened.set()

    async def _connected(self) -> OpenflowConnection:
        self._database.rows()
        if self._connection is not None and self._connection.closed:
            self._hang_up()
        if self._connection is None:
            if not self._marked:
                await self._database.transact(lambda tables: tables.mark_bridge(PROTOCOLS))
                self._marked = True
            path = str(self._rundir / f"{self._bridge}.mgmt")
            self._connection = await OpenflowConnection.connect(path, Heard(self._happened.set, self._packet_came))
            self._known = {}
            self._next_hops.forget()
            self._host.changed()
        return self._connection

    def _hang_up(self, reason: str = "closed") -> None:
        if self._connection is not None:
            self._lost += self._connection.lost
            self._connection.close(reason)
            self._connection = None

    # ports

    def _port(self, row: Interface, numbers: dict[str, int]) -> SwitchPort:
        # the switch's own number counts: the database may still have that of before a restart
        number = row.ofport if numbers.get(row.name) == row.ofport else 0
        attached = _mac_of(row.external_ids.get("attached-mac", ""))
        iface_id = row.external_ids.get("iface-id", "").lower()
        spare = not iface_id and row.external_ids.get("iface-status") == "inactive"
        number = number if row.ofport > 0 else -1
        vm_id = row.external_ids.get("vm-id", "").lower()
        port = SwitchPort(row.name, number, iface_id, attached, row.mtu, row.mtu_of_ours, tunnel_of(row), spare, vm_id)
        return msgspec.structs.replace(port, patch=True) if ovs_patch.is_ours(row) else port

    async def _add_tunnel(self, tunnel: Tunnel) -> list[StepFailure]:
        name, options = tunnel_name(tunnel), tunnel_options(tunnel)
        return await self._in_database("tunnel", name, lambda tables: tables.put_tunnel(name, tunnel.kind, options))

    async def _in_database(self, step: str, subject: str, work: Callable[..., None]) -> list[StepFailure]:
        """What fails here stays to be done. (ovs-vswitchd itself takes no flows while it has no database.)"""
        try:
            await self._database.transact(work)
        except (SwitchUnavailable, PortTaken) as failure:
            return [StepFailure(step, subject, str(failure))]
        return []

    # flows

    def _flow(self, entry: Counted) -> Flow | None:
        known = self._known.get(hash(entry.raw))
        if known is not None:
            return known
        try:
            return entry.flow()
        except UnknownOnWire:
            return entry.tampered()

    async def _change_flows(
        self, connection: OpenflowConnection, puts: list[Flow], removes: list[FlowKey]
    ) -> list[StepFailure]:
        """A flow that the switch refuses is left out and the rest tried again."""
        failures: list[StepFailure] = []
        while puts or removes:
            try:
                await connection.change(puts, removes)
                return failures
            except FlowsRefused as refused:
                key = refused.flow.key if refused.flow else None
                failures.append(StepFailure("flows", "one flow" if key else "all", str(refused), flow=key))
                if key is None or len(failures) > _MAX_REFUSED:
                    return [*failures, StepFailure("flows", "all", str(refused))] if key else failures
                puts = [flow for flow in puts if flow.key != key]
        return failures

    # what the bridges have learnt

    async def _keep_learnt(self) -> None:
        """Ask the bridges what they have learnt, again and again; who does not answer has learnt nothing new."""
        while True:
            with contextlib.suppress(SwitchUnavailable):
                await self._ask_learnt()
            await asyncio.sleep(ovs_learnt.EVERY_SECONDS)

    async def _ask_learnt(self) -> None:
        rows = self._database.rows()
        ports = {(row.bridge, row.ofport): row.name for row in rows.others}
        ports |= {(self._bridge, row.ofport): row.name for row in rows.interfaces if row.kind not in TUNNELS}
        try:
            self._learnt = await ovs_learnt.learnt(self._rundir, {bridge for bridge, _ in ports}, ports)
        except (OSError, ValueError):
            self._learnt = self._learnt or frozenset()


def _mac_of(text: str) -> Mac | None:
    try:
        return parse_mac(text)
    except InvalidMacAddress:
        return None
