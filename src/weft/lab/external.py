"""What is outside of all virtual networks: a namespace on the physical network, as `kind: lab/external` asks for it.

It hangs, untagged, on the segment of one provider subnet: that of the host it is `beside`. Gateways reach it by a
logical subnet without a VLAN. Idempotent.
"""

from weft.lab import names, namespaces, router
from weft.lab.commands import ip_batch, run, within
from weft.lab.state import ExternalState, LabState

SETTINGS: dict[str, str | int] = {
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.accept_ra": 0,
}
DEVICE = "eth0"


def ensure_external(state: LabState, external: ExternalState) -> bool:
    """The namespace with its cable, address and routes. True if it was made now."""
    space = names.namespace(state.name, external.name)
    made = namespaces.make(state.name, space, SETTINGS)
    switch, port = names.router_namespace(state.name), names.external_port(external.number)
    host = state.hosts[external.beside.lower()]
    lines = [f"link set dev {port} master net{router.subnet_number(state, host)} up"]
    if port not in namespaces.links(switch):
        lines.insert(0, f"link add name {port} type veth peer name {DEVICE} netns {space}")
    ip_batch(switch, lines)
    # what comes out of a userspace switch has no checksums for a card to fill in
    run(within(space, ["ethtool", "-K", DEVICE, "tx", "off"]), check=False)
    inside = [f"link set dev {DEVICE} up", f"addr replace {external.address} dev {DEVICE}"]
    inside += [f"route replace {prefix} via {hop} dev {DEVICE}" for prefix, hop in external.routes]
    ip_batch(space, inside)
    return made
