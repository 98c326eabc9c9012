"""What the host's kernel says of its own addresses and routes, and what becomes of it where it does not."""

import errno

import pytest

from weft.agent.ovs.host_side import Found, HostSide
from weft.agent.ovs.netlink import rtnetlink
from weft.agent.switch import SwitchUnavailable


def test_what_the_kernel_refuses_is_an_oserror_with_its_number():
    with pytest.raises(OSError) as raised, rtnetlink() as route:
        list(route.get_links(2**31 - 1))
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
        with rtnetlink() as route:
            list(route.get_links(1 if self.answers else 2**31 - 1))
        return (), ()
