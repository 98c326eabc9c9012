"""What runs in a fake machine: a small IP stack that resolves, pings and answers.

Called by fakes.datacenter and fakes.hypervisor. Pure: a guest takes a packet and returns those that it sends in answer.
"""

import ipaddress
from collections.abc import Iterable

import msgspec

from weft.fakes import packet as p
from weft.fakes.packet import Packet
from weft.model.records import PortBinding, SubnetRecord
from weft.model.values import InstanceId, Mac, PackedIp, ip_text


class Adapter(msgspec.Struct, frozen=True):
    """One network adapter of a guest: its addresses with prefix length, and a gateway per family where there is one."""

    instance_id: InstanceId
    mac: Mac
    addresses: tuple[tuple[PackedIp, int], ...]
    gateways: tuple[PackedIp, ...] = ()

    @property
    def name(self) -> str:
        """Of its port on a switch."""
        return f"vm-{self.instance_id}"

    def source_for(self, target: PackedIp) -> PackedIp | None:
        return next((address for address, _ in self.addresses if len(address) == len(target)), None)

    def next_hop(self, target: PackedIp) -> PackedIp | None:
        """Whom to ask the MAC of: the target itself on link, otherwise the gateway; None without either."""
        if len(target) == 16 and ipaddress.ip_address(target).is_link_local:
            return target
        for address, length in self.addresses:
            network = ipaddress.ip_network((address, length), strict=False)
            if len(address) == len(target) and ipaddress.ip_address(target) in network:
                return target
        return next((gateway for gateway in self.gateways if len(gateway) == len(target)), None)

    def resolve(self, wanted: PackedIp) -> Packet:
        """The ARP request or solicitation for an address."""
        own = self.source_for(wanted)
        assert own is not None
        ask = p.arp_request if len(wanted) == 4 else p.solicitation
        return ask(self.mac, ip_text(own), ip_text(wanted))

    def answers(self, packet: Packet) -> list[Packet]:
        """What the stack sends when this packet arrives. Requests for others, and replies, are not answered."""
        own = {int.from_bytes(address) for address, _ in self.addresses}
        if packet.eth_type == p.ARP and packet.arp_op == 1 and packet.arp_tpa in own:
            return [self._arp_reply(packet)]
        if packet.eth_dst != self.mac or packet.ip_dst not in own or packet.eth_type not in (p.IPV4, p.IPV6):
            return []
        asked = (packet.ip_proto, packet.icmp_type)
        if asked in ((p.ICMP, p.ECHO_REQUEST), (p.ICMPV6, p.ECHO6_REQUEST)):
            return [p.echo_reply(packet, self.mac)]
        return []

    def _arp_reply(self, packet: Packet) -> Packet:
        asker = str(ipaddress.IPv4Address(packet.arp_spa))
        return p.arp_reply(self.mac, str(ipaddress.IPv4Address(packet.arp_tpa)), (packet.arp_sha, asker))


def resolved(packet: Packet, wanted: PackedIp) -> int | None:
    """The MAC that an ARP reply or an advertisement names for an address; None if it is about something else."""
    number = int.from_bytes(wanted)
    if packet.eth_type == p.ARP:
        return packet.arp_sha if packet.arp_op == 2 and packet.arp_spa == number else None
    if packet.icmp_type == p.ADVERTISEMENT and packet.ip_proto == p.ICMPV6 and packet.nd_target == number:
        return p.read(packet, "nd_tll") or None
    return None


def is_echo_reply(packet: Packet) -> bool:
    return (packet.ip_proto, packet.icmp_type) in ((p.ICMP, p.ECHO_REPLY), (p.ICMPV6, p.ECHO6_REPLY))


def adapter_of(port: PortBinding, subnets: Iterable[SubnetRecord]) -> Adapter:
    """The adapter that a binding describes; without its subnet an address is alone on its link."""
    own = [subnet for subnet in subnets if subnet.vsid == port.vsid]
    addresses, gateways = [], []
    for address in port.addresses:
        subnet = next((one for one in own if len(one.prefix) == len(address) and _lies_in(address, one)), None)
        addresses.append((address, subnet.prefix_length if subnet is not None else len(address) * 8))
        if subnet is not None and subnet.gateway:
            gateways.append(subnet.gateway)
    return Adapter(port.instance_id, port.mac, tuple(addresses), tuple(gateways))


def _lies_in(address: PackedIp, subnet: SubnetRecord) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network((subnet.prefix, subnet.prefix_length))
