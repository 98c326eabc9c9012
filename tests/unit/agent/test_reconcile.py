"""From what should be and what is to what to do."""

import msgspec

from tests.unit.agent.policies import (
    BLUE,
    GUESTS,
    HOSTS,
    access_list,
    addresses,
    facts,
    host_records,
    told,
    tunnel,
)
from tests.unit.agent.settling import settled
from weft.agent.flows.actions import Output, SetField
from weft.agent.flows.fields import COOKIE_MARK, ETH_DST, TO_PORT, Table
from weft.agent.flows.flow import Flow, exact, flow_text
from weft.agent.flows.metering import ASKS
from weft.agent.switch import Peer, StepFailure, SwitchFacts, SwitchPort
from weft.model.hypervisor import MachineState
from weft.model.records import LookupRecord, Machine, NetworkSettings, PortBinding, PortLimits, ProviderAddress
from weft.model.values import PackedIp, pack_ip
from weft.wire.messages import HOST_STREAM

BLUE2 = GUESTS["blue2"]
OLD = Flow(Table.OUTPUT, 3, (exact(ETH_DST, 1),), (), COOKIE_MARK)


def texts(flows):
    return sorted(flow_text(flow).split(",", 1)[1] for flow in flows)


def test_tunnels_come_first_and_flows_into_them_when_they_are_there():
    reconciler = told("host1")
    bare = SwitchFacts(tuple(port for port in facts("host1").ports if port.tunnel is None))
    reconciler.switch_is(bare)
    reconciler.switch_has(())
    first = reconciler.plan(True)
    assert first.tunnels_add == (tunnel("host1"),)
    assert first.peers == (Peer(HOSTS["host1"], HOSTS["host2"]),)
    assert not [flow for flow in first.puts if "tun_dst" in flow_text(flow)]
    reconciler.done(first, ())
    assert not reconciler.settled
    reconciler.switch_is(facts("host1"))
    second = reconciler.plan(True)
    assert (second.tunnels_add, second.peers) == ((), ())
    assert [flow for flow in second.puts if "tun_dst" in flow_text(flow)]
    reconciler.done(second, ())
    assert reconciler.settled and not reconciler.plan(True)


def test_a_host_without_a_provider_address_makes_no_tunnel_and_works():
    reconciler = told("host1")
    for record in host_records("host1"):
        if isinstance(record, PortBinding):
            reconciler.put(HOST_STREAM, record.key, msgspec.structs.replace(record, provider_address=PackedIp(b"")))
        elif isinstance(record, ProviderAddress):
            reconciler.put(HOST_STREAM, record.key, None)
    bare = SwitchFacts(tuple(port for port in facts("host1").ports if port.tunnel is None))
    reconciler.switch_is(bare)
    reconciler.switch_has(())
    change = reconciler.plan(True)
    assert (change.tunnels_add, change.peers) == ((), ())
    reconciler.done(change, ())
    assert reconciler.settled


def test_nothing_is_removed_before_the_policy_is_complete_or_the_switch_was_read():
    reconciler = told("host1")
    reconciler.switch_is(facts("host1"))
    assert not reconciler.plan(True).puts
    reconciler.switch_has((OLD,))
    change = reconciler.plan(False)
    assert change.puts and not change.removes
    reconciler.done(change, ())
    assert reconciler.plan(True).removes == (OLD.key,)


def test_an_empty_policy_sweeps_nothing_until_it_is_known_to_be_empty():
    from weft.agent.reconcile import Reconciler

    reconciler = Reconciler()
    reconciler.switch_is(SwitchFacts((SwitchPort("gre", 1, tunnel=tunnel("host1")),)))
    reconciler.switch_has((OLD,))
    change = reconciler.plan(False)
    assert (change.removes, change.tunnels_remove) == ((), ())


def test_after_a_restart_equal_flows_are_left_alone():
    before = settled()
    reconciler = told("host1")
    reconciler.switch_is(facts("host1"))
    assert reconciler.switch_has(tuple(before.table.flows.values())) == ()
    assert (reconciler.plan(True).puts, reconciler.plan(True).removes) == ((), ())


def test_one_record_moves_and_only_its_own_flows_change():
    reconciler = settled()
    built = reconciler.table.built
    for record in BLUE2.lookups("host1"):
        reconciler.put(BLUE, record.key, record)
    change = reconciler.plan(True)
    assert len(change.puts) + len(change.removes) <= 2
    assert reconciler.table.built - built <= 5


