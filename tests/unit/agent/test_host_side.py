"""What the host's kernel says of its own addresses and routes, and what becomes of it where it does not."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from weft.agent.ovs.host_side import HostSide
from weft.agent.ovs.netlink import rtnetlink
from weft.agent.switch import SwitchUnavailable


def test_what_the_kernel_refuses_is_an_oserror_with_its_number():
    with pytest.raises(OSError) as raised, rtnetlink() as route:
        list(route.get_links(2**31 - 1))
    assert raised.value.errno == errno.ENODEV


async def test_addresses_that_cannot_be_read_are_no_end_of_the_agent_and_are_read_again():
    side = HostSide()
    with no_more_files(), pytest.raises(SwitchUnavailable, match="the host's own addresses and routes cannot be read"):
        await side.found()
    assert await side.found()


@contextmanager
def no_more_files() -> Iterator[None]:
    """As a host that has run out of file descriptors: the kernel cannot be asked."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
