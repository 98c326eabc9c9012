"""The bytes of what agent/kernel.py asks and hears: changes of addresses and routes as rtnetlink(7) has them, many in
one send(2), and the kernel's answers. Pure.

What is asked for is made by edge/answering_changes.py, ovs/addresses.py and ovs/routes.py. pyroute2 writes the
messages, 50 us for each; its sockets, of which every namespace would need one, take milliseconds.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, nlmsgerr


class Request(NamedTuple):
    kind: int
    flags: int
    message: Any
    """ifaddrmsg or rtmsg."""
    words: str
    """For who reads that it failed."""


def message(kind: Any, head: Mapping[str, int], attributes: list[tuple[str, Any]]) -> Any:
    made = kind()
    made.update(head)
    made["attrs"] = attributes
    return made


def packed(asked: Iterable[Request]) -> bytes:
    """Of one send(2): numbered from 0, each to be acknowledged."""
    return b"".join(_bytes(one, number) for number, one in enumerate(asked))


def _bytes(one: Request, number: int) -> bytes:
    flags = NLM_F_REQUEST | NLM_F_ACK | one.flags
    one.message["header"].update(type=one.kind, flags=flags, sequence_number=number)
    one.message.encode()
    return bytes(one.message.data)


def answers(heard: bytes) -> Iterator[tuple[int, int]]:
    """(Number, errno; 0 for done) of each answer in what was received."""
    at = 0
    while at < len(heard):
        said = nlmsgerr(heard[at:])
        said.decode()
        head = said["header"]
        if head["type"] == NLMSG_ERROR:
            yield head["sequence_number"], -said["error"]
        at += (head["length"] + 3) & ~3
