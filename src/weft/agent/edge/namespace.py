"""Makes edges of network namespaces: links, addresses, routes, nftables, tc, and ports of Open vSwitch.

Made by run.py; implements agent.edge.Edge. Needs root, iproute2, nftables, ethtool and ovs-vsctl. Whatever it makes is
known as ours without any file: namespaces by name and by the alias of `lo`, ports by external_ids:weft, routes by their
protocol, tables by name. Every step looks first, so a crash between any two is made good by the next call.
"""

import json
import logging
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from weft.agent.edge import wanted as edge
from weft.agent.edge.announcing import announce
from weft.agent.edge.commands import batch, run
from weft.agent.edge.conntrackd import Conntrackd
from weft.agent.edge.tunnel_ports import TunnelPorts
from weft.agent.edge.wanted import EdgeFailure, Wanted
from weft.model.records import EdgeNetwork
from weft.model.values import Rdid

log = logging.getLogger(__name__)

NETNS = Path("/run/netns")
FRESH_SECONDS = 20.0
"""So long after an edge was looked at whole only its outer addresses are looked at."""


class Place(msgspec.Struct, frozen=True):
    """Where the edges of one host are."""

    database: Path
    """Open vSwitch's socket."""
    server: str
    """Stands in the mark, so that hosts that share a machine leave each other's edges alone."""
    prefix: str = "weft-edge-"
    """Of the namespaces' names."""
    inner: str = "br-int"
    outer: str = "br-phy"
    """The bridge with the physical adapter; VLANs are tags of ports there."""
    states: Path | None = None
    """Folder of the daemons that keep each other's connections (edge/conntrackd.py); None: there are none."""

    def namespace(self, rdid: int) -> str:
        return f"{self.prefix}{rdid}"

    @property
    def mark(self) -> str:
        return f"{edge.MARK} {self.server}"


