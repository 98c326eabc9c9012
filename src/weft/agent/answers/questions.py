"""What guests ask the agent, and what a service makes of it. Pure values.

Made by ovs/guest_packets.py out of a packet-in and what the host knows; each service (dhcp4.py and its like) gets a
Question and gives an Answer.
"""

import msgspec

from weft.agent.bindings import Local
from weft.agent.flows.table import FlowTable
from weft.agent.switch import PacketIn, PacketOut
from weft.model.records import PortService, SubnetOptions, SubnetRecord
from weft.model.values import PackedIp

V4, V6 = 4, 16
"""Families, by the length of an address."""


class Question(msgspec.Struct, frozen=True):
    """A packet for a service."""

    packet: PacketIn
    local: Local | None
    """The interface of `packet.in_port`; None if it came by a tunnel, or the port is nobody's (any more)."""
    table: FlowTable
    """What the host was told of its networks; to be read only."""
    service: PortService | None = None
    """What was told of this interface alone."""
    mtu: int = 0
    """Largest packet that its network carries; 0 without an interface."""

    @property
    def subnets(self) -> tuple[SubnetRecord, ...]:
        """The prefixes of the interface's virtual subnet."""
        return self.table.subnets_in(self.local.binding.rdid, self.local.binding.vsid) if self.local else ()

    def subnet(self, family: int) -> SubnetRecord | None:
        return next((one for one in self.subnets if len(one.prefix) == family), None)

    def granted(self, family: int) -> PackedIp | None:
        """The interface's primary address of a family."""
        first = self.service.primary if self.service is not None else ()
        addresses = (*first, *(self.local.binding.addresses if self.local is not None else ()))
        return next((one for one in addresses if len(one) == family), None)

    def options(self, subnet: SubnetRecord) -> SubnetOptions:
        """What guests of a prefix are told."""
        rdid = self.local.binding.rdid if self.local is not None else None
        default = SubnetOptions(subnet.vsid, subnet.prefix)
        found = self.table.record(rdid, default.key) if rdid is not None else None
        return found if isinstance(found, SubnetOptions) else default

    def dns_servers(self, subnet: SubnetRecord) -> tuple[PackedIp, ...]:
        """The interface's own or else the network's, of the subnet's family."""
        own = self.service.dns_servers if self.service is not None else ()
        theirs = self.options(subnet).dns_servers
        family = len(subnet.prefix)
        return tuple(one for one in own if len(one) == family) or tuple(one for one in theirs if len(one) == family)


class Learnt(msgspec.Struct, frozen=True):
    """A guest uses an address that it was not given."""

    instance_id: str
    address: PackedIp
    announced: bool = False
    """It tells everybody on its subnet."""


class Conflict(msgspec.Struct, frozen=True):
    """A guest says that somebody else uses its address."""

    instance_id: str
    words: str


class Answer(msgspec.Struct, frozen=True):
    """What a service makes of a question; nothing is an answer too."""

    out: tuple[PacketOut, ...] = ()
    learnt: tuple[Learnt, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
