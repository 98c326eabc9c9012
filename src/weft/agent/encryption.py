"""What encrypts tunnels between this host's provider addresses and others': a driver's Protocol. Values; no I/O here.

Asked by encryption_keeper.py; without a driver ovs/no_encryption.py stands in. Weft sets up no IPsec itself: that is
the host's own (strongSwan, ovs-monitor-ipsec, an adapter), and a driver stands in front of it; docs/networks.md has an
example.
"""

from typing import Protocol

import msgspec

from weft.model.values import PackedIp


class Pair(msgspec.Struct, frozen=True):
    """Two provider addresses, this host's own first."""

    local: PackedIp
    remote: PackedIp


class EncryptionFailure(Exception):
    """What does it does not answer, or refuses; the message says so in its words. It is asked again."""


class TunnelEncryption(Protocol):
    """By level, and not called concurrently. Both raise EncryptionFailure."""

    async def why_not(self) -> str:
        """Why tunnels of this host cannot be encrypted at all; empty: they can."""
        ...

    async def keep(self, pairs: frozenset[Pair]) -> frozenset[Pair]:
        """Encrypt GRE (IP protocol 47) and VXLAN (UDP port 4789) between these pairs and let none of it pass in clear,
        in neither direction; leave all others alone. Returns those of which that is so now. It needs the other host
        to do the same."""
        ...