def test_a_change_taken_back_before_the_plan_is_no_change():
    reconciler = settled()
    for record in (*BLUE2.lookups("host1"), *BLUE2.lookups()):
        reconciler.put(BLUE, record.key, record)
        reconciler.table.build()
    assert not reconciler.plan(True)


def test_the_tunnel_port_has_another_number_and_every_flow_through_it_changes():
    reconciler = settled()
    moved = [msgspec.structs.replace(port, ofport=99) if port.tunnel else port for port in facts("host1").ports]
    reconciler.switch_is(SwitchFacts(tuple(moved)))
    reconciler.done(reconciler.plan(True), ())
    assert not [text for text in texts(reconciler.table.flows.values()) if "output:1" == text.split("actions=")[1][-8:]]
    assert [flow for flow in reconciler.table.flows.values() if Output(99) in flow.actions]


def test_a_machine_that_left_is_reached_through_a_new_tunnel_number_too():
    """Its subnet has no other record here: only the port itself leads to the flows."""
    reconciler = settled()
    blue1 = GUESTS["blue1"]
    for guest in (blue1, BLUE2):
        for record in guest.lookups():
            reconciler.put(BLUE, record.key, None)
    gone = blue1.binding(HOSTS["host2"])
    reconciler.put(0, gone.key, gone)
    bare = [port for port in facts("host1").ports if port.name != "blue1"]
    reconciler.switch_is(SwitchFacts(tuple(bare)))
    reconciler.plan(True)
    moved = [msgspec.structs.replace(port, ofport=99) if port.tunnel else port for port in bare]
    reconciler.switch_is(SwitchFacts(tuple(moved)))
    reconciler.plan(True)
    stray = [flow for flow in reconciler.table.flows.values() if exact(ETH_DST, blue1.mac) in flow.match]
    assert [flow for flow in stray if flow.table == Table.OUTPUT and SetField(TO_PORT, 99) in flow.actions]


def test_broadcasts_follow_a_coming_machine_when_its_record_does():
    """Its port is here already; neighbours' broadcasts go where the record says."""
    reconciler = settled("host2")
    coming = Machine("blue2", "Incoming", (BLUE2.instance,), "")
    reconciler.put(0, coming.key, coming)
    group = (Table.OUTPUT, 100)
    elsewhere = LookupRecord(BLUE2.vsid, pack_ip("10.1.1.12"), BLUE2.mac, HOSTS["host1"])
    for record in (elsewhere, LookupRecord(BLUE2.vsid, pack_ip("fd00:1::12"), BLUE2.mac, HOSTS["host1"])):
        reconciler.put(BLUE, record.key, record)
        extra = LookupRecord(BLUE2.vsid, pack_ip("10.1.1.99"), 77, HOSTS["host2"])
        reconciler.put(BLUE, extra.key, extra)
    reconciler.plan(True)
    number = next(port.ofport for port in facts("host2").ports if port.name == "blue2")

    def flooded():
        return [
            flow
            for flow in reconciler.table.flows.values()
            if (flow.table, flow.priority) == group and "01:00:00" in flow_text(flow) and "0x1771" in flow_text(flow)
        ]

    assert Output(number) not in flooded()[0].actions
    for record in BLUE2.lookups():
        reconciler.put(BLUE, record.key, record)
    reconciler.plan(True)
    assert Output(number) in flooded()[0].actions


def test_the_encapsulation_changes():
    reconciler = settled()
    reconciler.put(BLUE, (1,), NetworkSettings(BLUE, "vxlan", "blue"))
    assert reconciler.plan(True).tunnels_add == (tunnel("host1", "vxlan"),)


def test_a_peer_that_failed_is_asked_for_again():
    reconciler = told("host1")
    reconciler.switch_is(facts("host1"))
    reconciler.switch_has(())
    change = reconciler.plan(True)
    failure = StepFailure("peer", "host2", "silent", change.peers[0])
    reconciler.done(change, (failure,))
    assert reconciler.plan(True).peers == change.peers
    assert reconciler.settled
    assert "silent" in reconciler.problems()[0].message
    reconciler.done(reconciler.plan(True), ())
    assert not reconciler.plan(True)
    assert reconciler.problems() == ()


