"""Whose MAC addresses are on the switches that no interface of ours explains."""

from tests.unit.agent.policies import GUESTS
from weft.agent.bindings import Local, Role
from weft.agent.ovs.learnt import entries
from weft.agent.sightings import FLAPPING_SECONDS, LEAVING_SECONDS, MOST, SETTLE_SECONDS, Sightings
from weft.agent.switch import SwitchMac, SwitchPort, Tunnel
from weft.model.values import pack_ip
from weft.wire.messages import SeenMac

BLUE1, BLUE2 = GUESTS["blue1"], GUESTS["blue2"]
PORT = SwitchPort("vnet1", 5, BLUE1.instance, BLUE1.mac, 1500)
OURS = {BLUE1.instance: Local(BLUE1.binding(), PORT, Role.HERE)}


def seen(ports=(), elsewhere=(), locals=OURS, at=(0, SETTLE_SECONDS)):
    sightings = Sightings()
    for now in at:
        sightings.look(ports, "br-int", elsewhere, locals, now)
    return sightings.seen(at[-1])


def test_a_port_that_nobody_explains_is_seen_after_a_moment():
    stranger = SwitchPort("vnet9", 6, "", BLUE2.mac)
    assert seen([PORT, stranger], at=(0, 1)) == ()
    assert seen([PORT, stranger]) == (SeenMac(int(BLUE2.mac), "vnet9", "br-int"),)


def test_our_own_ports_tunnels_and_spare_ones_are_not():
    closed = SwitchPort("vnet2", 0, BLUE1.instance, BLUE1.mac)
    tunnel = SwitchPort("gre-1", 7, attached_mac=BLUE2.mac, tunnel=Tunnel("gre", pack_ip("192.168.1.10")))
    assert seen([PORT, closed, tunnel, SwitchPort("v", 8, "", BLUE2.mac, spare=True), SwitchPort("w", 9)]) == ()


def test_a_copy_of_a_machine_is_seen_by_its_port():
    copy = SwitchPort("vnet9", 6, "00000000-0000-0000-0000-00000000000c", BLUE1.mac)
    assert seen([PORT, copy]) == (SeenMac(int(BLUE1.mac), "vnet9", "br-int"),)
    elsewhere = SwitchMac(int(BLUE1.mac), "tap3", "br-ex", 7)
    assert seen([PORT], [elsewhere]) == (SeenMac(int(BLUE1.mac), "tap3", "br-ex", 7),)


def test_what_is_learnt_of_our_own_is_no_news_and_of_others_is():
    own, other = (SwitchMac(int(one.mac), "eth1", "br-ex", 0, True) for one in (BLUE1, BLUE2))
    assert seen([PORT], [own, other]) == (SeenMac(int(BLUE2.mac), "eth1", "br-ex", 0, True),)


def test_the_port_of_a_machine_that_leaves_is_given_time():
    sightings = Sightings()
    sightings.look([PORT], "br-int", [], OURS, 0)
    for now in (1, 5, LEAVING_SECONDS - 1):
        sightings.look([PORT], "br-int", [], {}, now)
        assert sightings.seen(now) == ()
    for now in (LEAVING_SECONDS, LEAVING_SECONDS + SETTLE_SECONDS):
        sightings.look([PORT], "br-int", [], {}, now)
    assert sightings.seen(now) == (SeenMac(int(BLUE1.mac), "vnet1", "br-int"),)


def test_what_goes_is_gone_at_once_and_there_is_a_bound():
    many = [SwitchMac(0x020000000000 + number, "eth1", "br-ex", 0, True) for number in range(MOST + 10)]
    found = seen([], many)
    assert (len(found), list(found)) == (MOST, sorted(found, key=lambda one: one.mac))
    assert seen([], many, at=(0,)) == ()
    sightings = Sightings()
    for now in (0, 5):
        sightings.look([], "br-int", many, {}, now)
    sightings.look([], "br-int", [], {}, 6)
    assert sightings.seen(6) == ()


def test_only_who_has_looked_says_that_there_is_nothing():
    sightings = Sightings()
    assert not sightings.looked(100)
    sightings.look([], "br-int", [], {}, 0)
    assert [sightings.looked(now) for now in (1, SETTLE_SECONDS)] == [False, True]
    sightings.stop()
    assert not sightings.looked(100)


def test_a_table_of_learnt_addresses_is_read():
    table = """ port  VLAN  MAC                Age
    1     0  00:1d:d8:b7:1c:01    3
    2    12  00:1d:d8:b7:1c:02  static
LOCAL     0  00:1d:d8:b7:1c:03    1
    9     0  00:1d:d8:b7:1c:04    1
    1     0  nonsense             1
"""
    assert list(entries(table, "br-ex", {("br-ex", 1): "eth1", ("br-ex", 2): "tap2", ("br-in", 9): "x"})) == [
        SwitchMac(0x001DD8B71C01, "eth1", "br-ex", 0, True),
        SwitchMac(0x001DD8B71C02, "tap2", "br-ex", 12, True),
    ]


def flapping(port, until, pause=5):
    """Sightings of a port that is there and away in turn."""
    sightings, told = Sightings(), []
    for now in range(0, until, pause):
        there = [port] if now // pause % 2 == 0 else []
        for at in (now, now + SETTLE_SECONDS):
            sightings.look([PORT, *there], "br-int", [], OURS, at)
        told.append(sightings.seen(at))
    return sightings, told


def test_a_port_that_comes_and_goes_is_told_twice_and_then_as_there_until_it_stays_away():
    stranger = SwitchPort("vnet9", 6, "", BLUE2.mac)
    sightings, told = flapping(stranger, 200)
    assert told[:3] == [told[0], (), told[0]] and told[0] != ()
    assert set(told[2:]) == {told[0]}
    for now, left in ((190 + FLAPPING_SECONDS - 1, told[0]), (190 + FLAPPING_SECONDS + SETTLE_SECONDS, ())):
        sightings.look([PORT], "br-int", [], OURS, now)
        assert sightings.seen(now) == left
    sightings.stop()
    assert sightings.seen(now) == ()


def test_what_is_there_for_less_than_a_moment_now_and_then_is_never_told():
    sightings = Sightings()
    for now in range(20):
        there = [SwitchPort("vnet9", 6, "", BLUE2.mac)] if now % 3 == 0 else []
        sightings.look([PORT, *there], "br-int", [], OURS, now)
        assert sightings.seen(now) == ()


def test_what_flapped_and_is_ours_by_now_is_not_told():
    stranger = SwitchPort("vnet9", 6, "", BLUE2.mac)
    sightings, told = flapping(stranger, 30)
    ours = OURS | {BLUE2.instance: Local(BLUE2.binding(), SwitchPort("vnet9", 6, BLUE2.instance, BLUE2.mac), Role.HERE)}
    sightings.look([PORT, stranger], "br-int", [], ours, 31)
    assert told[-1] != () and sightings.seen(31) == ()
    sightings.look([PORT], "br-int", [], ours, 32)
    assert sightings.seen(32) == ()


def test_of_too_many_those_that_were_given_to_a_port_are_told_first():
    many = [SwitchMac(0x020000000000 + number, "eth1", "br-ex", 0, True) for number in range(MOST + 10)]
    given = SwitchMac(0xFE0000000000, "tap1", "br-ex")
    found = seen([], [*many, given])
    assert (len(found), found[-1].mac) == (MOST, given.mac)
