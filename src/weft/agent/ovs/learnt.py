"""What Open vSwitch's bridges have learnt from frames: `fdb/show` over the control socket. Used by ovs/switch.py."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from weft.agent.ovs import neighbours
from weft.agent.switch import SwitchMac
from weft.model.errors import InvalidMacAddress
from weft.model.values import parse_mac

EVERY_SECONDS = 2.0
MOST = 8192
"""Of one bridge; Open vSwitch itself keeps 8192 unless told otherwise."""


async def learnt(rundir: Path, bridges: Iterable[str], ports: Mapping[tuple[str, int], str]) -> frozenset[SwitchMac]:
    """What these bridges have learnt on the ports named, by (bridge, OpenFlow number). Raises OSError, ValueError."""
    found: set[SwitchMac] = set()
    for bridge in sorted(bridges):
        try:
            table = await neighbours.command(rundir, "fdb/show", bridge)
        except ValueError:
            # the database names a bridge that the switch has not made yet, or no longer has
            continue
        found.update(entries(table, bridge, ports))
    return frozenset(found)


def entries(table: str, bridge: str, ports: Mapping[tuple[str, int], str]) -> Iterator[SwitchMac]:
    """Read a table as ovs-appctl prints it: port, VLAN, MAC, age. A bridge's own port (LOCAL) is nobody's."""
    for line in table.splitlines()[:MOST]:
        words = line.split()
        if len(words) < 3 or not (words[0].isdigit() and words[1].isdigit()):
            continue
        port = ports.get((bridge, int(words[0])))
        if port is None:
            continue
        try:
            yield SwitchMac(int(parse_mac(words[2])), port, bridge, int(words[1]), True)
        except InvalidMacAddress:
            continue