def test_one_refused_flow_does_not_stop_the_others():
    reconciler = told("host1")
    reconciler.switch_is(facts("host1"))
    reconciler.switch_has(())
    change = reconciler.plan(True)
    reconciler.done(change, (StepFailure("flows", "one", "no", flow=change.puts[0].key),))
    assert reconciler.plan(True).puts == change.puts[:1]
    assert not reconciler.settled


def test_a_refused_bundle_stays_to_be_done():
    reconciler = told("host1")
    reconciler.switch_is(facts("host1"))
    reconciler.switch_has(())
    change = reconciler.plan(True)
    reconciler.done(change, (StepFailure("flows", "all", "no"),))
    assert set(reconciler.plan(True).puts) == set(change.puts)
    assert not reconciler.settled


def test_drift_is_named_and_repaired():
    reconciler = settled()
    flows = dict(reconciler.table.flows)
    gone = next(flow for flow in flows.values() if flow.table == Table.OUTPUT)
    changed = next(flow for flow in flows.values() if flow.table == Table.ROUTE)
    del flows[gone.key]
    flows[changed.key] = msgspec.structs.replace(changed, actions=(Output(66),))
    words = [one for one in reconciler.switch_has((*flows.values(), OLD)) if one.startswith("flow")]
    assert sorted(one.split(":")[0] for one in words) == ["flow was added", "flow was changed", "flow was gone"]
    change = reconciler.plan(True)
    assert set(change.puts) == {gone, changed} and change.removes == (OLD.key,)
    reconciler.done(change, ())
    assert reconciler.switch_has(tuple(reconciler.table.flows.values()), change.meters) == ()


def test_a_limit_that_another_hand_changed_is_drift_and_put_back():
    reconciler = told("host1")
    limits = PortLimits(GUESTS["blue1"].instance, outbound_mbps=10, storm=7)
    reconciler.put(0, limits.key, limits)
    reconciler.switch_is(facts("host1"))
    reconciler.switch_has(())
    change = reconciler.plan(True)
    reconciler.done(change, ())
    flows, ours = tuple(reconciler.table.flows.values()), {one.id: one for one in change.meters}
    assert {(one.unit, one.rate) for one in ours.values()} == {("kbps", 10_000), ("pktps", 7), ("pktps", ASKS)}
    assert reconciler.switch_has(flows, tuple(ours.values())) == ()
    key = next(key for key, one in ours.items() if one.unit == "kbps")
    by_hand = ours | {key: msgspec.structs.replace(ours[key], rate=1)}
    assert len(reconciler.switch_has(flows, tuple(by_hand.values()))) == 1
    assert reconciler.plan(True).meters == (ours[key],)
    reconciler.put(0, limits.key, None)
    assert key in reconciler.plan(True).meters_remove


def test_a_vanished_tunnel_port_is_drift_once():
    reconciler = settled()
    assert reconciler.missing_tunnels() == ()
    reconciler.switch_is(SwitchFacts(facts("host1").ports[1:]))
    assert len(reconciler.missing_tunnels()) == 1
    assert reconciler.missing_tunnels() == ()
    assert reconciler.plan(True).tunnels_add == (tunnel("host1"),)


def test_what_the_switch_lost_is_put_again():
    reconciler = settled()
    reconciler.switch_lost()
    assert not reconciler.settled
    reconciler.switch_has(())
    change = reconciler.plan(True)
    assert len(change.puts) == len(reconciler.table.flows)
    assert change.peers == (Peer(HOSTS["host1"], HOSTS["host2"]),)


def test_a_port_has_the_mtu_of_the_physical_network_whatever_its_tunnel_carries():
    reconciler = told("host1")
    large = [msgspec.structs.replace(port, mtu=0 if port.tunnel else 9000) for port in facts("host1").ports]
    reconciler.switch_is(SwitchFacts(tuple(large)))
    change = reconciler.plan(True)
    assert change.mtus == (("blue1", 1500), ("red1", 1500))
    assert reconciler.plan(True).mtus == ()
    assert reconciler.mtus.of(GUESTS["blue1"].binding()) == 1458
    reconciler.switch_is(with_mtus(1400))
    assert reconciler.plan(True).mtus == (), "another hand's choice stays"


def with_mtus(mtu, ours=0, provider_mtu=1500):
    ports = [msgspec.structs.replace(one, mtu=mtu, mtu_of_ours=ours) for one in facts("host1").ports if not one.tunnel]
    tunnels = [one for one in facts("host1").ports if one.tunnel]
    return SwitchFacts((*tunnels, *ports), addresses=addresses("host1", provider_mtu))


