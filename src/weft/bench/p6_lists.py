"""The rows of P6 about access lists: one port under a list of a thousand rules.

Beside the records of P6 itself: what a rule's flow costs against a lookup record's, and a changed rule against a
changed record.
"""

import time
from collections.abc import Iterator

import msgspec

from weft.agent.bindings import Local, Role
from weft.agent.flows.flow import flows_text
from weft.agent.flows.metering import meters_of
from weft.agent.flows.table import FlowTable
from weft.agent.ovs.switch import OvsSwitch
from weft.agent.switch import SwitchChange, SwitchPort
from weft.bench.bridge import Bridge, all_done, seconds
from weft.bench.rows import Row, Size, alternate
from weft.model.records import AccessList, AccessRule, NetworkSettings, PortAccess, PortBinding
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid, pack_ip

RDID, VSID, LIST, PORT = Rdid(7), Vsid(6001), 1, 2
OWN, HOST = pack_ip("10.0.0.5"), pack_ip("192.168.1.10")
INSTANCE, MAC = InstanceId("00000000-0000-4000-8000-000000000001"), Mac(0x001DD8000001)
ANYWHERE = (PackedIp(bytes(4)), 0)


def lists(switch: Bridge, size: Size, one_record: float) -> Iterator[Row]:
    """`one_record`: the seconds of one changed lookup record in the same run."""
    rules = size.pick(50, 1_000)
    table = _table(rules)
    switch.text.write_text(flows_text(table.flows.values()))
    case, yardstick = f"port under {rules:,} rules, {len(table.flows):,} flows", "ovs-ofctl --bundle replace-flows"

    def all_ours() -> float:
        switch.clear()
        return switch.over(lambda driver: _load(driver, rules))

    def all_ofctl() -> float:
        switch.clear()
        return seconds(lambda: switch.ofctl("replace-flows", str(switch.text)))

    all_ours()  # the meters that the flows name are there from now on
    ours, other, ratio = alternate(all_ours, all_ofctl, size.pick(1, 10))
    yield Row("P6.list", f"{case}, all from records", ours * 1000, "ms", yardstick, other * 1000, ratio)
    built, other, ratio = alternate(lambda: seconds(lambda: _table(rules)), all_ofctl, size.pick(1, 10))
    yield Row("P6.list", f"{case}, built only", built * 1000, "ms", yardstick, other * 1000, ratio)
    ports = iter(range(1, 1_000_000))
    ours, other, ratio = alternate(
        lambda: switch.over(lambda driver: _change_one(driver, table, rules, next(ports))),
        lambda: seconds(lambda: switch.ofctl("replace-flows", str(switch.text))),
        size.pick(2, 10),
    )
    yield Row("P6.list", f"{case}, one rule changed", ours * 1000, "ms", yardstick, other * 1000, ratio)
    one, beside = f"one rule of {rules:,} changed", "one lookup record changed"
    yield Row("P6.list", one, ours * 1000, "ms", beside, one_record * 1000, ours / one_record)


async def _load(driver: OvsSwitch, rules: int) -> float:
    started = time.perf_counter()
    table = _table(rules)
    all_done(await driver.apply(SwitchChange(meters=meters_of(_local()), puts=tuple(table.flows.values()))))
    return time.perf_counter() - started


async def _change_one(driver: OvsSwitch, table: FlowTable, rules: int, port: int) -> float:
    """One rule in the middle of the list is about another port now."""
    changed = _list(rules, port % 60_000)
    started = time.perf_counter()
    table.changed.clear()
    table.set_list(changed.key, changed)
    table.build()
    puts = tuple(table.flows[key] for key in table.changed if key in table.flows)
    removes = tuple(key for key in table.changed if key not in table.flows)
    all_done(await driver.apply(SwitchChange(puts=puts, removes=removes)))
    return time.perf_counter() - started


def _table(rules: int) -> FlowTable:
    table, made = FlowTable(), _list(rules)
    table.put(RDID, NetworkSettings(RDID, "nvgre", "/virtualNetworks/bench", scope=((pack_ip("10.0.0.0"), 8),)))
    table.set_list(made.key, made)
    table.set_locals({INSTANCE: _local()})
    table.build()
    return table


def _local() -> Local:
    binding = PortBinding(INSTANCE, "bench-eth0", RDID, VSID, MAC, (OWN,), HOST)
    access = PortAccess(INSTANCE, ((OWN, LIST, 0),))
    return Local(binding, SwitchPort("bench", PORT, INSTANCE, MAC), Role.HERE, filtered=True, access=access)


def _list(rules: int, other_port: int = 0) -> AccessList:
    """Half inbound, half outbound; one destination port each, but that in the middle, which may have another."""
    made = [_rule(101 + n, inbound=n % 2 == 0, port=1000 + n) for n in range(rules)]
    if other_port:
        middle = made[rules // 2]
        made[rules // 2] = msgspec.structs.replace(middle, destination_ports=(other_port, other_port))
    return AccessList(LIST, "/accessControlLists/bench", False, False, tuple(made))


def _rule(priority: int, *, inbound: bool, port: int) -> AccessRule:
    return AccessRule(f"r{priority}", priority, inbound, True, "TCP", ANYWHERE, (0, 65535), ANYWHERE, (port, port))
