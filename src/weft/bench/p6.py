"""P6: a host's policy to flows in its switch: everything, and one changed record; beside ovs-ofctl with the same text.
And the same of a port under a long access list (p6_lists.py).

On a real Open vSwitch of a lab host whose agent is stopped. "Everything" counts building the flows from the records,
sending them as one bundle and the switch's confirmation; ovs-ofctl reads the ready text.
"""

import ipaddress
import time
from collections.abc import Iterator

from weft.agent.flows.flow import flows_text
from weft.agent.flows.table import FlowTable
from weft.agent.flows.ways import Way
from weft.agent.ovs.switch import OvsSwitch
from weft.agent.run import collect_seldom
from weft.agent.switch import SwitchChange, Tunnel
from weft.bench.bridge import Bridge, all_done, seconds
from weft.bench.p6_lists import lists
from weft.bench.p8 import bench_lab
from weft.bench.rows import Missing, Row, Size, alternate
from weft.lab import commands, hosts
from weft.model.errors import WeftError
from weft.model.records import LookupRecord, NetworkRecord, NetworkSettings, SubnetRecord, TunnelEndpoint
from weft.model.values import Mac, PackedIp, Rdid, Vsid, pack_ip

HOST = """\
kind: lab/host
resourceId: host1
properties: {providerAddress: 192.168.1.10/24, gateway: 192.168.1.1}
---
kind: macPools
resourceId: bench
properties: {startMacAddress: 00-1D-D8-B7-1C-00, endMacAddress: 00-1D-D8-B7-1C-FF}
---
kind: logicalNetworks
resourceId: provider
properties:
  networkVirtualizationEnabled: true
  subnets:
  - resourceId: pa
    properties:
      addressPrefix: 192.168.1.0/24
      ipPools:
      - resourceId: p1
        properties: {startIpAddress: 192.168.1.10, endIpAddress: 192.168.1.99}
"""

RDID, VSID = Rdid(7), Vsid(6001)
PREFIX = ipaddress.ip_network("10.0.0.0/8")
LOCAL = pack_ip("192.168.1.10")
TUNNEL_PORT = 1
MANY = 100_000
"""So many flows take seconds: fewer pairs of them."""


def run(size: Size) -> Iterator[Row]:
    """Raises Missing without root or Open vSwitch."""
    if reason := commands.missing():
        raise Missing(reason)
    collect_seldom()  # as the agent's process does
    try:
        with bench_lab(HOST) as lab:
            hosts.stop_agent(lab, lab.host("host1"))
            switch = Bridge(lab)
            one_at: dict[int, float] = {}
            for count in (1_000, 10_000, MANY) if size.full else (200,):
                yield from _rows(switch, count, size, one_at)
            yield from lists(switch, size, next(iter(one_at.values())))
    except WeftError as error:
        raise Missing(f"the lab did not do it: {error}") from error


def _rows(switch: Bridge, flows: int, size: Size, one_at: dict[int, float]) -> Iterator[Row]:
    records = _records(flows)
    table = _table(records)
    switch.text.write_text(flows_text(table.flows.values()))
    count = len(table.flows)
    pairs = 3 if flows == MANY else 10

    def all_ours() -> float:
        switch.clear()
        return switch.over(lambda driver: _load(driver, records))

    def all_ofctl() -> float:
        switch.clear()
        return seconds(lambda: switch.ofctl("replace-flows", str(switch.text)))

    ours, other, ratio = alternate(all_ours, all_ofctl, size.pick(1, pairs))
    yardstick = "ovs-ofctl --bundle replace-flows"
    yield Row("P6", f"{count:,} flows, all from records", ours * 1000, "ms", yardstick, other * 1000, ratio)
    changes = iter(range(1, 1_000_000))
    ours, other, ratio = alternate(
        lambda: switch.over(lambda driver: _change_one(driver, table, next(changes))),
        lambda: seconds(lambda: switch.ofctl("replace-flows", str(switch.text))),
        size.pick(2, pairs),
    )
    yield Row("P6", f"{count:,} flows, one record changed", ours * 1000, "ms", yardstick, other * 1000, ratio)
    one_at[count] = ours
    first = next(iter(one_at))
    if first != count:
        case = f"one record changed among {count:,} flows"
        yield Row("P6.one", case, ours * 1000, "ms", f"among {first:,}", one_at[first] * 1000, ours / one_at[first])


async def _load(driver: OvsSwitch, records: list[NetworkRecord]) -> float:
    started = time.perf_counter()
    table = _table(records)
    all_done(await driver.apply(SwitchChange(puts=tuple(table.flows.values()))))
    return time.perf_counter() - started


async def _change_one(driver: OvsSwitch, table: FlowTable, change: int) -> float:
    """The machine of one record now runs on another host."""
    moved = _lookup(5, change)
    started = time.perf_counter()
    table.changed.clear()
    table.put(RDID, moved)
    table.build()
    puts = tuple(table.flows[key] for key in table.changed if key in table.flows)
    removes = tuple(key for key in table.changed if key not in table.flows)
    all_done(await driver.apply(SwitchChange(puts=puts, removes=removes)))
    return time.perf_counter() - started


def _table(records: list[NetworkRecord]) -> FlowTable:
    table = FlowTable()
    for record in records:
        table.put(RDID, record)
    table.set_ways({RDID: Way(Tunnel("gre", LOCAL), TUNNEL_PORT)}, {TUNNEL_PORT: "gre"})
    table.build()
    return table


def _records(flows: int) -> list[NetworkRecord]:
    """One subnet with so many machines on 50 other hosts that they make about `flows` flows."""
    few = [_lookup(i, i) for i in range(10)]
    fixed = len(_table(_frame()).flows)
    each = (len(_table([*_frame(), *few]).flows) - fixed) / len(few)
    return [*_frame(), *(_lookup(i, i) for i in range(max(10, round((flows - fixed) / each))))]


def _frame() -> list[NetworkRecord]:
    gateway = PackedIp((PREFIX.network_address + 1).packed)
    subnet = SubnetRecord(VSID, PackedIp(PREFIX.network_address.packed), PREFIX.prefixlen, gateway)
    settings = NetworkSettings(RDID, "nvgre", "/virtualNetworks/bench")
    return [settings, subnet, *(TunnelEndpoint(_provider(i)) for i in range(50))]


def _lookup(i: int, on: int) -> LookupRecord:
    address = PackedIp((PREFIX.network_address + 10 + i).packed)
    return LookupRecord(VSID, address, Mac(0x001DD8000000 + i), _provider(on))


def _provider(i: int) -> PackedIp:
    return pack_ip(f"192.168.1.{20 + i % 50}")
