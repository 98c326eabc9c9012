"""What the host's kernel says of its own addresses and routes, and what becomes of it where it does not."""

import errno

import pytest

from weft.agent.ovs.host_side import Found, HostSide
from weft.agent.ovs.kernel_tables import kernel_tables
from weft.agent.switch import ANY, HostAddress, HostRoute, StepFailure, SwitchUnavailable
from weft.model.values import pack_ip


def test_what_the_kernel_refuses_is_an_oserror_with_its_number():
    with pytest.raises(OSError) as raised, kernel_tables() as tables:
        list(tables.get_links(2**31 - 1))
    assert raised.value.errno == errno.ENODEV


async def test_addresses_that_cannot_be_read_are_no_end_of_the_agent_and_are_read_again():
    kernel = Kernel()
    side = HostSide(kernel.read)
    with pytest.raises(SwitchUnavailable, match="the host's own addresses and routes cannot be read: .*No such device"):
        await side.found()
    kernel.answers = True
    assert await side.found() == ((), ())


class Kernel:
    """Refuses what it is asked as the real one does, until it answers."""

    answers = False

    def read(self) -> Found:
        with kernel_tables() as tables:
            list(tables.get_links(1 if self.answers else 2**31 - 1))
        return (), ()


ADDRESSES = [HostAddress(pack_ip(f"fd00::{last}"), 64, "lo") for last in (1, 2)]
ROUTES = [HostRoute(pack_ip(f"fd0{one}::"), 32, "lo", pack_ip("fd00::9"), ANY, ours=True) for one in (1, 2)]


async def test_addresses_and_routes_are_put_in_one_send_and_what_is_refused_is_named():
    """Each by itself would make a userspace switch read its routes anew each time, which costs packets."""
    changes = Changes(refused={"fd00::1 on lo": errno.EEXIST, "fd02::/32 via fd00::9 dev lo": errno.ENETUNREACH})
    nowhere = HostAddress(pack_ip("fd00::3"), 64, "nowhere")
    failures = await HostSide(ask=changes.ask).put([*ADDRESSES, nowhere], ROUTES)
    (sent,) = changes.sends
    assert sent == ["fd00::1 on lo", "fd00::2 on lo", *(f"fd0{one}::/32 via fd00::9 dev lo" for one in (1, 2))]
    assert failures == [
        StepFailure("address", "fd00::3 on nowhere", "[Errno 19] there is no interface nowhere"),
        StepFailure("route", "fd02::/32 via fd00::9 dev lo", "[Errno 101] Network is unreachable"),
    ]


async def test_routes_that_are_gone_are_gone():
    way = "fd0{}::/32 via fd00::9 dev lo".format
    changes = Changes(refused={way(1): errno.ESRCH, way(2): errno.EPERM})
    nowhere = HostRoute(pack_ip("fd03::"), 32, "nowhere", pack_ip("fd00::9"), ANY, ours=True)
    failures = await HostSide(ask=changes.ask).take([*ROUTES, nowhere], [])
    assert [(one.subject, one.message) for one in failures] == [(way(2), "[Errno 1] Operation not permitted")]


async def test_a_route_of_ours_without_a_next_hop_is_taken_away_as_any_other():
    """Another hand may have made one that bears our mark."""
    changes = Changes(refused={"fd03::/32 dev lo": errno.EPERM})
    strange = HostRoute(pack_ip("fd03::"), 32, "lo", ours=True)
    failures = await HostSide(ask=changes.ask).take([strange], [])
    assert changes.sends == [["fd03::/32 dev lo"]]
    assert failures == [StepFailure("route", "fd03::/32 dev lo", "[Errno 1] Operation not permitted")]


async def test_a_kernel_that_cannot_be_asked_fails_all():
    changes = Changes(unheard=True)
    failures = await HostSide(ask=changes.ask).put(ADDRESSES, ROUTES)
    assert [one.message for one in failures] == ["[Errno 24] Too many open files"] * 4


class Changes:
    """Takes what it is asked for, but for what it refuses."""

    def __init__(self, *, refused=(), unheard=False):
        self.sends = []
        self._refused = dict(refused)
        self._unheard = unheard

    def ask(self, requests):
        if self._unheard:
            raise OSError(errno.EMFILE, "Too many open files")
        self.sends.append([one.words for one in requests])
        return [self._refused.get(one.words, 0) for one in requests]
