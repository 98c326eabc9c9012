"""Which announcements follow from changed records, on values; and an agent that makes them, on the fake switch."""

import asyncio

import msgspec
import pytest

from tests.unit.agent.host import WHOLE, running, working
from tests.unit.agent.policies import BLUE, GUESTS, HOSTS, RED, network_records
from weft.agent.announcements import A_ROUND, AGAIN_SECONDS, MOST, Announcements, frame_of
from weft.agent.bindings import Local, Role
from weft.agent.switch import Announcement, SwitchPort
from weft.fakes import packet as p
from weft.fakes.frames import packet
from weft.model.records import LookupRecord, PortLearning
from weft.model.values import Mac, PackedIp, Vsid, pack_ip
from weft.wire.messages import Delta, Dropped, Full

BLUE1, BLUE2, RED1 = (GUESTS[name] for name in ("blue1", "blue2", "red1"))
NEW, NEWER = Mac(0x001DD8B71CF1), Mac(0x001DD8B71CF2)
OLD_V4, OLD_V6 = BLUE2.lookups()


def with_mac(record, mac=NEW):
    return msgspec.structs.replace(record, mac=mac)


def local(guest, number):
    return Local(guest.binding(), SwitchPort(guest.name, number, guest.instance, guest.mac), Role.HERE)


LOCALS = (local(BLUE1, 5), local(RED1, 6))
TOLD = Announcement(Vsid(6001), OLD_V4.customer_address, NEW, (5,))


def begun():
    announcements = Announcements()
    announcements.begin()
    return announcements


def test_another_mac_is_told_twice_a_second_apart_to_ports_of_that_subnet_only():
    announcements = begun()
    announcements.changed(BLUE, OLD_V4, with_mac(OLD_V4))
    assert announcements.take(LOCALS, 10.0) == (TOLD,)
    assert announcements.due_at == 10.0 + AGAIN_SECONDS
    assert announcements.take(LOCALS, 10.0 + AGAIN_SECONDS / 2) == ()
    assert announcements.take(LOCALS, 10.0 + AGAIN_SECONDS) == (TOLD,)
    assert announcements.due_at is None and announcements.take(LOCALS, 100.0) == ()


def test_the_repetition_goes_to_the_ports_that_are_there_by_then():
    announcements = begun()
    announcements.changed(BLUE, OLD_V4, with_mac(OLD_V4))
    announcements.take(LOCALS, 10.0)
    assert announcements.take((local(BLUE1, 7), local(RED1, 5)), 12.0) == (msgspec.structs.replace(TOLD, ports=(7,)),)


def test_the_owner_is_not_told_nor_a_closed_port_nor_another_domain_with_that_subnet():
    announcements = begun()
    announcements.changed(BLUE, OLD_V4, with_mac(OLD_V4))
    closed = Local(BLUE1.binding(), None, Role.HERE)
    assert announcements.take((local(BLUE2, 4), closed), 0.5) == ()
    announcements.changed(RED, OLD_V4, with_mac(OLD_V4))
    assert announcements.take(LOCALS, 0.5) == ()
    assert announcements.due_at is None, "nobody was told, so nobody is told again"


def test_who_took_an_address_over_is_not_told_of_it():
    announcements = begun()
    learning = PortLearning(BLUE1.instance, learnt=(OLD_V4.customer_address,))
    owner = msgspec.structs.replace(local(BLUE1, 5), learning=learning)
    announcements.changed(BLUE, OLD_V4, with_mac(OLD_V4, BLUE1.mac))
    assert announcements.take((owner,), 10.0) == ()


def test_nothing_before_it_has_begun_and_nothing_for_a_new_or_moved_record():
    announcements = Announcements()
    announcements.changed(BLUE, OLD_V4, with_mac(OLD_V4))
    announcements.begin()
    moved = msgspec.structs.replace(OLD_V6, provider_address=HOSTS["host1"])
    announcements.changed(BLUE, None, OLD_V4)
    announcements.changed(BLUE, OLD_V6, moved)
    assert announcements.take(LOCALS, 1.0) == ()


