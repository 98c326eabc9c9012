"""One virtual subnet on 1000 hosts, and 500 machines of it that leave one of them: what that does to its flows."""

import pytest

from weft.agent.bindings import Local, Role
from weft.agent.flows.actions import Output
from weft.agent.flows.fields import Table
from weft.agent.flows.onward import MOST
from weft.agent.flows.table import FlowTable
from weft.agent.flows.ways import Way
from weft.agent.openflow.messages import is_too_long
from weft.agent.switch import SwitchPort, Tunnel
from weft.model.records import LookupRecord, NetworkSettings, PortBinding, SubnetRecord
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid, pack_ip

RDID, VSID, TUNNEL = Rdid(7), Vsid(6001), 3
HOSTS = {
    "ipv4": [PackedIp(pack_ip("192.168.0.0")[:2] + number.to_bytes(2)) for number in range(1, 1001)],
    "ipv6": [PackedIp(pack_ip("fd00::")[:14] + number.to_bytes(2)) for number in range(1, 1001)],
}
MACHINES = range(500)


def mac(number):
    return Mac(0x001DD8000000 + number)


def address(number):
    return PackedIp((0x0A000001 + number).to_bytes(4))


def local(number, own, to=b""):
    """A machine here, under an access list; or gone."""
    who = (InstanceId(f"i{number}"), f"n{number}", RDID, VSID, mac(number), (address(number),))
    if to:
        return Local(PortBinding(*who, own, PackedIp(to)), None, Role.GONE)
    return Local(PortBinding(*who, own), SwitchPort(f"p{number}", 100 + number), Role.HERE, filtered=True)


def a_table(hosts, machines):
    """Of the first of the hosts, with a machine on each of them, and these here."""
    table = FlowTable()
    table.put(RDID, NetworkSettings(RDID, "nvgre", "/virtualNetworks/blue"))
    table.put(RDID, SubnetRecord(VSID, pack_ip("10.0.0.0"), 16, pack_ip("10.0.255.254")))
    table.set_ways({RDID: Way(Tunnel("gre"), TUNNEL, 1458, hosts[0])}, {TUNNEL: "gre"}, frozenset(hosts[:1]))
    for number in machines:
        table.put(RDID, LookupRecord(VSID, address(number), mac(number), hosts[0]))
    for number, host in enumerate(hosts, 1000):
        table.put(RDID, LookupRecord(VSID, address(number), mac(number), host))
    table.set_locals({f"i{number}": local(number, hosts[0]) for number in machines})
    table.build()
    return table


@pytest.mark.parametrize("hosts", HOSTS.values(), ids=HOSTS)
def test_copies_to_a_thousand_hosts_are_one_flow_that_a_message_holds(hosts):
    table = a_table(hosts, MACHINES)
    copies = [flow.actions.count(Output(TUNNEL)) for flow in table.flows.values() if flow.table == Table.OUTPUT]
    assert max(copies) == len(hosts) - 1
    assert not any(map(is_too_long, table.flows.values()))
    # each of the machines goes to another host, and nobody knows yet where they are
    gone = {f"i{number}": local(number, hosts[0], hosts[number + 1]) for number in MACHINES}
    table.set_locals(gone)
    table.build()
    assert not any(map(is_too_long, table.flows.values()))
    copies = [flow.actions.count(Output(TUNNEL)) for flow in table.flows.values() if flow.table == Table.OUTPUT]
    assert max(copies) == len(hosts) - 1 + MOST


def test_the_last_machine_that_leaves_changes_as_few_flows_as_the_first():
    hosts, machines = HOSTS["ipv4"][:20], MACHINES[:200]
    table = a_table(hosts, machines)
    here = {f"i{number}": local(number, hosts[0]) for number in machines}
    changed = []
    for number in machines:
        to = hosts[1 + number % 19]
        table.changed.clear()
        here[f"i{number}"] = local(number, hosts[0], to)
        table.set_locals(here)
        table.put(RDID, LookupRecord(VSID, address(number), mac(number), to))
        table.build()
        changed.append(len(table.changed))
    # at MOST they go by hosts, each of which has two flows of its own
    assert max(changed) <= changed[0] + 2 * len(hosts) + 2
    assert sum(changed[-10:]) <= sum(changed[:10])
