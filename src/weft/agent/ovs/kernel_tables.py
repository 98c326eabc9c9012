"""The kernel's tables of links and addresses, to be read; its refusals are OSErrors.

Called by ovs/addresses.py and ovs/routes.py. Linux only.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError


@contextmanager
def kernel_tables() -> Iterator[IPRoute]:
    """For as long as the block lasts. What pyroute2 raises of the kernel's refusals is no OSError: it is one here."""
    try:
        with IPRoute() as tables:
            yield tables
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from error
