"""What an agent asks of the provider network itself, past the switch. Values and their shape; no I/O here.

Made by run.py of what does it (address_probe.py, adapters.py, edge/echo.py) and by fakes.outside; asked by
reach_keeper.py and provider_keeper.py.
"""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from weft.agent.encryption import TunnelEncryption
from weft.model.values import PackedIp

UNKNOWN_MAC = "an unknown MAC address"
"""Of who has an address that the kernel's own detection found taken: it does not keep whose it is."""

GRE_OFFLOAD, VXLAN_OFFLOAD, CHECKSUM_OFFLOAD = "tx-gre-segmentation", "tx-udp_tnl-segmentation", "rx-checksum"
OFFLOADS = (GRE_OFFLOAD, VXLAN_OFFLOAD, CHECKSUM_OFFLOAD)
"""What an adapter may do about encapsulated packets, as ethtool(8) calls it."""


class Adapter(msgspec.Struct, frozen=True):
    """The interface of this host that has a provider address, or is to have it."""

    name: str
    mac: bytes
    mtu: int
    failed: bool = False
    """The kernel's own duplicate address detection found another holder (RFC 4862 section 5.4.5; IPv6 only)."""
    uplinks: tuple[str, ...] = ()
    """The adapters by which its packets leave, itself if there is nothing below it."""
    offloads: frozenset[str] | None = None
    """Those of OFFLOADS that all uplinks do; None: they do not say."""


Stop = Callable[[], None]


class Outside(msgspec.Struct, frozen=True):
    """Mostly functions, so that a test can bring its own of each."""

    ping: Callable[[PackedIp, PackedIp], Awaitable[bool]]
    """From a provider address of this host to another's: is it there?"""
    other_holder: Callable[[PackedIp, Adapter], Awaitable[str]]
    """The MAC address of who else answers for a provider address of this host; empty if nobody does."""
    adapters: Callable[[Mapping[PackedIp, str]], Awaitable[Mapping[PackedIp, Adapter]]]
    """The interfaces, named by address, that have these addresses or will; those that are not there are not in it.
    Raises OSError."""
    listen: Callable[[PackedIp, Adapter, Callable[[str], None]], Stop]
    """Call with the MAC address of whoever else says that the address is his, until stopped. Raises OSError."""
    encryption: TunnelEncryption | None = None
    """What encrypts this host's tunnels, or says why nothing does; None: nothing, and it is not said why."""
    carrier: str = ""
    """The interface of the provider network, where no address of the host says it; empty: it is not known."""
