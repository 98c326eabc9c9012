"""Whether anything was changed in an edge's namespace: the kernel says so by netlink. Called by edge/namespace.py.

An edge that nobody touched is not compared again, so a thousand of them cost nothing while all is well. It is no edge
trigger: what was heard is not used, only that there was something; who has heard too much to keep counts as touched.
"""

import contextlib
import os
import socket
from pathlib import Path

from weft.agent.edge.commands import inside

NETNS = Path("/run/netns")
_LINK, _TC, _ADDRESS4, _ROUTE4, _ADDRESS6, _ROUTE6 = 0x1, 0x8, 0x10, 0x40, 0x100, 0x400
_RULE4, _RULE6 = 0x80, 0x40000
"""Groups of NETLINK_ROUTE as a mask (rtnetlink(7))."""
_NETLINK_NETFILTER, _NFTABLES_GROUP = 12, 7
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_LARGE = 1 << 16


class Watch:
    """Of one namespace, from now on."""

    def __init__(self, name: str) -> None:
        """Raises OSError where there is none of that name."""
        self._path = NETNS / name
        self._ears: list[socket.socket] = []

        def listen(_: contextlib.ExitStack) -> None:
            route = self._ear(socket.NETLINK_ROUTE)
            route.bind((0, _LINK | _TC | _ADDRESS4 | _ROUTE4 | _ADDRESS6 | _ROUTE6 | _RULE4 | _RULE6))
            rules = self._ear(_NETLINK_NETFILTER)
            rules.bind((0, 0))
            rules.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NFTABLES_GROUP)

        try:
            self._space = os.stat(self._path).st_ino
            inside(name, listen)
        except OSError:
            self.close()
            raise

    def _ear(self, protocol: int) -> socket.socket:
        found = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        self._ears.append(found)
        return found

    def is_quiet(self) -> bool:
        """Has nothing changed since this was last asked, and is it the same namespace?"""
        # every ear is emptied
        return not any([self._hears(ear) for ear in self._ears]) and self.is_here()

    def is_here(self) -> bool:
        """Is the namespace of that name still the one that it was?"""
        try:
            return os.stat(self._path).st_ino == self._space
        except OSError:
            return False

    def _hears(self, ear: socket.socket) -> bool:
        heard = False
        while True:
            try:
                ear.recv(_LARGE)
            except BlockingIOError:
                return heard
            except OSError:  # ENOBUFS: more than it holds
                pass
            heard = True

    def close(self) -> None:
        for ear in self._ears:
            ear.close()
