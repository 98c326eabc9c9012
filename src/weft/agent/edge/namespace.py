"""Makes edges of network namespaces: links, addresses, routes, nftables, tc, and ports of Open vSwitch.

Made by run.py; implements agent.edge.Edge. Needs root, iproute2, nftables, ethtool and ovs-vsctl. Whatever it makes is
known as ours without any file: namespaces by name and by the alias of `lo`, ports by external_ids:weft, routes by their
protocol, tables by name. Every step looks first, so a crash between any two is made good by the next call.
"""

import json
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from weft.agent.edge import nftables, ports, replication
from weft.agent.edge import wanted as edge
from weft.agent.edge.answering import answer
from weft.agent.edge.answering_changes import Change
from weft.agent.edge.commands import batch, run
from weft.agent.edge.conntrackd import Conntrackd
from weft.agent.edge.database import Database
from weft.agent.edge.tunnel_ports import TunnelPorts
from weft.agent.edge.wanted import EdgeFailure, Wanted
from weft.agent.edge.watch import Watch
from weft.model.records import EdgeNetwork
from weft.model.values import Rdid

log = logging.getLogger(__name__)

NETNS = Path("/run/netns")
WHOLE_SECONDS = 600.0
"""An edge that nobody touched, as far as its watch has heard, is looked at whole this often."""
FRESH_SECONDS = 20.0
"""So long after its GRE connections were looked at they are not looked at again."""


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

    def __init__(self, place: Place, now: Callable[[], float]) -> None:
        """`now`: seconds that never go back."""
        self._place = place
        self._now = now
        self._switch = Database(place.database)
        self._limits: dict[Rdid, tuple[list[str], str]] = {}
        """As they were last set by this process, and how tc showed them then."""
        self._made: dict[Rdid, Wanted] = {}
        """What this process has made: where only the carrier changes, only addresses do."""
        self._watches: dict[Rdid, Watch] = {}
        self._disturbed: set[Rdid] = set()
        """Changed by another hand since they were made."""
        self._built_at: dict[Rdid, float] = {}
        """When it was last looked at whole."""
        self._beside_at: dict[Rdid, float] = {}
        self._tunnelled: set[Rdid] | None = None
        """Edges that had GRE connections at the last look; None before the first."""
        self._tunnels = TunnelPorts(place.database, place.outer, place.mark)
        self._states = Conntrackd(place.states, now) if place.states is not None else None
        self._lacks: dict[Rdid, str] = {}
        self._unled: set[Rdid] = set()
        """Edges that have no rules for tables: this process made them so, or looked."""

    def close(self) -> None:
        """The edges stay; nobody listens to them any more."""
        for rdid in list(self._watches):
            self._unwatch(rdid)
        if self._states is not None:
            self._states.close()

    async def settled(self) -> None:
        """Nothing is left of what is done at leisure after a network was taken over or handed back."""
        if self._states is not None:
            await self._states.settled()

    async def there(self) -> dict[Rdid, bool]:
        found: dict[Rdid, bool] = {}
        try:
            names = sorted(entry.name for entry in NETNS.iterdir())
        except OSError:
            return found
        for name in names:
            number = name.removeprefix(self._place.prefix)
            if name.startswith(self._place.prefix) and number.isdigit():
                carries = await self._carries(name, Rdid(int(number)))
                found |= {Rdid(int(number)): carries} if carries is not None else {}
        await self._look_at_ports()
        tunnelled = await self._tunnels.there() if found else {}
        self._tunnelled = set(tunnelled)
        for rdid, holds in tunnelled.items():
            found[rdid] = found.get(rdid, False) or holds
        return found

    async def _carries(self, name: str, rdid: Rdid) -> bool | None:
        """Does this namespace answer for outer addresses? None where it is not ours."""
        made = self._made.get(rdid)
        if made is not None and not self._is_disturbed(rdid):
            return made.carries
        alias, addresses = await _standing(name)
        return any(addresses[link] for link in addresses if link[0] == "o") if alias == self._place.mark else None

    async def _look_at_ports(self) -> None:
        """At the bridges, of all edges at once."""
        if not self._made:
            return
        there = ports.there(await self._switch.ask(ports.LISTING))
        bridges = self._place.inner, self._place.outer
        for rdid, made in self._made.items():
            if any(there.get(name) != one for name, one in ports.wanted(made.network, bridges).items()):
                self._disturbed.add(rdid)

    def _is_disturbed(self, rdid: Rdid) -> bool:
        """Is it to be looked at whole before anybody may rely on it?"""
        watch = self._watches.get(rdid)
        if watch is None or not watch.is_quiet():
            self._disturbed.add(rdid)
        return rdid in self._disturbed or self._now() > self._built_at[rdid] + WHOLE_SECONDS

    async def put(self, wanted: Wanted) -> str:
        rdid, name = wanted.network.rdid, self._place.namespace(wanted.network.rdid)
        made = self._made.pop(rdid, None)
        beside = {"carries": wanted.carries, "splits": wanted.splits}
        same = made is not None and msgspec.structs.replace(made, **beside) == wanted
        known = made if same and not self._is_disturbed(rdid) else None
        in_a_hurry = same and made is not None and made.carries != wanted.carries
        if known is None and not in_a_hurry:
            fresh = await self._build(name, wanted)
            await self._keep_states(name, wanted, fresh=fresh)
        elif not in_a_hurry:
            await self._look_beside(name, wanted)
        # last: who answers for an address can do what it promises
        await self._answer_for(name, wanted, known)
        self._made[rdid] = wanted
        if not in_a_hurry:  # else what somebody touched before is still to be mended
            self._disturbed.discard(rdid)
        if rdid in self._watches:
            self._watches[rdid].is_quiet()  # that was us
        return self._lacks.get(rdid, "")

    async def _build(self, name: str, wanted: Wanted) -> bool:
        """All but who answers for the outer addresses. Whether its namespace was made now."""
        network, rdid = wanted.network, wanted.network.rdid
        fresh = not await self._exists(name)
        if fresh:
            await self._make(name)
            self._unled.add(rdid)
        if fresh or rdid not in self._watches or not self._watches[rdid].is_here():
            self._watch(name, rdid)
        made = await self._link(name, network, fresh)
        if made:
            self._limits.pop(rdid, None)
        await batch(["ip", "-n", name, "-batch", "-"], edge.lines_inside(wanted))
        await self._lead(name, network)
        if not fresh:
            await self._sweep_routes(name, network)
        await self._translate(name, network, fresh)
        await self._limit(name, network, fresh)
        if network.tunnels or self._tunnelled is None or rdid in self._tunnelled:
            await self._tunnels.build(name, wanted)
        self._built_at[rdid] = self._now()
        return fresh

    async def _look_beside(self, name: str, wanted: Wanted) -> None:
        """At what no watch of the namespace tells of."""
        rdid, now = wanted.network.rdid, self._now()
        if self._states is not None and not self._states.is_kept(name, replication.told(wanted), wanted.splits):
            await self._keep_states(name, wanted)
        if wanted.network.tunnels and now > self._beside_at.get(rdid, 0.0) + FRESH_SECONDS:
            self._beside_at[rdid] = now
            await self._tunnels.build(name, wanted)

    def _watch(self, name: str, rdid: Rdid) -> None:
        self._unwatch(rdid)
        try:
            self._watches[rdid] = Watch(name)
        except OSError as error:
            raise EdgeFailure(f"{name} cannot be watched: {error.strerror}") from error

    def _unwatch(self, rdid: Rdid) -> None:
        watch = self._watches.pop(rdid, None)
        if watch is not None:
            watch.close()

    async def _keep_states(self, name: str, wanted: Wanted, *, fresh: bool = False) -> None:
        """An edge is of use without them: what fails is told, and the next look tries again."""
        rdid = wanted.network.rdid
        self._lacks.pop(rdid, None)
        if self._states is not None:
            try:
                await self._states.keep(name, replication.told(wanted), wanted.splits, fresh=fresh)
                self._lacks[rdid] = replication.lacks(wanted)
            except EdgeFailure as failure:
                self._lacks[rdid] = str(failure)

    async def _exists(self, name: str) -> bool:
        path = NETNS / name
        if not path.exists():
            return False
        if path.stat().st_dev == NETNS.stat().st_dev:
            path.unlink()  # whoever made it was killed before it was bound
            return False
        alias, _ = await _standing(name)
        if alias != self._place.mark:
            raise EdgeFailure(f"namespace {name} is there and not ours: ip netns del {name} makes room")
        return True

    async def _make(self, name: str) -> None:
        """It gets its name last: none of that name is ever without our mark and settings."""
        written = " ".join(f"{key}={value}" for key, value in edge.SETTINGS.items())
        script = f'ip link set dev lo alias "$1" up && sysctl -qw {written} && exec ip netns attach "$2" $$'
        await run(["unshare", "--net", "sh", "-c", script, "sh", self._place.mark, name])

    async def _link(self, name: str, network: EdgeNetwork, fresh: bool) -> bool:
        """Veths and ports as wanted, others of this edge gone. Whether one was made."""
        wanted = edge.links(network)
        inside, host = set() if fresh else set((await _standing(name))[1]), _links_here()
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
        if missing:
            # the switch passes on what it reads: checksums that a card was to fill in would stay empty
            script = 'for link; do ethtool -K "$link" tx off; done'
            await run([*_within(name), "sh", "-c", script, "sh", *(link.inside for link in missing)], check=False)
        words: list[str] = []
        for one in stale:
            words += ["--", "--if-exists", "del-port", one]
        for link in (one for one in wanted if one.tunnel is None):
            words += edge.port_words(link, network, (self._place.inner, self._place.outer))
        await self._switch.change(words)
        return bool(missing)

    async def _lead(self, name: str, network: EdgeNetwork) -> None:
        """Marked packets to their tables."""
        wanted = {"-4": edge.tables(network, 4), "-6": edge.tables(network, 16)}
        if any(wanted.values()):
            self._unled.discard(network.rdid)
        elif network.rdid in self._unled:
            return
        for family, tables in wanted.items():
            shown = json.loads(await run(["ip", "-n", name, family, "-j", "rule", "show"]))
            there = {one["priority"] for one in shown if one.get("protocol") == str(edge.ROUTE_PROTOCOL)}
            doing = [("add", one) for one in tables if one not in there]
            doing += [("del", one) for one in there if one not in tables]
            for what, table in doing:
                await run(["ip", "-n", name, family, "rule", what, *edge.rule_words(table)])
        if not any(wanted.values()):
            self._unled.add(network.rdid)

    async def _sweep_routes(self, name: str, network: EdgeNetwork) -> None:
        """Ours that are not wanted any more."""
        for family, size in (("-4", 4), ("-6", 16)):
            ours = ["table", "all", "proto", str(edge.ROUTE_PROTOCOL)]
            shown = await run(["ip", "-n", name, family, "-j", "route", "show", *ours], check=False)
            lines = edge.leftovers(network, size, json.loads(shown or "[]"))
            if lines:
                await batch(["ip", "-n", name, family, "-batch", "-"], lines)

    async def _translate(self, name: str, network: EdgeNetwork, fresh: bool) -> None:
        """Connections of a translation that is not there any more end with it; others stay as they are."""
        within = _within(name)
        rules = nftables.rules(network)
        shown = "" if fresh else await run([*within, "nft", "list", "ruleset"], check=False)
        before = nftables.translated(shown)
        await run([*within, "nft", "-f", "-"], rules)
        for outer in sorted({one for one, _ in before - nftables.translated(rules)}):
            for side in ("--orig-dst", "--reply-dst"):
                await run([*within, "conntrack", "-D", side, outer], check=False)

    async def _limit(self, name: str, network: EdgeNetwork, fresh: bool) -> None:
        """Only where it is not as this process left it: a qdisc that is made anew loses what waits in it."""
        lines = edge.limits(network)
        if fresh and not lines:
            return
        if self._limits.get(network.rdid) == (lines, await _shaping(name)):
            return
        for link in () if fresh else edge.links(network):
            await run(["tc", "-n", name, "qdisc", "del", "dev", link.inside, "root"], check=False)
        if lines:
            await batch(["tc", "-n", name, "-batch", "-"], lines)
        self._limits[network.rdid] = lines, await _shaping(name)

    async def _answer_for(self, name: str, wanted: Wanted, known: Wanted | None) -> None:
        """`known`: as it is for sure."""
        rdid, states = wanted.network.rdid, self._states
        asked = edge.addresses(wanted)
        there = edge.addresses(known) if known is not None else (await _standing(name))[1]
        gone = [(link, one) for link, found in asked.items() for one in there.get(link, set()) - found]
        fresh = [(link, one) for link, found in asked.items() for one in found - there.get(link, set())]
        takes, leaves = wanted.carries and any(link != edge.INNER for link, _ in fresh), not wanted.carries and gone
        if states is not None and wanted.carries and (takes or states.is_to_take(rdid)):
            await self._take(states, rdid)
        # the kernel takes the routes of an interface with its last address
        change = Change(gone, fresh, edge.routes(wanted.network) if gone or fresh else ())
        # also where nothing changed: neighbours may have heard another gateway meanwhile
        await answer(name, change, edge.announced(wanted) if wanted.carries else ())
        if wanted.network.tunnels:
            await self._tunnels.carry(wanted.network.rdid, wanted.carries)
        if states is not None and (takes or leaves):
            states.later(rdid, wanted.carries)

    async def _take(self, states: Conntrackd, rdid: Rdid) -> None:
        """Connections that are not handed over keep no network from its gateway."""
        try:
            await states.take(rdid)
        except EdgeFailure as failure:
            log.warning("connections: %s", failure)

    async def remove(self, rdid: Rdid) -> None:
        name = self._place.namespace(rdid)
        await self._tunnels.remove(rdid)
        if self._states is not None and (NETNS / name).exists():
            await self._states.end(name, rdid)
        links = [one for one in _links_here() if edge.is_link(one, rdid)]
        await self._switch.change([word for one in links for word in ("--", "--if-exists", "del-port", one)])
        if links:
            await batch(["ip", "-batch", "-"], [f"link del dev {one}" for one in links])
        if await self._exists(name):
            await run(["ip", "netns", "del", name])
        self._unwatch(rdid)
        self._disturbed.discard(rdid)
        self._unled.discard(rdid)
        for known in (self._limits, self._made, self._lacks, self._built_at, self._beside_at):
            known.pop(rdid, None)


def _within(name: str) -> list[str]:
    """Begins a command there; `ip netns exec` would make mounts of its own."""
    return ["nsenter", f"--net={NETNS / name}"]


def _links_here() -> set[str]:
    """Of our own namespace."""
    return {name for _, name in socket.if_nameindex()}


async def _shaping(name: str) -> str:
    """All of tc there, in its words."""
    return await run(["tc", "-n", name, "-batch", "-"], f"qdisc show\nclass show dev {edge.INNER}\n", check=False)


async def _standing(name: str) -> tuple[str, dict[str, set[str]]]:
    """The alias of a namespace's `lo`, and its addresses with prefix length by link, but for link-local ones. Nothing
    of one that is not there."""
    shown: list[Any] = json.loads(await run(["ip", "-n", name, "-j", "-d", "addr", "show"], check=False) or "[]")
    addresses = {
        one["ifname"]: {
            f"{each['local']}/{each['prefixlen']}" for each in one["addr_info"] if each["scope"] == "global"
        }
        for one in shown
        if one["ifname"] != "lo"
    }
    return next((one.get("ifalias", "") for one in shown if one["ifname"] == "lo"), ""), addresses
