"""The lines that ip and tc are given for a guest: pure, so that a move can be read and tested without a kernel.

A guest's cable ends in the plug namespace. What arrives there from the guest is redirected to the leg of the host it
runs on; what arrives on any leg is redirected to the guest. A move adds a redirect to the new leg at a lower priority
number, which the kernel looks at first, and then deletes the old: no packet finds neither.
`u32 match u32 0 0` matches everything; matchall and flower are not in every kernel.
"""

import ipaddress
import json
from collections.abc import Iterable, Sequence

import msgspec

from weft.agent.hypervisors import Start
from weft.lab import names
from weft.lab.guests import Guest, GuestPort
from weft.model.records import PortBinding, SubnetRecord
from weft.model.values import PackedIp, ip_text, mac_colons

FIRST_PRIORITY = 50_000
"""Of the redirect before the first move; each move takes one less."""


class Redirect(msgspec.Struct, frozen=True):
    priority: int
    device: str
    """Empty or `*` if the device is gone."""


def guest_lines(guest: Guest, there: Iterable[str], mtu: int) -> list[str]:
    """`ip` lines, in the plug namespace, that give the guest its cables."""
    lines = []
    for number, port in enumerate(guest.ports):
        plug = names.guest_plug(guest.number, number)
        if plug not in there:
            eth = f"peer name eth{number} address {mac_colons(port.mac)} mtu {mtu} netns {guest.namespace}"
            lines.append(f"link add name {plug} type veth {eth}")
        lines.append(f"link set dev {plug} up")
    return lines


def changed_lines(guest: Guest, wanted: Sequence[GuestPort], there: Iterable[str]) -> list[str]:
    """`ip` lines that delete the cables of interfaces that are no longer the guest's n-th, to be made anew."""
    plugs = [names.guest_plug(guest.number, number) for number in range(len(guest.ports))]
    return [
        f"link del dev {plug}"
        for number, (port, plug) in enumerate(zip(guest.ports, plugs, strict=True))
        if (number >= len(wanted) or wanted[number] != port) and plug in there
    ]


def stack_lines(start: Start) -> list[str]:
    """`ip` lines inside the guest: its addresses and a default route per family."""
    lines: list[str] = []
    gateways: dict[int, str] = {}
    for number, binding in enumerate(start.ports):
        lines.append(f"link set dev eth{number} mtu {start.mtu} up")
        for address in binding.addresses:
            subnet = subnet_of(binding, address, start.subnets)
            length = subnet.prefix_length if subnet else 8 * len(address)
            quick = " nodad" if len(address) == 16 else ""
            lines.append(f"addr replace {ip_text(address)}/{length} dev eth{number}{quick}")
            if subnet and subnet.gateway and len(address) not in gateways:
                gateways[len(address)] = f"route replace default via {ip_text(subnet.gateway)} dev eth{number}"
    return lines + list(gateways.values())


def subnet_of(binding: PortBinding, address: PackedIp, subnets: Sequence[SubnetRecord]) -> SubnetRecord | None:
    """The subnet of the port's VSID that holds the address (a VSID may have one per family)."""
    wanted = ipaddress.ip_address(address)
    for subnet in subnets:
        if subnet.vsid == binding.vsid and len(subnet.prefix) == len(address):
            if wanted in ipaddress.ip_network(
                (ipaddress.ip_address(subnet.prefix), subnet.prefix_length), strict=False
            ):
                return subnet
    return None


def missing_slots(slots: Iterable[int], host: int, there: Iterable[str]) -> list[int]:
    """Those of a host's legs that the plug namespace does not have yet."""
    return [slot for slot in slots if names.leg_plug(host, slot) not in there]


def leg_lines(slots: Sequence[int], host: int, host_space: str) -> list[str]:
    """`ip` lines, in the plug namespace, that make legs to a host. They take 1500 bytes, as the provider network
    does: a guest that sends more than a tunnel carries is told by the agent."""
    lines = []
    for slot in slots:
        leg, port = names.leg_plug(host, slot), names.leg_port(slot)
        lines.append(f"link add name {leg} type veth peer name {port} netns {host_space}")
        lines.append(f"link set dev {leg} up")
    return lines


def port_lines(slots: Sequence[int]) -> list[str]:
    """`ip` lines, in the host's namespace: its kernel must answer nothing that it sees there."""
    return [f"link set dev {names.leg_port(slot)} arp off up" for slot in slots]


def spare_words(slots: Sequence[int], lab: str) -> list[str]:
    """For ovs-vsctl: ports of br-int that belong to nobody, with our mark."""
    words: list[str] = []
    for slot in slots:
        port = names.leg_port(slot)
        words += ["--", "--may-exist", "add-port", names.INTEGRATION_BRIDGE, port]
        words += ["--", "clear", "interface", port, "external_ids"]
        words += ["--", "set", "interface", port, f"external_ids:weft-lab={lab}", "external_ids:iface-status=inactive"]
    return words


def identity_words(guest: Guest, slots: Sequence[int]) -> list[str]:
    """For ovs-vsctl: the ports that are a guest's, with what the agent knows them by."""
    words: list[str] = []
    for slot, port in zip(slots, guest.ports, strict=True):
        words += ["--", "set", "interface", names.leg_port(slot), f"external_ids:iface-id={port.instance_id}"]
        words += [f'external_ids:attached-mac="{mac_colons(port.mac)}"', "external_ids:iface-status=active"]
        words += [f"external_ids:vm-id={guest.machine}"]
    return words


def arrival_lines(leg: str, plug: str) -> list[str]:
    """`tc` lines: whatever comes from a host goes to the guest. Made anew, since the guest's cable may be new."""
    return [
        f"qdisc replace dev {leg} clsact",
        f"filter del dev {leg} ingress",
        f"filter add dev {leg} ingress prio 1 protocol all u32 match u32 0 0 action mirred egress redirect dev {plug}",
    ]


def departure_lines(plug: str, leg: str, present: Sequence[Redirect]) -> list[str]:
    """`tc` lines: what the guest sends goes to `leg`, from now on, without a packet in between. Empty if it does."""
    if len(present) == 1 and present[0].device == leg:
        return []
    priority = min((redirect.priority for redirect in present), default=FIRST_PRIORITY) - 1
    add = f"filter add dev {plug} ingress prio {priority} protocol all u32 match u32 0 0"
    return [
        f"{add} action mirred egress redirect dev {leg}",
        *(f"filter del dev {plug} ingress prio {redirect.priority}" for redirect in present),
    ]


def redirects(shown: str) -> list[Redirect]:
    """What `tc -j filter show dev DEVICE ingress` says."""
    found = []
    for entry in json.loads(shown or "[]"):
        for action in entry.get("options", {}).get("actions", ()):
            if action.get("kind") == "mirred":
                found.append(Redirect(entry["pref"], action.get("to_dev", "")))
    return found
