"""A small datacenter as records: the example of the pipeline's tests, golden files and documentation.

Blue: 10.1.1.0/24 and fd00:1::/64 under VSID 6001 (blue1 on host1, blue2 on host2), 10.1.2.0/24 and fd00:2::/64 under
6002 (bluedb on host2). Red: the same addresses as Blue's first subnet under VSID 5001 (red1 on host1, red2 on host2).
What Blue's first subnet sends to 203.0.113.0/24 and 2001:db8:113::/48 goes to bluedb, to 198.51.100.0/24 nowhere, to
192.0.2.0/24 to a gateway that there is not.
"""

import ipaddress

import msgspec

from weft.agent.flows.ways import TUNNEL_KINDS
from weft.agent.reconcile import Reconciler
from weft.agent.switch import HostAddress, SwitchFacts, SwitchPort, Tunnel
from weft.core.filters import port_range, prefix_or_tag
from weft.model.records import (
    AccessList,
    AccessRule,
    CustomerRoute,
    LookupRecord,
    NeededNetwork,
    NetworkSettings,
    PortAccess,
    PortBinding,
    ProviderAddress,
    SubnetRecord,
    TunnelEndpoint,
    UserRoute,
)
from weft.model.values import InstanceId, Mac, PackedIp, Rdid, Vsid, pack_ip

HOSTS = {"host1": pack_ip("192.168.1.10"), "host2": pack_ip("192.168.2.20")}
BLUE, RED = Rdid(60), Rdid(50)
NAMES = {BLUE: "/virtualNetworks/blue", RED: "/virtualNetworks/red"}
SUBNETS = {
    BLUE: ((6001, "10.1.1.0/24"), (6001, "fd00:1::/64"), (6002, "10.1.2.0/24"), (6002, "fd00:2::/64")),
    RED: ((5001, "10.1.1.0/24"), (5001, "fd00:1::/64")),
}

SCOPE = ((pack_ip("10.1.0.0"), 16), (pack_ip("fd00::"), 16))
"""Address space of either."""


class Guest(msgspec.Struct, frozen=True):
    name: str
    host: str
    rdid: Rdid
    vsid: Vsid
    mac: Mac
    v4: str
    v6: str

    @property
    def instance(self) -> InstanceId:
        return InstanceId(f"{self.rdid:08x}-0000-0000-0000-{self.mac:012x}")

    @property
    def addresses(self) -> tuple[PackedIp, ...]:
        return (pack_ip(self.v4), pack_ip(self.v6))

    def binding(self, forward_to: bytes = b"", host: str = "") -> PortBinding:
        own = HOSTS[host or self.host]
        return PortBinding(
            self.instance,
            f"{self.name}-eth0",
            self.rdid,
            self.vsid,
            self.mac,
            self.addresses,
            own,
            PackedIp(forward_to),
        )

    def access(self, own: int = 0, subnet: int = 0) -> PortAccess:
        """Both its addresses under these lists."""
        return PortAccess(self.instance, tuple((one, own, subnet) for one in self.addresses))

    def lookups(self, host: str = "") -> list[LookupRecord]:
        return [LookupRecord(self.vsid, one, self.mac, HOSTS[host or self.host]) for one in self.addresses]


GUESTS = {
    guest.name: guest
    for guest in (
        Guest("blue1", "host1", BLUE, Vsid(6001), Mac(0x001DD8B71C01), "10.1.1.11", "fd00:1::11"),
        Guest("blue2", "host2", BLUE, Vsid(6001), Mac(0x001DD8B71C02), "10.1.1.12", "fd00:1::12"),
        Guest("bluedb", "host2", BLUE, Vsid(6002), Mac(0x001DD8B71C03), "10.1.2.21", "fd00:2::21"),
        Guest("red1", "host1", RED, Vsid(5001), Mac(0x001DD8B71C01), "10.1.1.11", "fd00:1::11"),
        Guest("red2", "host2", RED, Vsid(5001), Mac(0x001DD8B71C02), "10.1.1.12", "fd00:1::12"),
    )
}


def rule(words: str) -> AccessRule:
    """An access rule in words: priority, `in` or `out`, `allow` or `deny`, protocol, source, its ports, destination,
    its ports: "100 in allow TCP 10.1.1.0/24 * * 80-90"."""
    priority, way, verdict, protocol, *ends = words.split()
    source, source_ports, destination, destination_ports = ends
    return AccessRule(
        f"r{priority}",
        int(priority),
        way == "in",
        verdict == "allow",
        protocol,
        _scope(source),
        port_range(source_ports),
        _scope(destination),
        port_range(destination_ports),
    )


