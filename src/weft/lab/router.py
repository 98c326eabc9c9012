"""The physical network: one namespace that bridges the hosts of each provider subnet and routes between the subnets.

It owns the gateway addresses that the hosts name. Idempotent.
"""

import ipaddress

from weft.lab import names, namespaces
from weft.lab.commands import ip_batch, sysctl
from weft.lab.state import HostState, LabState

SETTINGS: dict[str, str | int] = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    # links speak IPv6 only where a provider subnet is IPv6: nothing else belongs on the wire
    "net.ipv6.conf.default.disable_ipv6": 1,
    "net.ipv6.conf.default.accept_dad": 0,
}


def provider_subnet(host: HostState) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_interface(host.provider_address).network


def subnet_number(state: LabState, host: HostState) -> int:
    """Number of the host's provider subnet: that of its first host."""
    subnet = provider_subnet(host)
    return min(other.number for other in state.hosts.values() if provider_subnet(other) == subnet)


def ensure_plug_space(lab: str) -> None:
    """The namespace where guests' cables end. Nothing in it speaks: it only redirects."""
    namespaces.make(
        lab,
        names.plug_namespace(lab),
        {"net.ipv6.conf.all.disable_ipv6": 1, "net.ipv6.conf.default.disable_ipv6": 1},
    )


def ensure_router(state: LabState) -> None:
    """The router with a bridge per provider subnet and every gateway address."""
    space = names.router_namespace(state.name)
    namespaces.make(state.name, space, SETTINGS)
    there = namespaces.links(space)
    for host in state.hosts.values():
        number = subnet_number(state, host)
        bridge = f"net{number}"
        lines = []
        if bridge not in there:
            there.add(bridge)
            lines.append(f"link add name {bridge} address {names.router_mac(number)} type bridge mcast_snooping 0")
        ip_batch(space, [*lines, f"link set dev {bridge} up"])
        if provider_subnet(host).version == 6:
            sysctl(space, {f"net.ipv6.conf.{bridge}.disable_ipv6": 0})
        if host.gateway:
            length = provider_subnet(host).prefixlen
            ip_batch(space, [f"addr replace {host.gateway}/{length} dev {bridge}"])


def plug_in(state: LabState, host: HostState, host_space: str) -> None:
    """The cable from the host's adapter to the router."""
    space, port = names.router_namespace(state.name), names.router_port(host.number)
    lines = [f"link set dev {port} master net{subnet_number(state, host)} up"]
    if port not in namespaces.links(space):
        lines.insert(0, f"link add name {port} type veth peer name {names.NIC} netns {host_space}")
    ip_batch(space, lines)
