"""Asks the kernel of the network namespace that it is called in for changes of addresses and routes. Linux only.

Called by edge/answering.py, ovs/host_side.py, ovs/addresses.py and ovs/routes.py.
"""

import errno
import socket
from collections.abc import Sequence

from weft.agent.kernel_messages import Request, answers, packed

_AT_ONCE = 64
"""So many answers of the kernel fit into what a socket keeps for us."""


def index_of(device: str) -> int:
    """The kernel's number of an interface. Raises OSError: there is none."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        raise OSError(errno.ENODEV, f"there is no interface {device}") from None


def ask(requests: Sequence[Request]) -> list[int]:
    """Of each the errno with which it was refused, 0 if it is done; those that it could not be asked for bear the errno
    of that, since what was done before them is done. Those of one send follow each other within microseconds: who
    listens to the kernel's news hears of them at once. Raises OSError: it could not be asked for any."""
    said: dict[int, int] = {}
    unasked = 0
    if not requests:
        return []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        try:
            for at in range(0, len(requests), _AT_ONCE):
                some = requests[at : at + _AT_ONCE]
                kernel.send(packed(some))
                while len(said) < at + len(some):
                    said.update((at + number, error) for number, error in answers(kernel.recv(1 << 16)))
        except OSError as error:
            unasked = error.errno or errno.EIO
    return [said.get(number, unasked) for number in range(len(requests))]