class NamespaceEdge:
    """Of one host."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._limits: dict[Rdid, list[str]] = {}
        """As they were last set by this process."""
        self._made: dict[Rdid, Wanted] = {}
        """What this process has made: where only the carrier changes, only addresses do."""
        self._built_at: dict[Rdid, float] = {}
        """When it was last looked at whole."""
        self._tunnels = TunnelPorts(place.database, place.outer, place.mark)
        self._states = Conntrackd(place.states) if place.states is not None else None
        self._lacks: dict[Rdid, str] = {}

    async def there(self) -> dict[Rdid, bool]:
        found: dict[Rdid, bool] = {}
        try:
            names = sorted(entry.name for entry in NETNS.iterdir())
        except OSError:
            return found
        for name in names:
            number = name.removeprefix(self._place.prefix)
            if name.startswith(self._place.prefix) and number.isdigit() and await self._is_ours(name):
                found[Rdid(int(number))] = await self._holds(name)
        for rdid, holds in (await self._tunnels.there()).items() if found else ():
            found[rdid] = found.get(rdid, False) or holds
        return found

    async def _is_ours(self, name: str) -> bool:
        shown = await run(["ip", "-n", name, "-j", "link", "show", "dev", "lo"], check=False)
        return bool(shown.strip()) and json.loads(shown)[0].get("ifalias") == self._place.mark

    async def _holds(self, name: str) -> bool:
        return any(found for link, found in (await _addresses(name)).items() if link.startswith("o"))

    async def put(self, wanted: Wanted) -> str:
        network = wanted.network
        name = self._place.namespace(network.rdid)
        made_before = self._made.pop(network.rdid, None)
        now = time.monotonic()
        same = made_before is not None and made_before.network == network and made_before.mtu == wanted.mtu
        if not same or (made_before == wanted and now - self._built_at[network.rdid] > FRESH_SECONDS):
            await self._build(name, wanted)
            self._built_at[network.rdid] = now
        # last: who answers for an address can do what it promises
        await self._answer_for(name, wanted)
        self._made[network.rdid] = wanted
        return self._lacks.get(network.rdid, "")

    async def _build(self, name: str, wanted: Wanted) -> None:
        """All but who answers for the outer addresses."""
        network = wanted.network
        if not await self._exists(name):
            await self._make(name)
        made = await self._link(name, network)
        if made:
            self._limits.pop(network.rdid, None)
        await batch(["ip", "-n", name, "-batch", "-"], edge.lines_inside(wanted))
        await self._sweep_routes(name, network)
        await self._translate(name, network)
        await self._limit(name, network)
        await self._tunnels.build(name, wanted)
        await self._keep_states(name, network)

    async def _keep_states(self, name: str, network: EdgeNetwork) -> None:
        """An edge is of use without them: what fails is told, and the next look tries again."""
        self._lacks.pop(network.rdid, None)
        if self._states is not None:
            try:
                await self._states.keep(name, network)
            except EdgeFailure as failure:
                self._lacks[network.rdid] = str(failure)

    async def _exists(self, name: str) -> bool:
        path = NETNS / name
        if not path.exists():
            return False
        if path.stat().st_dev == NETNS.stat().st_dev:
            path.unlink()  # whoever made it was killed before it was bound
            return False
        if not await self._is_ours(name):
            raise EdgeFailure(f"namespace {name} is there and not ours: ip netns del {name} makes room")
        return True

    async def _make(self, name: str) -> None:
        """It gets its name last: none of that name is ever without our mark and settings."""
        written = " ".join(f"{key}={value}" for key, value in edge.SETTINGS.items())
        script = f'ip link set dev lo alias "$1" up && sysctl -qw {written} && exec ip netns attach "$2" $$'
        await run(["unshare", "--net", "sh", "-c", script, "sh", self._place.mark, name])

    async def _link(self, name: str, network: EdgeNetwork) -> bool:
        """Veths and ports as wanted, others of this edge gone. Whether one was made."""
        wanted = edge.links(network)
        inside, host = await _links(name), await _links("")
        stale = [one for one in host if edge.is_link(one, network.rdid) and one not in {link.host for link in wanted}]
        missing = [link for link in wanted if link.inside not in inside or link.host not in host]
        gone = [*stale, *(link.host for link in missing if link.host in host)]
        lines = [f"link del dev {one}" for one in gone]
        lines += [edge.link_line(link, network, name) for link in missing]
        lines += [f"link set dev {link.host} up" for link in wanted]
        leftovers = [link.inside for link in missing if link.inside in inside and link.host not in host]
        if leftovers:
            await batch(["ip", "-n", name, "-batch", "-"], [f"link del dev {one}" for one in leftovers])
        await batch(["ip", "-batch", "-"], lines)
        for link in missing:
            # the switch passes on what it reads: checksums that a card was to fill in would stay empty
            await run(["ip", "netns", "exec", name, "ethtool", "-K", link.inside, "tx", "off"], check=False)
        words: list[str] = []
        for one in stale:
            words += ["--", "--if-exists", "del-port", one]
        for link in (one for one in wanted if one.tunnel is None):
            words += edge.port_words(link, network, (self._place.inner, self._place.outer))
        await self._vsctl(words)
        return bool(missing)

    async def _vsctl(self, words: Sequence[str]) -> None:
        if words:
            await run(["ovs-vsctl", f"--db=unix:{self._place.database}", "--timeout=10", *words])

    async def _sweep_routes(self, name: str, network: EdgeNetwork) -> None:
        """Ours that are not wanted any more."""
        wanted = {(_short(one.prefix), one.device, one.metric) for one in edge.routes(network)}
        lines = []
        for family in ("-4", "-6"):
            shown = await run(
                ["ip", "-n", name, family, "-j", "route", "show", "proto", str(edge.ROUTE_PROTOCOL)], check=False
            )
            for one in json.loads(shown or "[]"):
                metric = int(one.get("metric", 0))
                metric = 0 if family == "-6" and metric == _USUAL_METRIC6 else metric
                if (one["dst"], one["dev"], metric) not in wanted:
                    also = f" metric {metric}" if metric else ""
                    lines.append(f"route del {one['dst']} dev {one['dev']}{also} proto {edge.ROUTE_PROTOCOL}")
        if lines:
            await batch(["ip", "-n", name, "-batch", "-"], lines)

    async def _translate(self, name: str, network: EdgeNetwork) -> None:
        """Connections of a translation that is not there any more end with it; others stay as they are."""
        within = ["ip", "netns", "exec", name]
        rules = edge.rules(network)
        before = edge.translated(await run([*within, "nft", "list", "ruleset"], check=False))
        await run([*within, "nft", "-f", "-"], rules)
        for outer in sorted({one for one, _ in before - edge.translated(rules)}):
            for side in ("--orig-dst", "--reply-dst"):
                await run([*within, "conntrack", "-D", side, outer], check=False)

    async def _limit(self, name: str, network: EdgeNetwork) -> None:
        """Only what has changed: a qdisc that is made anew loses what waits in it."""
        lines = edge.limits(network)
        if self._limits.get(network.rdid) == lines:
            return
        for link in edge.links(network):
            await run(["tc", "-n", name, "qdisc", "del", "dev", link.inside, "root"], check=False)
        if lines:
            await batch(["tc", "-n", name, "-batch", "-"], lines)
        self._limits[network.rdid] = lines

    async def _answer_for(self, name: str, wanted: Wanted) -> None:
        rdid, states = wanted.network.rdid, self._states
        there, asked = await _addresses(name), edge.addresses(wanted)
        lines = []
        for link, addresses in asked.items():
            lines += [f"addr del {one} dev {link}" for one in there.get(link, set()) - addresses]
        fresh = [(link, one) for link, found in asked.items() for one in found - there.get(link, set())]
        takes, leaves = wanted.carries and any(link != edge.INNER for link, _ in fresh), not wanted.carries and lines
        if states is not None and wanted.carries and (takes or states.is_young(rdid)):
            await self._or_without(states.take(rdid))
        lines += [edge.address_line(one, link) for link, one in fresh]
        if lines:
            await batch(["ip", "-n", name, "-batch", "-"], lines)
        if wanted.carries:
            # also where nothing changed: neighbours may have heard another gateway meanwhile
            await announce(name, edge.announced(wanted))
        if wanted.network.tunnels:
            await self._tunnels.carry(wanted.network.rdid, wanted.carries)
        if states is not None and takes:
            await self._or_without(states.tell(rdid))
        if states is not None and leaves:
            await self._or_without(states.leave(rdid))

    async def _or_without(self, work: Awaitable[None]) -> None:
        """Connections that are not handed over keep no network from its gateway. The daemon is looked at with the
        next whole look."""
        try:
            await work
        except EdgeFailure as failure:
            log.warning("connections: %s", failure)

    async def remove(self, rdid: Rdid) -> None:
        name = self._place.namespace(rdid)
        await self._tunnels.remove(rdid)
        if self._states is not None and (NETNS / name).exists():
            await self._states.end(name, rdid)
        links = [one for one in await _links("") if edge.is_link(one, rdid)]
        await self._vsctl([word for one in links for word in ("--", "--if-exists", "del-port", one)])
        if links:
            await batch(["ip", "-batch", "-"], [f"link del dev {one}" for one in links])
        if await self._exists(name):
            await run(["ip", "netns", "del", name])
        self._limits.pop(rdid, None)
        self._made.pop(rdid, None)
        self._lacks.pop(rdid, None)


_USUAL_METRIC6 = 1024
"""What IPv6 routes have where none is asked for."""


def _short(prefix: str) -> str:
    """As ip shows it."""
    if prefix in ("0.0.0.0/0", "::/0"):
        return "default"
    address, _, length = prefix.partition("/")
    return address if length == ("128" if ":" in address else "32") else prefix


async def _links(name: str) -> set[str]:
    """Of a namespace; of our own without a name."""
    within = ["-n", name] if name else []
    return {one["ifname"] for one in json.loads(await run(["ip", *within, "-j", "link", "show"]) or "[]")}


async def _addresses(name: str) -> dict[str, set[str]]:
    """Addresses with prefix length by link, but for link-local ones."""
    shown: list[Any] = json.loads(await run(["ip", "-n", name, "-j", "addr", "show"], check=False) or "[]")
    return {
        one["ifname"]: {
            f"{each['local']}/{each['prefixlen']}" for each in one["addr_info"] if each["scope"] == "global"
        }
        for one in shown
        if one["ifname"] != "lo"
    }
