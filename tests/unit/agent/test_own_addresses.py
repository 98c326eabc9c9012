"""Provider addresses on the host's own interface: which are put there, which are taken off, which keep it unsettled."""

import pytest
from msgspec.structs import replace

from tests.unit.agent.policies import GUESTS, HOSTS, addresses, facts, told
from tests.unit.agent.settling import settled
from weft.agent.flows.flow import flow_text
from weft.agent.own_addresses import OwnAddresses
from weft.agent.switch import HostAddress, SwitchFacts, SwitchPort, Tunnel
from weft.model.records import Machine, ProviderAddress
from weft.model.values import PackedIp, pack_ip
from weft.wire.messages import HOST_STREAM

FIRST, SECOND, ELSEWHERE = (pack_ip(text) for text in ("192.168.1.10", "192.168.1.11", "192.168.9.1"))


def wanted(address, vlan=0):
    return ProviderAddress(address, 24, PackedIp(b""), "/logicalNetworks/hnvpa", vlan)


def on(device, *found, ours=False):
    return tuple(HostAddress(one, 24, device, ours=ours) for one in found)


def own(told_of, found, carrier=""):
    made = OwnAddresses(carrier)
    made.are(told_of, found)
    return made


def test_what_is_there_is_left_as_it_is():
    made = own([wanted(FIRST)], on("br-phy", FIRST))
    assert (made.to_add, made.to_remove, made.are_there, made.words) == ((), (), True, ())


def test_another_goes_beside_the_first_whatever_its_subnet():
    for more in (SECOND, ELSEWHERE):
        made = own([wanted(FIRST), wanted(more)], (*on("eth0", ELSEWHERE[:3] + b"\x09"), *on("br-phy", FIRST)))
        assert made.to_add == (HostAddress(more, 24, "br-phy", ours=True),)
        assert not made.are_there


def test_one_of_another_vlan_goes_to_the_interface_that_is_in_its_subnet_or_nowhere():
    told_of = [wanted(FIRST), wanted(ELSEWHERE, vlan=7)]
    there = (*on("br-phy", FIRST), *on("phy.7", ELSEWHERE[:3] + b"\x09"))
    assert [one.device for one in own(told_of, there).to_add] == ["phy.7"]
    nowhere = own(told_of, on("br-phy", FIRST))
    assert nowhere.to_add == () and not nowhere.are_there
    assert "provider address 192.168.9.1: no interface of this host" in nowhere.words[0]


def test_nobody_waits_for_a_host_without_any():
    made = own([wanted(FIRST)], ())
    assert made.are_there and made.words


def test_where_the_operator_gave_none_it_goes_to_the_interface_that_he_named():
    made = own([wanted(FIRST)], on("eth0", ELSEWHERE), "br-phy")
    assert made.to_add == (HostAddress(FIRST, 24, "br-phy", ours=True),)
    assert not made.are_there and not made.words
    assert own([wanted(SECOND)], on("eth1", FIRST), "br-phy").to_add[0].device == "eth1", "an address says it better"
    gone = own([], on("br-phy", FIRST, ours=True), "br-phy")
    assert gone.to_remove == on("br-phy", FIRST, ours=True) and gone.are_there


def test_only_what_an_agent_put_there_is_taken_off():
    found = (*on("br-phy", FIRST), *on("br-phy", SECOND, ours=True))
    assert own([], found).to_remove == on("br-phy", SECOND, ours=True)


def test_one_that_is_another_s_is_waited_for_only_where_it_is_to_take_a_place():
    second = wanted(SECOND)
    for more, there in ((second, True), (replace(second, awaited=True), False)):
        made = own([wanted(FIRST), more], on("br-phy", FIRST, SECOND))
        made.withheld = frozenset({SECOND})
        assert (made.to_add, made.are_there) == ((), False), "it is not known yet whose it is"
        made.taken = frozenset({SECOND})
        assert (made.to_add, made.are_there) == ((), there)
        made.withheld = made.taken = frozenset()
        assert made.are_there


@pytest.mark.parametrize(("power", "waits"), [("Running", False), ("Off", False), ("Incoming", True)])
def test_a_machine_comes_to_no_host_whose_address_is_another_s(power, waits):
    """What is there already is done without tunnels."""
    reconciler = settled()
    reconciler.put(HOST_STREAM, (14, b"blue1"), Machine("blue1", power, (GUESTS["blue1"].instance,), ""))
    reconciler.machines_are(())
    reconciler.withhold(frozenset({HOSTS["host1"]}), frozenset())
    reconciler.done(reconciler.plan(True), ())
    reconciler.switch_is(facts("host1"))
    assert not reconciler.settled, "another may have it"
    reconciler.withhold(frozenset({HOSTS["host1"]}), frozenset({HOSTS["host1"]}))
    reconciler.done(reconciler.plan(True), ())
    assert reconciler.settled is not waits
    reconciler.withhold(frozenset(), frozenset())
    reconciler.done(reconciler.plan(True), ())
    assert reconciler.settled


def test_one_that_the_kernel_still_asks_about_is_not_there_yet():
    made = own([wanted(FIRST)], [HostAddress(FIRST, 24, "br-phy", ready=False)])
    assert not made.are_there and made.to_add == ()


def test_a_second_address_is_on_the_interface_before_anything_is_acked():
    reconciler = settled()
    more = wanted(SECOND)
    reconciler.put(HOST_STREAM, more.key, more)
    change = reconciler.plan(True)
    assert change.addresses_add == (HostAddress(SECOND, 24, "br-phy", ours=True),)
    reconciler.done(change, ())
    assert not reconciler.settled
    there = SwitchFacts(facts("host1").ports, addresses=(*addresses("host1"), *on("br-phy", SECOND, ours=True)))
    reconciler.switch_is(there)
    assert not reconciler.plan(True) and reconciler.settled
    reconciler.put(HOST_STREAM, more.key, None)
    assert reconciler.plan(False).addresses_remove == ()
    assert reconciler.plan(True).addresses_remove == on("br-phy", SECOND, ours=True)


def test_a_tunnel_port_of_an_agent_before_serves_until_the_new_one_is_there():
    before = SwitchPort("gre-c0a8010a", 1, tunnel=Tunnel("gre", HOSTS["host1"]))
    ports = tuple(port for port in facts("host1").ports if port.tunnel is None)
    reconciler = told("host1")
    reconciler.switch_is(SwitchFacts((before, *ports), addresses=addresses("host1")))
    reconciler.switch_has(())
    first = reconciler.plan(True)
    assert (first.tunnels_add, first.tunnels_remove) == ((Tunnel("gre"),), ())
    assert [flow for flow in first.puts if "tun_dst" in flow_text(flow)]
    reconciler.done(first, ())
    new = SwitchPort("weft-gre", 9, tunnel=Tunnel("gre"))
    reconciler.switch_is(SwitchFacts((before, new, *ports), addresses=addresses("host1")))
    second = reconciler.plan(True)
    assert second.tunnels_remove == (before.tunnel,)
    comes_in = [flow_text(flow) for flow in reconciler.table.flows.values() if "tun_id=0x177100" in flow_text(flow)]
    assert [("in_port=1," in one, "in_port=9," in one) for one in sorted(comes_in)] == [(True, False), (False, True)]


def test_what_a_guest_sends_leaves_from_the_address_of_its_binding():
    reconciler = settled()
    entrance = [flow_text(one) for one in reconciler.table.flows.values() if f"eth_src={_mac()}" in flow_text(one)]
    assert any("set_field:192.168.1.10->tun_src" in one for one in entrance)


def _mac():
    digits = f"{GUESTS['blue1'].mac:012x}"
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
