"""Meters by level, zones of ports bound anew, and the way to a port that is filtered."""

import msgspec
import pytest

from tests.unit.agent.policies import BLUE, GUESTS, facts, told
from tests.unit.agent.settling import settled
from weft.agent.flows.access import of_port as of_lists
from weft.agent.flows.actions import Ct, Goto, Output, Resubmit, SetField
from weft.agent.flows.fields import ETH_DST, GROUP_BIT, MOST_PORT, TO_PORT, Table
from weft.agent.flows.limits import of_port as of_limits
from weft.agent.flows.metering import ASKS, ASKS_AT_ONCE, Kind, Meters, meter_id
from weft.agent.flows.ways import FORKED, Door, bound_port, into, into_each
from weft.agent.switch import StepFailure, SwitchChange, SwitchMeter
from weft.model.records import PortAccess, PortLimits
from weft.model.values import vlan_segment

BLUE1 = GUESTS["blue1"]
FOREIGN = SwitchMeter(meter_id(900, Kind.OUTBOUND), "kbps", 1, 1)


def test_ids_of_ports_never_meet_and_open_vswitch_takes_them():
    ids = {meter_id(port, kind) for port in (1, 2, MOST_PORT) for kind in Kind}
    assert len(ids) == 12 and min(ids) > 0 and max(ids) <= 0x40000


def limited(locals_, mbps):
    """The outbound traffic of every port is limited to this."""
    return [
        msgspec.structs.replace(one, limits=PortLimits(one.binding.instance_id, outbound_mbps=mbps)) for one in locals_
    ]


def outbound(number):
    """At 10 Mbps: a fifth of a second at once."""
    return SwitchMeter(meter_id(number, Kind.OUTBOUND), "kbps", 10_000, 2_000)


def service(number):
    return SwitchMeter(meter_id(number, Kind.SERVICE), "pktps", ASKS, ASKS_AT_ONCE)


def after(meters, change, failures=()):
    meters.done(change, failures)
    return SwitchChange(meters=meters.to_set, meters_remove=meters.to_remove)


def test_meters_are_set_until_they_are_there_and_removed_when_nobody_wants_them():
    reconciler = told("host1")
    reconciler.switch_is(facts("host1"))
    locals_ = reconciler.plan(True) and list(reconciler.locals.values())
    numbers = sorted(local.number for local in locals_)
    meters = Meters()
    meters.want(limited(locals_, 10))
    assert meters.to_set == (), "it is not known what is there"
    meters.has([FOREIGN])
    wanted = tuple(one for number in numbers for one in (outbound(number), service(number)))
    assert (meters.to_set, meters.to_remove) == (wanted, ())
    failed = after(meters, SwitchChange(meters=wanted), [StepFailure("meter", "", "", meter=wanted[0].id)])
    assert failed == SwitchChange(meters=wanted[:1])
    assert not after(meters, SwitchChange(meters=wanted[:1]))
    meters.want(limited(locals_, 20))
    assert [(one.id, one.rate) for one in meters.to_set] == [(outbound(one).id, 20_000) for one in numbers]
    meters.want(limited(locals_[:1], 20))
    gone = locals_[1].number
    assert meters.to_remove == (outbound(gone).id, service(gone).id)
    assert after(meters, SwitchChange(meters_remove=meters.to_remove)).meters_remove == ()
    meters.has([FOREIGN])
    assert meters.to_remove == (), "another hand's stays"


def test_a_zone_is_flushed_when_its_port_is_bound_anew_and_not_when_the_agent_starts_again():
    reconciler = told("host1")
    reconciler.switch_is(facts("host1"))
    reconciler.switch_has(())
    change = reconciler.plan(True)
    assert change.zones_flush == (2, 3), "blue1's and red1's, the tunnel is 1"
    reconciler.done(change, ())
    assert reconciler.plan(True).zones_flush == ()
    again = told("host1")
    again.switch_is(facts("host1"))
    again.switch_has(change.puts)
    assert (again.plan(True).zones_flush, again.plan(True).puts) == ((), ())
    # the agent was away while another machine got the number
    (other,) = (port for port in facts("host1").ports if port.name == "red1")
    binding = msgspec.structs.replace(GUESTS["red1"].binding(), mac=0x001DD8B71C77)
    again.put(0, binding.key, binding)
    moved = msgspec.structs.replace(other, attached_mac=0x001DD8B71C77)
    again.switch_is(msgspec.structs.replace(facts("host1"), ports=(*facts("host1").ports[:-1], moved)))
    assert again.plan(True).zones_flush == (other.ofport,)


