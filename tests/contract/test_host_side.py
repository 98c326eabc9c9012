"""What becomes of addresses of a host when its kernel takes some changes and cannot be asked for the others."""

import asyncio
import errno
import os
import socket

import pytest

from weft.agent import kernel
from weft.agent.announcements import frames_of
from weft.agent.edge.commands import inside
from weft.agent.ovs.host_side import HostSide
from weft.agent.switch import HostAddress
from weft.lab import namespaces
from weft.lab.commands import ip_batch, run
from weft.model.values import Mac, pack_ip

pytestmark = pytest.mark.root

ADDRESSES = [HostAddress(pack_ip(f"10.5.0.{number}"), 32, "pa0") for number in range(1, 70)]
MAC = "02:00:00:00:50:01"
TOO_MANY_BYTES = "x" * 60_000
"""Several of these are more than a socket sends at once (net.core.wmem_default)."""


@pytest.fixture
def space():
    name = f"h{os.getpid()}"
    try:
        run(["ip", "netns", "add", name])
        ip_batch(name, [f"link add pa0 address {MAC} type veth peer name wire", "link set wire up", "link set pa0 up"])
        yield name
    finally:
        namespaces.delete(name)


def unsendable_from_the_second_send(requests):
    """As kernel.ask, which the kernel refuses a part of: what does not fit into one send(2)."""
    for one in requests[64:]:
        one.message["attrs"].append(("IFA_LABEL", TOO_MANY_BYTES))
    return kernel.ask(requests)


async def test_what_was_changed_is_announced_whatever_the_next_send_does(space):
    found = []

    def put(closing):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as wire:
            wire.bind(("wire", 0x0806))
            wire.settimeout(5)
            # the threads that it begins are in this namespace too
            found.append(asyncio.run(HostSide(ask=unsendable_from_the_second_send).put(ADDRESSES, [])))
            found.append([wire.recv(128) for _ in range(128)])

    await asyncio.to_thread(inside, space, put)
    failures, heard = found
    assert [one.subject for one in failures] == [f"10.5.0.{number} on pa0" for number in range(65, 70)]
    assert {one.message for one in failures} == {f"[Errno {errno.EMSGSIZE}] Message too long"}
    mac = Mac(int(MAC.replace(":", ""), 16))
    assert set(heard) == {frame for one in ADDRESSES[:64] for frame in frames_of(one.address, mac)}