def test_a_record_that_went_and_came_back_with_another_mac_is_told():
    announcements = begun()
    announcements.changed(BLUE, OLD_V4, None)
    announcements.changed(BLUE, OLD_V6, None)
    assert announcements.take(LOCALS, 1.0) == ()
    announcements.changed(BLUE, None, with_mac(OLD_V4))
    announcements.changed(BLUE, None, OLD_V6)
    assert announcements.take(LOCALS, 1.0) == (TOLD,)


def test_the_last_of_several_counts_and_none_once_the_record_is_gone():
    announcements = begun()
    announcements.changed(BLUE, OLD_V4, with_mac(OLD_V4))
    announcements.changed(BLUE, with_mac(OLD_V4), with_mac(OLD_V4, NEWER))
    announcements.changed(BLUE, OLD_V6, with_mac(OLD_V6))
    announcements.changed(BLUE, with_mac(OLD_V6), None)
    assert announcements.take(LOCALS, 1.0) == (msgspec.structs.replace(TOLD, mac=NEWER),)


def test_so_many_at_once_and_no_more_waiting_or_remembered():
    announcements = begun()
    records = [LookupRecord(Vsid(6001), PackedIp(n.to_bytes(4)), Mac(n), HOSTS["host2"]) for n in range(MOST + 50)]
    for record in records:
        announcements.changed(BLUE, record, with_mac(record))
    rounds = [len(announcements.take(LOCALS, 1.0)) for _ in range(MOST // A_ROUND + 1)]
    assert rounds == [A_ROUND] * (MOST // A_ROUND) + [0]
    for record in records:
        announcements.changed(BLUE, with_mac(record), None)
    for record in records:
        announcements.changed(BLUE, None, record)
    first = announcements.take(LOCALS, 1.0)[0]
    assert first.address == records[50].customer_address, "the fifty oldest are forgotten"


@pytest.mark.parametrize("address", [BLUE2.v4, BLUE2.v6])
def test_the_frame_is_what_the_standards_say(address):
    frame = frame_of(pack_ip(address), NEW)
    assert len(frame) >= 60
    seen = packet(frame)  # checks the checksum
    assert msgspec.structs.replace(seen, size=0) == msgspec.structs.replace(p.announcement(NEW, address), size=0)


# the agent


async def announced(host, many):
    async with asyncio.timeout(30):
        while len(host.switch.announced) < many:
            await asyncio.sleep(0.01)
    return list(host.switch.announced)


async def test_guests_of_this_host_hear_of_a_peers_new_mac_twice_and_its_flows_are_there_first():
    async with running() as host:
        host.plug()
        controller = await working(host)
        assert not host.switch.announced, "a full load announces nothing"
        controller.say(Delta(BLUE, 4, 11, puts=tuple(with_mac(one) for one in BLUE2.lookups())))
        first = (await announced(host, 2))[:2]
        assert {(one.port, one.packet) for one in first} == {
            ("p0", p.announcement(NEW, BLUE2.v4)),
            ("p0", p.announcement(NEW, BLUE2.v6)),
        }
        (heard,) = host.switch.inject("p0", p.arp_request(BLUE1.mac, BLUE1.v4, BLUE2.v4))
        assert heard.packet.arp_sha == NEW
        assert sorted(map(str, (await announced(host, 4))[2:4])) == sorted(map(str, first))


async def test_a_whole_load_again_tells_only_what_changed_and_a_new_network_nothing():
    async with running() as host:
        host.plug()
        controller = await working(host)
        records = [with_mac(one) if one == OLD_V4 else one for one in network_records(BLUE)]
        controller.say(Dropped(RED), WHOLE[2], Full(BLUE, 4, 12, tuple(records)))
        found = await announced(host, 2)
        assert {one.packet for one in found} == {p.announcement(NEW, BLUE2.v4)}


async def test_a_lost_announcement_is_no_problem_and_not_made_without_its_flows():
    async with running() as host:
        host.plug()
        controller = await working(host)
        host.switch.faults.failing_steps.add("flows")
        controller.say(Delta(BLUE, 4, 11, puts=(with_mac(OLD_V4),)))
        async with asyncio.timeout(30):
            while not any(change.announcements for change in host.switch.applied):
                await asyncio.sleep(0.01)
        assert not host.switch.announced
        host.switch.faults.failing_steps.clear()
        assert {one.packet for one in await announced(host, 1)} == {p.announcement(NEW, BLUE2.v4)}