def test_a_port_that_moves_to_another_subnet_leaves_its_connections_behind():
    reconciler = settled()
    binding = msgspec.structs.replace(BLUE1.binding(), vsid=6002)
    reconciler.put(0, binding.key, binding)
    assert reconciler.plan(True).zones_flush == (2,)


def test_what_is_for_a_filtered_port_goes_through_its_tables_and_a_copy_comes_back():
    assert into(Door(4)) == (Output(4),)
    assert into(Door(4, filtered=True)) == (SetField(TO_PORT, 4), Goto(Table.TRACK_IN))
    both = (Output(4), SetField(TO_PORT, 5), Resubmit(Table.TRACK_IN))
    assert into_each([Door(4), Door(5, filtered=True)]) == both


@pytest.mark.parametrize("vsid", [6001, vlan_segment(5)], ids=["virtual", "logical"])
def test_whatever_a_meter_may_drop_on_its_way_into_a_port_is_a_copy_of_its_own(vsid):
    """Or for one machine: what does not match the group bit."""
    limits = PortLimits(BLUE1.instance, inbound_mbps=10)
    binding, (v4, v6) = msgspec.structs.replace(BLUE1.binding(), vsid=vsid), BLUE1.addresses
    port = bound_port(binding, 4, access=PortAccess(BLUE1.instance, ((v4, 0, 0), (v6, 7, 0))), limits=limits)
    for lists in (port.lists, port.lists[:1], ()):
        under = msgspec.structs.replace(port, lists=lists)
        flows = [*of_lists(under), *of_limits(under)]
        into_it = [one for one in flows if one.table == Table.TRACK_IN and one.actions]
        assert (ETH_DST, GROUP_BIT, GROUP_BIT) in {term for one in into_it for term in one.match}
        assert all(FORKED in one.actions or isinstance(one.actions[-1], Ct) for one in into_it)
    free = msgspec.structs.replace(port, limits=None)
    assert not any(FORKED in one.actions for one in (*of_lists(free), *of_limits(free)))


def test_only_flows_to_a_filtered_port_change_with_it():
    reconciler = settled()
    before = dict(reconciler.table.flows)
    local = {name: msgspec.structs.replace(one, filtered=one.number == 2) for name, one in reconciler.locals.items()}
    reconciler.table.set_locals(local)
    reconciler.table.build()
    changed = {key: flow for key, flow in reconciler.table.flows.items() if before.get(key) != flow}
    assert {(key[0], flow.cookie & 0xFFFF) for key, flow in changed.items()} == {
        (Table.OUTPUT, 6001),
        (Table.DECAP, 6001),
    }
    assert all(SetField(TO_PORT, 2) in flow.actions and Output(2) not in flow.actions for flow in changed.values())
    assert BLUE in reconciler.table.domains


def test_meters_of_a_port_that_went_while_no_agent_was_there_are_removed():
    gone, kept = 700, 900
    left = [SwitchMeter(meter_id(gone, Kind.SERVICE), "pktps", ASKS, ASKS_AT_ONCE)]
    left += [SwitchMeter(meter_id(gone, kind), "kbps", 7, 7) for kind in (Kind.OUTBOUND, Kind.STORM)]
    # another hand's: beside none of ours, or with another rate
    theirs = [FOREIGN, SwitchMeter(meter_id(kept, Kind.SERVICE), "pktps", ASKS, ASKS_AT_ONCE + 1)]
    reconciler = told("host1")
    reconciler.switch_is(facts("host1"))
    reconciler.switch_has((), [*theirs, *left])
    assert reconciler.plan(in_sync=False).meters_remove == ()
    change = reconciler.plan(in_sync=True)
    assert change.meters_remove == tuple(sorted(one.id for one in left))
    reconciler.done(change, ())
    assert reconciler.plan(in_sync=True).meters_remove == ()