def test_a_port_that_we_set_follows_the_provider_network_and_another_hand_is_corrected():
    reconciler = told("host1")
    # 1458 is what an agent of before made it
    for provider, before, most in ((1400, 1458, 1400), (1500, 1400, 1500), (1400, 1500, 1400)):
        reconciler.switch_is(with_mtus(before, before, provider))
        assert dict(reconciler.plan(True).mtus)["blue1"] == most
        reconciler.switch_is(with_mtus(most, most, provider))
        assert reconciler.plan(True).mtus == ()
    reconciler.switch_is(with_mtus(1500, 1400, 1400))
    assert dict(reconciler.plan(True).mtus)["blue1"] == 1400, "asked again, since it has been so"


def test_an_mtu_that_could_not_be_set_is_asked_for_again():
    reconciler = settled()
    reconciler.switch_is(with_mtus(9000))
    change = reconciler.plan(True)
    assert change.mtus
    reconciler.done(change, (StepFailure("mtu", "blue1", "no"),))
    assert reconciler.plan(True).mtus == (("blue1", 1500),)


def test_a_guest_is_not_told_more_than_its_port_takes():
    reconciler = told("host1")
    told_to = {}
    for name, given in (
        ("ours", with_mtus(1300, 1300)),
        ("another hand's", with_mtus(1300)),
        ("large", with_mtus(9000)),
    ):
        reconciler.switch_is(given)
        reconciler.plan(True)
        told_to[name] = reconciler.mtus.of_guest(reconciler.locals[GUESTS["blue1"].instance])
    assert told_to == {"ours": 1458, "another hand's": 1300, "large": 1458}


def test_a_guest_that_sends_more_than_its_network_carries_is_a_problem_until_it_does_not():
    reconciler = settled()
    reconciler.put(0, (14, b"blue1"), Machine("blue1", "Running", (GUESTS["blue1"].instance,), ""))
    vxlan = NetworkSettings(BLUE, "vxlan", "")
    reconciler.machines_are([MachineState("blue1", "Running", 1458)])
    assert reconciler.problems() == ()
    reconciler.put(BLUE, vxlan.key, vxlan)
    (problem,) = reconciler.problems()
    assert (problem.code, problem.instance_id) == ("PolicyConfigurationFailure", GUESTS["blue1"].instance)
    assert "1458" in problem.message and "VXLAN inside 1500 carries 1450; restart blue1 or lower" in problem.message
    reconciler.machines_are([MachineState("blue1", "Running", 1450)])
    assert reconciler.problems() == ()


def test_a_closed_port_is_a_problem_of_its_interface():
    reconciler = told("host1")
    wrong = [
        msgspec.structs.replace(port, attached_mac=1) if port.name == "blue1" else port for port in facts("host1").ports
    ]
    reconciler.switch_is(SwitchFacts(tuple(wrong), addresses=addresses("host1")))
    reconciler.plan(True)
    (problem,) = reconciler.problems()
    assert (problem.code, problem.instance_id) == ("PortBlocked", GUESTS["blue1"].instance)
    states = {fact.instance_id: fact.state for fact in reconciler.port_facts()}
    assert states == {GUESTS["blue1"].instance: "closed", GUESTS["red1"].instance: "bound"}


def test_everything_withdrawn_leaves_only_what_is_always_there():
    reconciler = settled()
    for record in host_records("host1"):
        reconciler.put(0, record.key, None)
    for rdid, domain in list(reconciler.table.domains.items()):
        for key in list(domain.records):
            reconciler.put(rdid, key, None)
    change = reconciler.plan(True)
    assert change.tunnels_remove == (tunnel("host1"),)
    reconciler.done(change, ())
    left = {flow.cookie >> 40 & 0xFF for flow in reconciler.table.flows.values()}
    assert left <= {0x00, 0x01}


def test_a_port_whose_access_list_is_not_known_is_blocked_and_says_so():
    reconciler = settled()
    access = GUESTS["blue1"].access(own=7)
    reconciler.put(0, access.key, access)
    reconciler.plan(True)
    told_of = (
        "PortBlocked",
        "blue1-eth0: it is under access list 7, which is not known here: nothing passes",
        GUESTS["blue1"].instance,
    )
    assert [(one.code, one.message, one.instance_id) for one in reconciler.problems()] == [told_of]
    known = access_list(7)
    reconciler.put(0, known.key, known)
    reconciler.plan(True)
    assert reconciler.problems() == ()
