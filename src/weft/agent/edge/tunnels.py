"""GRE connections of edges on a host: bridges, ports, flows, outer addresses and routes. Pure.

Called by edge/tunnel_ports.py. Per VLAN with near ends a bridge `wev{vlan}`, whose own interface has those that this
host carries: Open vSwitch tunnels by addresses of its host, and flows keep that apart from the wire. On it hang per
connection a GRE port `we{rdid}g{n}` and the host's end of a veth, `we{rdid}t{n}`; its inside, `t{n}`, is the edge's
link into the tunnel. All that follows from the ports is worked out from the database anew each time, so nobody has to
remember them.
"""

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from weft.agent.edge.wanted import ROUTE_PROTOCOL, Link, links
from weft.model.records import EdgeNetwork, EdgeTunnel
from weft.model.values import ROUTER_MAC, Rdid, ip_text, mac_colons

_OVERHEAD = 20 + 4
"""Bytes of the outer IPv4 header and of GRE's (RFC 2784)."""
_KEY = 4
"""More, with a key (RFC 2890)."""
COLUMNS = ("name", "options", "external_ids", "error")
SETTINGS = {
    "ipv4.conf.{}.promote_secondaries": 1,
    "ipv4.conf.{}.forwarding": 0,
    "ipv4.conf.{}.arp_ignore": 1,
    "ipv6.conf.{}.disable_ipv6": 1,
}
"""sysctl (net) of the bridges' own interfaces: they have addresses, and nothing else of the host's."""


class TunnelPort(msgspec.Struct, frozen=True):
    """A GRE port of ours, as the database has it."""

    name: str
    rdid: Rdid
    leg: str
    """The veth's end in the host."""
    mac: str
    """Of its end in the edge."""
    vlan: int
    local: str
    remote: str
    local_length: int
    gateway: str
    """Of the near end's subnet; empty where it names none."""
    carries: bool
    error: str = ""
    """Why the switch could not open it, in its words."""


class Outside(NamedTuple):
    """What a bridge should have, by its ports."""

    flows: list[str]
    """For `ovs-ofctl replace-flows`."""
    addresses: dict[str, str]
    """Of its own interface, those that are carried: address with prefix length, and where that stands alone."""
    routes: dict[str, str]
    """Destination to next hop."""
    hops: set[tuple[str, str]]
    """(Near end, whom it sends to): asked for again and again, since the switch drops what waits for an answer."""


def bridge_of(vlan: int) -> str:
    return f"wev{vlan}"


def patch_of(bridge: str) -> tuple[str, str]:
    """The patch's ends on the bridge and on the outer one."""
    return f"{bridge}p", f"{bridge}q"


def port_of(link: Link) -> str:
    """The GRE port of a link."""
    return link.host.replace("t", "g")


def is_port(name: str, rdid: int) -> bool:
    return name.startswith(f"we{rdid}g") and name.removeprefix(f"we{rdid}g").isdigit()


def inside_mtu(tunnel: EdgeTunnel, physical: int) -> int:
    """Largest IP packet that the tunnel carries over a physical network of that MTU."""
    return physical - _OVERHEAD - (_KEY if tunnel.key_value >= 0 else 0)


def tunnel_links(edge: EdgeNetwork) -> list[tuple[Link, EdgeTunnel]]:
    return [(link, link.tunnel) for link in links(edge) if link.tunnel is not None]


# ovs-vsctl


def bridge_words(vlan: int, outer: str, datapath: str, mark: str) -> list[str]:
    """A bridge, connected with the outer one in its VLAN. Nothing passes it but by flows."""
    bridge = bridge_of(vlan)
    here, there = patch_of(bridge)
    mac = bytes([2, *hashlib.blake2s(f"{mark} {vlan}".encode(), digest_size=5).digest()]).hex(":")
    words = ["--", "--may-exist", "add-br", bridge, "--", "set", "bridge", bridge, f'datapath_type="{datapath}"']
    words += ["fail_mode=secure", f'other_config:hwaddr="{mac}"', "external_ids:weft=edge"]
    for on, name, peer in ((bridge, here, there), (outer, there, here)):
        words += ["--", "--may-exist", "add-port", on, name, "--", "set", "interface", name, "type=patch"]
        words += [f"options:peer={peer}", "external_ids:weft=edge"]
    return [*words, "--", "set", "port", there, f"tag={vlan}"]


def port_words(edge: EdgeNetwork, link: Link, tunnel: EdgeTunnel, carries: bool) -> list[str]:
    """A connection's two ports."""
    bridge, port = bridge_of(tunnel.vlan), port_of(link)
    options = {"packet_type": "legacy_l3", "remote_ip": ip_text(tunnel.remote), "local_ip": ip_text(tunnel.local)}
    if tunnel.key_value >= 0:
        options["key"] = str(tunnel.key_value)
    told = {"weft": "edge", "weft-rdid": str(edge.rdid), "weft-leg": link.host, "weft-mac": mac_colons(edge.mac)}
    told |= {"weft-vlan": str(tunnel.vlan), "weft-length": str(tunnel.local_length)}
    told |= {
        "weft-gateway": ip_text(tunnel.gateway) if tunnel.gateway else "",
        "weft-carries": "yes" if carries else "",
    }
    words = ["--", "--may-exist", "add-port", bridge, link.host]
    words += ["--", "set", "interface", link.host, "external_ids:weft=edge"]
    words += ["--", "--may-exist", "add-port", bridge, port, "--", "set", "interface", port, "type=gre"]
    return [*words, f"options={_map(options)}", f"external_ids={_map(told)}"]


