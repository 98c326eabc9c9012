"""EDGES: what the edges of a gateway cost: all made, all taken over from a gateway that died, one changed among them;
beside the same namespaces made by hand, with the same text for ip, nft and ovs-vsctl.

On a lab host whose agent is stopped, by the agent's driver. Processor time is that of all that takes part (this
process, the programs it runs, Open vSwitch): it means something on a machine that is shared.
"""

import asyncio
import os
import resource
import threading
import time
from collections.abc import Callable, Sequence

import msgspec
from pyroute2 import netns

from weft.agent.edge import keeper, nftables
from weft.agent.edge import wanted as edge
from weft.agent.edge.namespace import NamespaceEdge, Place
from weft.agent.edge.wanted import Wanted
from weft.agent.run import allow_files
from weft.bench.p6 import HOST
from weft.bench.p8 import bench_lab
from weft.bench.rows import Missing, Row, Size
from weft.lab import commands, hosts, names, namespaces
from weft.lab.commands import ip_batch, within
from weft.lab.commands import run as run_tool
from weft.lab.state import LabFolder
from weft.model.errors import WeftError
from weft.model.records import EdgeLeg, EdgeNetwork
from weft.model.values import Mac, PackedIp, Rdid, Vsid, pack_ip

OWN, OTHER = pack_ip("192.168.1.10"), pack_ip("192.168.1.11")
"""Provider addresses of the gateways; the other one goes before this one."""
PREFIX = pack_ip("198.18.0.0")
OUTSIDE = int.from_bytes(PREFIX)
"""Of networks' public addresses (RFC 2544)."""
MTU = 1458
NOTE = "EDGES: by hand there is no conntrackd, no neighbour is told, and nobody looks what is there."
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def run(size: Size) -> list[Row]:
    """Raises Missing without root or Open vSwitch."""
    return measure(size.pick(3, 300))


def measure(count: int) -> list[Row]:
    if reason := commands.missing():
        raise Missing(reason)
    allow_files()
    try:
        with bench_lab(HOST) as lab:
            host = lab.host("host1")
            hosts.stop_agent(lab, host)
            return _inside(hosts.host_namespace(lab, host), lambda: _rows(lab, count))
    except WeftError as error:
        raise Missing(f"the lab did not do it: {error}") from error


