"""Makes the GRE connections of the edges of one host: ports of Open vSwitch, and what lies outside of them.

Called by edge/namespace.py, which makes the veths. What a bridge has is worked out from the ports in the database
(edge/tunnels.py), whoever made them; one call at a time looks at it. Needs ovs-vsctl, ovs-ofctl and iproute2.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from weft.agent.edge import tunnels
from weft.agent.edge.announcing import announce, ask
from weft.agent.edge.commands import batch, run
from weft.agent.edge.tunnels import TunnelPort, bridge_of
from weft.agent.edge.wanted import ROUTE_PROTOCOL, EdgeFailure, Wanted
from weft.model.values import Rdid, pack_ip


class TunnelPorts:
    """Of one host. `outer` is the bridge with the physical adapter; `mark` differs between hosts."""

    def __init__(self, database: Path, outer: str, mark: str) -> None:
        self._database = database
        self._outer = outer
        self._mark = mark
        self._one_at_a_time = asyncio.Lock()
        self._known: set[Rdid] | None = None
        """Edges that had connections when the database was last read."""
        self._asked: dict[Rdid, bool] = {}
        """Who is to carry, and is not told yet: all of it is done at once by whoever comes first."""
        self._failed: dict[Rdid, EdgeFailure] = {}
        """Of those that another did along with its own."""

    async def there(self) -> dict[Rdid, bool]:
        """Edges that have connections here, and whether this host answers for their near ends."""
        found: dict[Rdid, bool] = {}
        for one in await self._ports(check=False):
            found[one.rdid] = found.get(one.rdid, False) or one.carries
        return found

    async def build(self, name: str, wanted: Wanted) -> None:
        """The ports of an edge as wanted, in a namespace that has their veths, others of it gone; not yet who carries.
        Raises EdgeFailure."""
        edge, asked = wanted.network, tunnels.tunnel_links(wanted.network)
        if not asked and self._known is not None and edge.rdid not in self._known:
            return
        async with self._one_at_a_time:
            ports = {one.name: one for one in await self._ports()}
            words = self._del_ports(edge.rdid, {tunnels.port_of(link) for link, _ in asked}, ports)
            datapath = await self._datapath() if asked else ""
            for vlan in sorted({tunnel.vlan for _, tunnel in asked}):
                words += tunnels.bridge_words(vlan, self._outer, datapath, self._mark)
            for link, tunnel in asked:
                before = ports.get(tunnels.port_of(link))
                if before is not None and before.vlan != tunnel.vlan:
                    words += _del(before)
                words += tunnels.port_words(edge, link, tunnel, before.carries if before is not None else False)
            if words:
                await self._vsctl(words)
                await self._settle()
        if asked:
            self._check_open(edge.rdid, await self._ports())
            most = await self._physical_mtu()
            lines = [f"link set dev {link.inside} mtu {tunnels.inside_mtu(tunnel, most)}" for link, tunnel in asked]
            await batch(["ip", "-n", name, "-batch", "-"], lines)

    def _check_open(self, rdid: int, ports: Sequence[TunnelPort]) -> None:
        for one in ports:
            if tunnels.is_port(one.name, rdid) and one.error:
                raise EdgeFailure(f"the switch cannot make GRE port {one.name}: {one.error}")

    async def carry(self, rdid: Rdid, carries: bool) -> None:
        """Answer for an edge's near ends from now on, or no more; and say so to the neighbours. Many edges cost hardly
        more than one: when a gateway dies, another takes all of its networks at once. Raises EdgeFailure."""
        self._asked[rdid] = carries
        async with self._one_at_a_time:
            failed = self._failed.pop(rdid, None)
            if failed is not None:
                raise failed
            if rdid not in self._asked:
                return
            asked, self._asked = self._asked, {}
            try:
                await self._vsctl(tunnels.carrying_words(await self._ports(), asked))
                await self._settle()
            except EdgeFailure as failure:
                self._failed |= {other: failure for other in asked if other != rdid}
                raise

    async def remove(self, rdid: Rdid) -> None:
        async with self._one_at_a_time:
            words = self._del_ports(rdid, set(), {one.name: one for one in await self._ports()})
            if words:
                await self._vsctl(words)
                await self._settle()

    def _del_ports(self, rdid: int, but: set[str], ports: dict[str, TunnelPort]) -> list[str]:
        gone = [one for name, one in ports.items() if tunnels.is_port(name, rdid) and name not in but]
        return [word for one in gone for word in _del(one)]

    async def _settle(self) -> None:
        """Flows, addresses and routes of every bridge of ours as its ports ask for; a bridge without one goes."""
        by_bridge: dict[str, list[TunnelPort]] = {}
        for one in await self._ports():
            by_bridge.setdefault(bridge_of(one.vlan), []).append(one)
        for bridge in await self._bridges():
            if bridge in by_bridge:
                await self._settle_bridge(bridge, tunnels.outside(bridge, by_bridge[bridge]))
            else:
                _, there = tunnels.patch_of(bridge)
                await self._vsctl(["--", "--if-exists", "del-port", there, "--", "--if-exists", "del-br", bridge])

    async def _settle_bridge(self, bridge: str, wanted: tunnels.Outside) -> None:
        target = f"unix:{self._database.parent / bridge}.mgmt"
        await run(["ovs-ofctl", "--names", "replace-flows", target, "-"], "\n".join(wanted.flows) + "\n")
        settings = [f"net.{name.format(bridge)}={value}" for name, value in tunnels.SETTINGS.items()]
        await run(["sysctl", "-qw", *settings], check=False)
        there = await _addresses()
        rival = tunnels.rival(bridge, there, wanted)
        if rival:
            raise EdgeFailure(rival)
        how = ["ip", "-j", "route", "show", "dev", bridge, "proto", str(ROUTE_PROTOCOL)]
        routes = {one["dst"] for one in json.loads(await run(how) or "[]")}
        lines = [f"link set dev {bridge} up", *tunnels.address_lines(bridge, there.get(bridge, set()), wanted)]
        await batch(["ip", "-batch", "-"], [*lines, *tunnels.route_lines(bridge, routes, wanted)])
        await announce([(bridge, pack_ip(one)) for one in wanted.addresses.values()])
        await ask(bridge, [(pack_ip(near), pack_ip(hop)) for near, hop in sorted(wanted.hops)])

    async def _ports(self, *, check: bool = True) -> list[TunnelPort]:
        words = ["--format=json", f"--columns={','.join(tunnels.COLUMNS)}", "find", "interface", "type=gre"]
        found = tunnels.read_ports(await self._vsctl([*words, "external_ids:weft=edge"], check=check))
        self._known = {one.rdid for one in found}
        return found

    async def _bridges(self) -> list[str]:
        words = ["--bare", "--columns=name", "find", "bridge", "external_ids:weft=edge"]
        return (await self._vsctl(words)).split()

    async def _datapath(self) -> str:
        """A patch connects bridges of one kind only."""
        return (await self._vsctl(["get", "bridge", self._outer, "datapath_type"])).strip().strip('"')

    async def _physical_mtu(self) -> int:
        shown = json.loads(await run(["ip", "-j", "link", "show", "dev", self._outer], check=False) or "[]")
        return int(shown[0]["mtu"]) if shown else USUAL_MTU

    async def _vsctl(self, words: Sequence[str], *, check: bool = True) -> str:
        if not words:
            return ""
        return await run(["ovs-vsctl", f"--db=unix:{self._database}", "--timeout=10", *words], check=check)


USUAL_MTU = 1500


async def _addresses() -> dict[str, set[str]]:
    """IPv4 addresses of the host with prefix length, by interface; but for its own."""
    shown = json.loads(await run(["ip", "-4", "-j", "addr", "show"]) or "[]")
    return {
        one["ifname"]: {f"{each['local']}/{each['prefixlen']}" for each in one["addr_info"]}
        for one in shown
        if one["ifname"] != "lo"
    }


def _del(port: TunnelPort) -> list[str]:
    bridge = bridge_of(port.vlan)
    both = (("--", "--if-exists", "del-port", bridge, one) for one in (port.name, port.leg))
    return [word for words in both for word in words]