def carrying_words(ports: Iterable[TunnelPort], asked: Mapping[Rdid, bool]) -> list[str]:
    """Only who carries has changed."""
    words = []
    for one in ports:
        carries = asked.get(one.rdid, one.carries)
        if carries != one.carries:
            words += ["--", "set", "interface", one.name, f'external_ids:weft-carries="{"yes" if carries else ""}"']
    return words


def _map(members: dict[str, str]) -> str:
    return "{" + ",".join(f'{key}="{value}"' for key, value in members.items()) + "}"


def read_ports(text: str) -> list[TunnelPort]:
    """Of `ovs-vsctl --format=json find interface` with COLUMNS: those that are ours, whole."""
    found = []
    for name, options, told, error in json.loads(text or '{"data": []}')["data"]:
        ours, ends = _members(told), _members(options)
        try:
            found.append(
                TunnelPort(
                    name=name,
                    rdid=Rdid(int(ours["weft-rdid"])),
                    leg=ours["weft-leg"],
                    mac=ours["weft-mac"],
                    vlan=int(ours["weft-vlan"]),
                    local=ends["local_ip"],
                    remote=ends["remote_ip"],
                    local_length=int(ours["weft-length"]),
                    gateway=ours["weft-gateway"],
                    carries=ours["weft-carries"] == "yes",
                    error=error if isinstance(error, str) else "",
                )
            )
        except (KeyError, ValueError):
            continue  # another hand changed it; whoever wants it sets it right
    return sorted(found, key=lambda one: one.name)


def _members(column: Any) -> dict[str, str]:
    return dict(column[1])


# what follows


def outside(bridge: str, ports: Iterable[TunnelPort]) -> Outside:
    """Through the bridge's own interface goes ARP, and GRE between the ends of a connection: the host has other
    services, which are nobody's there."""
    patch, _ = patch_of(bridge)
    flows = [f"in_port=LOCAL,arp actions=output:{patch}", f"in_port={patch},arp actions=LOCAL"]
    addresses: dict[str, str] = {}
    routes: dict[str, str] = {}
    hops = set()
    for one in ports:
        flows += _flows(patch, one)
        if one.carries:
            near = f"{one.local}/{one.local_length}"
            addresses[near] = one.local
            if ipaddress.ip_address(one.remote) in ipaddress.ip_network(near, strict=False):
                hops.add((one.local, one.remote))
            elif one.gateway:
                routes[one.remote] = one.gateway
                hops.add((one.local, one.gateway))
    return Outside(flows, addresses, routes, hops)


def _flows(patch: str, one: TunnelPort) -> list[str]:
    gre, macs = "ip,nw_proto=47", f"mod_dl_src:{mac_colons(ROUTER_MAC)},mod_dl_dst:{one.mac}"
    return [
        f"in_port=LOCAL,{gre},nw_src={one.local},nw_dst={one.remote} actions=output:{patch}",
        f"in_port={patch},{gre},nw_src={one.remote},nw_dst={one.local} actions=LOCAL",
        f"in_port={one.name} actions={macs},output:{one.leg}",
        # the kernel of the edge looks for neighbours of its own
        f"priority=50000,in_port={one.leg},ipv6,ipv6_dst=ff00::/8 actions=drop",
        *(f"in_port={one.leg},{family} actions=output:{one.name}" for family in ("ip", "ipv6")),
    ]


def address_lines(bridge: str, there: set[str], wanted: Outside) -> list[str]:
    """For `ip -batch`. The network of an address is reached through its bridge, and through no other device."""
    gone = [f"addr del {one} dev {bridge}" for one in sorted(there - wanted.addresses.keys())]
    return [*gone, *(f"addr add {one} dev {bridge}" for one in wanted.addresses if one not in there)]


def rival(bridge: str, there: dict[str, set[str]], wanted: Outside) -> str:
    """Why the host cannot have these addresses, or send to these far ends; empty if it can. `there` are the IPv4
    addresses of its interfaces: to a network in which it is itself it would have two ways."""
    own = [(device, ipaddress.ip_interface(one).network) for device, found in there.items() for one in found]
    for near in wanted.addresses:
        network = ipaddress.ip_network(near, strict=False)
        for device, other in own:
            if device != bridge and other.overlaps(network):
                return (
                    f"this host is in {network} by {device} itself, so it cannot have {wanted.addresses[near]} there: "
                    "near ends of GRE connections need a subnet of their own"
                )
    for far in wanted.routes:
        for device, other in own:
            if device != bridge and ipaddress.ip_address(far) in other:
                return f"this host is in {other} by {device} itself, so {far} there cannot be a far end of GRE"
    return ""


def route_lines(bridge: str, there: set[str], wanted: Outside) -> list[str]:
    """For `ip -batch`, after the addresses."""
    how = f"dev {bridge} proto {ROUTE_PROTOCOL}"
    gone = [f"route del {one} {how}" for one in sorted(there - wanted.routes.keys())]
    return [*gone, *(f"route replace {one} via {hop} onlink {how}" for one, hop in wanted.routes.items())]
