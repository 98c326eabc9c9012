"""What an edge's namespace has after the kernel was asked by netlink is what it has after `ip` was."""

import itertools
import json
import os
import socket

import pytest

from tests.contract.test_edge import OUTSIDE
from weft.agent.announcements import frames_of
from weft.agent.edge.answering import answer
from weft.agent.edge.answering_changes import Change
from weft.agent.edge.commands import inside
from weft.agent.edge.wanted import EdgeFailure, Route, route_line
from weft.lab import namespaces
from weft.lab.commands import ip_batch, run
from weft.model.values import Mac, pack_ip

pytestmark = pytest.mark.root

ETH_P_ALL = 0x0003

FOUR, SIX, INNER = ("o0", "203.0.113.10/32"), ("o0", "fd03::10/128"), ("inner", "10.1.254.2/29")
MANY = [("o0", f"203.0.{number >> 8}.{number & 255}/32") for number in range(200)]
ROUTES = [
    Route("10.1.0.0/16", "10.1.254.1", "inner", 0),
    Route("203.0.113.0/24", "", "o0", 0),
    Route("10.9.0.0/16", "203.0.113.7", "o0", 5),
    Route("0.0.0.0/0", OUTSIDE, "o0", 1 << 31),
    Route("fd03::/64", "", "o0", 0),
    Route("fd09::/48", "fd03::1", "o0", 7),
    Route("::/0", "fd03::1", "o0", 1 << 31),
    Route("fd0a::/48", "", "o0", 0),
    Route("203.0.113.0/24", "", "o0", 0, 1001),
    Route("0.0.0.0/0", OUTSIDE, "o0", 1 << 31, 1001),
    Route("fd09::/48", "fd03::1", "o0", 7, 100),
    Route("0.0.0.0/0", "", "", 2**32 - 1, 1001),
    Route("::/0", "", "", 2**32 - 1, 1001),
]
BY_HAND = [
    "addr replace 203.0.113.10/32 dev o0 noprefixroute",
    "addr replace fd03::10/128 dev o0 noprefixroute nodad",
    "addr replace 10.1.254.2/29 dev inner",
    *map(route_line, ROUTES),
]


@pytest.fixture
def spaces():
    """Two like those of an edge, with links and nothing else."""
    made = [f"a{os.getpid()}-{number}" for number in range(2)]
    try:
        for space in made:
            run(["ip", "netns", "add", space])
            run(["ip", "netns", "exec", space, "sysctl", "-qw", "net.ipv6.conf.default.addr_gen_mode=1"])
            for link in ("inner", "o0"):
                ip_batch(space, [f"link add {link} type veth peer name {link}x", f"link set {link}x up"])
                ip_batch(space, [f"link set {link} up"])
        yield made
    finally:
        for space in made:
            namespaces.delete(space)


def has(space):
    """Addresses with their flags, and every route."""
    links = json.loads(run(["ip", "-n", space, "-j", "addr", "show"]))
    addresses = [
        sorted(json.dumps({k: v for k, v in each.items() if k != "ifindex"}) for each in link["addr_info"])
        for link in sorted(links, key=lambda link: link["ifname"])
    ]
    routes = [run(["ip", "-n", space, family, "route", "show", "table", "all"]).splitlines() for family in ("-4", "-6")]
    return addresses, [sorted(line for line in found if not line.startswith("multicast")) for found in routes]


async def test_the_kernel_has_the_same_by_both(spaces):
    by_hand, ours = spaces
    ip_batch(by_hand, BY_HAND)
    announced = [(link, pack_ip(text.partition("/")[0])) for link, text in (FOUR, SIX)]
    for _ in range(2):  # and again, since all of it is level
        await answer(ours, Change([], [FOUR, SIX, INNER], ROUTES), announced)
        assert has(ours) == has(by_hand)

    ip_batch(by_hand, ["addr del 203.0.113.10/32 dev o0", *map(route_line, ROUTES)])
    await answer(ours, Change([FOUR], [], ROUTES), [])
    assert has(ours) == has(by_hand)

    await answer(ours, Change([], MANY, []), [])
    await answer(ours, Change(MANY, [], ROUTES), [])
    assert has(ours) == has(by_hand)


async def test_neighbours_are_told_of_what_is_there_whatever_else_is_refused(spaces):
    """A gateway that took over and has no way to one of its peers must be found by all the others."""
    space, found = spaces[0], []
    run(["ip", "netns", "exec", space, "sysctl", "-qw", "net.ipv6.conf.o0.disable_ipv6=1"])

    def listen(closing):
        found.append(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        found[0].bind(("o0x", ETH_P_ALL))

    inside(space, listen)
    with found[0] as wire:
        announced = [(link, pack_ip(text.partition("/")[0])) for link, text in (SIX, FOUR)]
        with pytest.raises(EdgeFailure, match="fd03::10/128 on o0: Permission denied"):
            await answer(space, Change([], [FOUR, SIX], [Route("10.9.0.0/16", "10.7.0.1", "inner", 0)]), announced)
        wire.settimeout(5)
        came = (frame for frame, where in iter(lambda: wire.recvfrom(128), None) if where[2] != socket.PACKET_OUTGOING)
        heard = list(itertools.islice(came, 2))
    mac = Mac(int.from_bytes(heard[0][6:12]))
    assert heard == frames_of(pack_ip("203.0.113.10"), mac)


async def test_what_the_kernel_refuses_is_named(spaces):
    with pytest.raises(EdgeFailure, match=rf"{spaces[0]}: .*203.0.113.10/32 on o0: Cannot assign"):
        await answer(spaces[0], Change([FOUR], [], []), [])
    with pytest.raises(EdgeFailure, match="route to 10.9.0.0/16 by inner: Network is unreachable"):
        await answer(spaces[0], Change([], [], [Route("10.9.0.0/16", "10.7.0.1", "inner", 0), ROUTES[2]]), [])
    with pytest.raises(EdgeFailure, match="there is no interface o7"):
        await answer(spaces[0], Change([], [("o7", "203.0.113.10/32")], []), [])
    with pytest.raises(EdgeFailure, match="nowhere-at-all: No such file"):
        await answer("nowhere-at-all", Change([], [FOUR], []), [])