def _inside(space: str, work: Callable[[], list[Row]]) -> list[Row]:
    """In a thread that is in a namespace, as are the programs that it runs."""
    found: list[Row] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            netns.setns(space)
            found.extend(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found


class Cost(msgspec.Struct, frozen=True):
    """Of one case."""

    processor_ms: float
    wall_ms: float


MADE, TAKEN, CHANGED = "all {} made", "all {} taken over", "one of {} changed"


def _rows(lab: LabFolder, count: int) -> list[Row]:
    networks = [network(number) for number in range(1, count + 1)]
    clock = Processors(lab)
    ours = asyncio.run(_ours(lab, networks, clock))
    bare = _by_hand(lab, networks, clock)
    rows = []
    for case, each in ((MADE, count), (TAKEN, count), (CHANGED, 1)):
        figures = ours[case].processor_ms / each, bare[case].processor_ms / each
        rows.append(_row(f"{case.format(count)}: processor time of one", *figures))
        rows.append(_row(f"{case.format(count)}: time in all", ours[case].wall_ms, bare[case].wall_ms))
    return rows


def _row(case: str, value: float, other: float) -> Row:
    return Row("EDGES", case, value, "ms", "by hand", other, value / other)


class Processors:
    """Processor time of this process, of what it ran and of the switch."""

    def __init__(self, lab: LabFolder) -> None:
        host = lab.host("host1")
        self._daemons = [one.pid for one in (host.switch, host.database) if one is not None]

    def cost_since(self, before: Cost) -> Cost:
        now = self.now()
        return Cost(now.processor_ms - before.processor_ms, now.wall_ms - before.wall_ms)

    def now(self) -> Cost:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        processor_s = sum(one.ru_utime + one.ru_stime for one in used) + sum(map(_daemon_s, self._daemons))
        return Cost(1000 * processor_s, 1000 * time.monotonic())


def _daemon_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as told:
        fields = told.read().rpartition(")")[2].split()
    return _TICK_S * (int(fields[11]) + int(fields[12]))


# by the agent's own


async def _ours(lab: LabFolder, networks: Sequence[EdgeNetwork], clock: Processors) -> dict[str, Cost]:
    rundir, prefix = lab.rundir(lab.host("host1")), names.edge_prefix(lab.name, "host1")
    bridges = names.INTEGRATION_BRIDGE, names.PROVIDER_BRIDGE
    driver = NamespaceEdge(Place(rundir / "db.sock", "host1", prefix, *bridges, rundir / "e"), time.monotonic)

    async def took(*groups: Sequence[EdgeNetwork], carry: bool) -> Cost:
        began = clock.now()
        for group in groups:
            await asyncio.gather(*(driver.put(Wanted(one, carry, MTU)) for one in group))
        return clock.cost_since(began)

    groups = list(keeper.groups(networks))
    try:
        await driver.there()
        found = {MADE: await took(*groups, carry=False), TAKEN: await took(networks, carry=True)}
        await driver.settled()
        found[CHANGED] = await took([_changed(networks[0])], carry=True)
        for group in groups:
            await asyncio.gather(*(driver.remove(one.rdid) for one in group))
        return found
    finally:
        driver.close()


def network(number: int) -> EdgeNetwork:
    """With a way outside behind NAT, and one gateway before this one."""
    return EdgeNetwork(
        rdid=Rdid(number),
        resource_ref=f"/virtualGateways/bench{number}",
        vsid=Vsid(6000 + number),
        mac=Mac(0x001DD8000000 + number),
        addresses=((pack_ip("10.1.254.2"), 29),),
        routers=(pack_ip("10.1.254.1"),),
        prefixes=((pack_ip("10.1.1.0"), 24), (pack_ip("10.1.254.0"), 29)),
        provider_address=OWN,
        gateways=(OTHER, OWN),
        legs=(_leg(number),),
    )


def _changed(one: EdgeNetwork) -> EdgeNetwork:
    """A machine of it is known outside by an address of its own."""
    [before] = one.legs
    public, inside = PackedIp((OUTSIDE + 65_536 + one.rdid).to_bytes(4)), pack_ip("10.1.1.12")
    leg = msgspec.structs.replace(before, addresses=(*before.addresses, public), mappings=((public, inside),))
    return msgspec.structs.replace(one, legs=(leg,))


def _leg(number: int) -> EdgeLeg:
    own = PackedIp((OUTSIDE + 256 + number).to_bytes(4))
    router = pack_ip("198.18.0.1")
    return EdgeLeg("/logicalNetworks/bench/subnets/all", 100, PREFIX, 15, router, (own,), nat=own)


# by hand


def _by_hand(lab: LabFolder, networks: Sequence[EdgeNetwork], clock: Processors) -> dict[str, Cost]:
    """The same namespaces by a script that knows that nothing is there."""
    vsctl = ["ovs-vsctl", f"--db=unix:{lab.rundir(lab.host('host1'))}/db.sock"]
    spaces = [(names.namespace(lab.name, f"@bare{one.rdid}"), one) for one in networks]

    def took(work: Callable[[str, EdgeNetwork], None], count: int) -> Cost:
        began = clock.now()
        for space, one in spaces[:count]:
            work(space, one)
        if work is _make:
            run_tool([*vsctl, *(word for one in networks for word in _ports(one))], timeout=600)
        return clock.cost_since(began)

    count = len(networks)
    try:
        return {MADE: took(_make, count), TAKEN: took(_carry, count), CHANGED: took(_change, 1)}
    finally:
        for space, _ in spaces:
            namespaces.delete(space)
        links = [link.host for one in networks for link in edge.links(one)]
        run_tool([*vsctl, *(word for one in links for word in ("--", "--if-exists", "del-port", one))], timeout=600)


def _make(space: str, one: EdgeNetwork) -> None:
    run_tool(["ip", "netns", "add", space])
    run_tool(within(space, ["sysctl", "-qw", *(f"{key}={value}" for key, value in edge.SETTINGS.items())]))
    lines = [edge.link_line(link, one, space) for link in edge.links(one)]
    lines += [f"link set dev {link.host} up" for link in edge.links(one)]
    run_tool(["ip", "-batch", "-"], "\n".join(lines) + "\n")
    ip_batch(space, edge.lines_inside(Wanted(one, False, MTU)))
    run_tool(within(space, ["nft", "-f", "-"]), nftables.rules(one))


def _ports(one: EdgeNetwork) -> list[str]:
    bridges = names.INTEGRATION_BRIDGE, names.PROVIDER_BRIDGE
    return [word for link in edge.links(one) for word in edge.port_words(link, one, bridges)]


def _carry(space: str, one: EdgeNetwork) -> None:
    ip_batch(space, [*_outer(one), *map(edge.route_line, edge.routes(one))])


def _change(space: str, one: EdgeNetwork) -> None:
    changed = _changed(one)
    ip_batch(space, [*_outer(changed), *edge.lines_inside(Wanted(changed, True, MTU))])
    run_tool(within(space, ["nft", "-f", "-"]), nftables.rules(changed))


def _outer(one: EdgeNetwork) -> list[str]:
    return [f"addr replace {each} dev o0 noprefixroute" for each in edge.addresses(Wanted(one, True, MTU))["o0"]]
