"""What is outside of all virtual networks: a namespace on the physical network, as `kind: lab/external` asks for it.

Untagged it hangs on the segment of one provider subnet: that of the host it is `beside`; in a VLAN, on an access port
of that host's own switch, since the router's bridges pass tags and make none. It forwards, as the router that it may
stand for does. Idempotent.
"""

from weft.lab import names, namespaces, router
from weft.lab.commands import ip_batch, run, within
from weft.lab.state import ExternalState, LabFolder, LabState

SETTINGS: dict[str, str | int] = {
    "net.ipv4.ip_forward": 1,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv6.conf.all.accept_dad": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.accept_ra": 0,
}
DEVICE = "eth0"


def ensure_external(folder: LabFolder, state: LabState, external: ExternalState) -> bool:
    """The namespace with its cable, address and routes. True if it was made now."""
    space = names.namespace(state.name, external.name)
    made = namespaces.make(state.name, space, SETTINGS)
    if external.vlan:
        _into_vlan(folder, state, external, space)
    else:
        _onto_segment(state, external, space)
    # what comes out of a userspace switch has no checksums for a card to fill in
    run(within(space, ["ethtool", "-K", DEVICE, "tx", "off"]), check=False)
    inside = [f"link set dev {DEVICE} up", f"addr replace {external.address} dev {DEVICE}"]
    inside += [f"route replace {prefix} via {hop} dev {DEVICE}" for prefix, hop in external.routes]
    ip_batch(space, inside)
    return made


def _onto_segment(state: LabState, external: ExternalState, space: str) -> None:
    switch, port = names.router_namespace(state.name), names.external_port(external.number)
    bridge = f"net{router.subnet_number(state, state.hosts[external.beside.lower()])}"
    _cable(switch, port, space, f"link set dev {port} master {bridge} up")


def _into_vlan(folder: LabFolder, state: LabState, external: ExternalState, space: str) -> None:
    host, port = state.hosts[external.beside.lower()], names.external_port(external.number)
    _cable(names.namespace(state.name, host.name), port, space, f"link set dev {port} arp off up")
    words = ["--", "--may-exist", "add-port", names.PROVIDER_BRIDGE, port, "--", "set", "port", port]
    database = f"--db=unix:{folder.rundir(host)}/db.sock"
    run(["ovs-vsctl", database, "--timeout=60", *words, f"tag={external.vlan}"])


def _cable(switch: str, port: str, space: str, plug: str) -> None:
    lines = [plug]
    if port not in namespaces.links(switch):
        lines.insert(0, f"link add name {port} type veth peer name {DEVICE} netns {space}")
    ip_batch(switch, lines)
