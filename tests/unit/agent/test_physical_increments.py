"""Whatever a host learns first, ports on VLANs and networks that rewrite come to the same flows, and leave none."""

import itertools

import pytest

from weft.agent.reconcile import Reconciler
from weft.agent.switch import SwitchFacts, SwitchPort
from weft.model.records import (
    LookupRecord,
    NetworkSettings,
    PortBinding,
    ProviderAddress,
    SegmentPort,
    SubnetRecord,
)
from weft.model.values import PackedIp, pack_ip, vlan_segment

RDID, VSID, MAC = 7, 6001, 0x001DD8B70001
OWN = pack_ip("192.168.1.10")
PROVIDER = (0, ProviderAddress(OWN, 24, PackedIp(b""), "pa", 9))
REWRITE = [
    (RDID, NetworkSettings(RDID, "rewrite", "/virtualNetworks/green")),
    (RDID, SubnetRecord(VSID, pack_ip("10.0.0.0"), 24, pack_ip("10.0.0.1"))),
    (RDID, LookupRecord(VSID, pack_ip("10.0.0.11"), MAC, pack_ip("192.168.1.11"))),
    (RDID, LookupRecord(VSID, pack_ip("10.0.0.12"), MAC + 1, pack_ip("192.168.1.12"))),
    (0, PortBinding("a", "a-eth0", RDID, VSID, MAC, (pack_ip("10.0.0.11"),), OWN)),
    PROVIDER,
]
VLAN = [
    (0, PortBinding("a", "a-eth0", 0, vlan_segment(9), MAC, (), PackedIp(b""))),
    (0, SegmentPort("a", "/logicalNetworks/lan/subnets/v9", 9, free=True)),
    PROVIDER,
]
FACTS = SwitchFacts((SwitchPort("p2", 2, "a", MAC, 1500), SwitchPort("weft-to-phy", 3, patch=True)))


def flows(steps):
    told = Reconciler()
    told.switch_has(())
    for step in steps:
        if step is FACTS:
            told.switch_is(FACTS)
        else:
            stream, record = step
            told.put(stream, record.key, record)
        told.plan(True)
    return told


@pytest.mark.parametrize("records", [REWRITE, VLAN], ids=["rewrite", "vlan"])
def test_the_order_in_which_it_is_told_does_not_matter(records):
    whole = flows([*records, FACTS]).table.flows
    assert {flow.table for flow in whole.values() if flow.cookie >> 40 & 0xFF != 1} > {0, 1}
    for order in itertools.islice(itertools.permutations([*records, FACTS]), 0, None, 37):
        assert flows(order).table.flows == whole


@pytest.mark.parametrize("records", [REWRITE, VLAN], ids=["rewrite", "vlan"])
def test_what_is_taken_back_leaves_no_flow(records):
    told = flows([*records, FACTS])
    bare = flows([FACTS]).table.flows
    for stream, record in reversed(records):
        told.put(stream, record.key, None)
        told.plan(True)
    left = {key for key in told.table.flows.keys() - bare.keys() if key[0] != 0}
    assert left == set()
    assert told.plan(True).patch_remove


def test_a_network_that_tunnels_again_rewrites_no_more():
    told = flows([*REWRITE, FACTS])
    settings = NetworkSettings(RDID, "nvgre", "/virtualNetworks/green")
    told.put(RDID, settings.key, settings)
    told.plan(True)
    assert told.table.flows == flows([(RDID, settings), *REWRITE[1:], FACTS]).table.flows