def _scope(text: str):
    found = prefix_or_tag(text)
    return found if isinstance(found, str) else (PackedIp(found.network_address.packed), found.prefixlen)


def access_list(number: int, *rules: str, inbound: bool = True, outbound: bool = True) -> AccessList:
    made = sorted((rule(one) for one in rules), key=lambda one: one.priority)
    return AccessList(number, f"/accessControlLists/l{number}", inbound, outbound, tuple(made))


def subnet_records(vsid: int, text: str) -> list[SubnetRecord | CustomerRoute]:
    prefix = ipaddress.ip_network(text)
    network = PackedIp(prefix.network_address.packed)
    gateway = PackedIp((prefix.network_address + 1).packed)
    on_link = PackedIp(bytes(len(network)))
    return [
        SubnetRecord(Vsid(vsid), network, prefix.prefixlen, gateway),
        CustomerRoute(Vsid(vsid), network, prefix.prefixlen, on_link, 255),
    ]


def user_routes() -> list[UserRoute]:
    appliance = [
        _route("203.0.113.0/24", "VirtualAppliance", 6002, GUESTS["bluedb"].v4),
        _route("2001:db8:113::/48", "VirtualAppliance", 6002, GUESTS["bluedb"].v6),
    ]
    return [*appliance, _route("198.51.100.0/24", "None"), _route("192.0.2.0/24", "Internet")]


def _route(text: str, kind: str, hop_vsid: int = 0, next_hop: str = "") -> UserRoute:
    prefix = ipaddress.ip_network(text)
    hop = pack_ip(next_hop) if next_hop else PackedIp(b"")
    return UserRoute(Vsid(6001), PackedIp(prefix.network_address.packed), prefix.prefixlen, kind, Vsid(hop_vsid), hop)


def network_records(rdid: Rdid, encapsulation: str = "nvgre") -> list:
    records: list = [NetworkSettings(rdid, encapsulation, NAMES[rdid], scope=SCOPE)]
    for vsid, text in SUBNETS[rdid]:
        records += subnet_records(vsid, text)
    records += [TunnelEndpoint(address) for address in HOSTS.values()]
    for guest in GUESTS.values():
        if guest.rdid == rdid:
            records += guest.lookups()
    return records + (user_routes() if rdid == BLUE else [])


def host_records(host: str) -> list:
    records: list = [ProviderAddress(HOSTS[host], 24, pack_ip("192.168.1.1"), "provider")]
    records += [NeededNetwork(rdid, NAMES[rdid]) for rdid in (BLUE, RED)]
    return records + [guest.binding() for guest in GUESTS.values() if guest.host == host]


def tunnel(host: str = "", encapsulation: str = "nvgre") -> Tunnel:
    return Tunnel(TUNNEL_KINDS[encapsulation])


def facts(host: str, encapsulation: str = "nvgre") -> SwitchFacts:
    """The tunnel is port 1, the guests' ports follow."""
    ports = [SwitchPort("tunnel", 1, tunnel=tunnel(host, encapsulation))]
    for guest in GUESTS.values():
        if guest.host == host:
            ports.append(SwitchPort(guest.name, len(ports) + 1, guest.instance, guest.mac, 1458))
    return SwitchFacts(tuple(ports), addresses=addresses(host))


def addresses(host: str, mtu: int = 1500) -> tuple[HostAddress, ...]:
    """What the host's operator gave its interface."""
    return (HostAddress(HOSTS[host], 24, "br-phy", mtu),)


def told(host: str, encapsulation: str = "nvgre") -> Reconciler:
    """A reconciler that knows the whole policy of a host, and nothing of its switch."""
    reconciler = Reconciler()
    for record in host_records(host):
        reconciler.put(0, record.key, record)
    for rdid in (BLUE, RED):
        for record in network_records(rdid, encapsulation):
            reconciler.put(rdid, record.key, record)
    return reconciler


def flows(host: str, encapsulation: str = "nvgre") -> dict:
    """The whole pipeline of a host."""
    reconciler = told(host, encapsulation)
    reconciler.switch_is(facts(host, encapsulation))
    reconciler.switch_has(())
    reconciler.plan(True)
    return reconciler.table.flows
