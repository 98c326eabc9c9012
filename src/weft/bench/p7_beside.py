"""What stands beside P7's tunnel: two namespaces joined by a veth, a bridge of Open vSwitch, or the kernel's VXLAN.

Used by p7.py. Each maker answers (client, server), names of namespaces that carry the lab's mark, so that the lab's
end is theirs too. The server's address is SERVER.
"""

from collections.abc import Callable

from weft.lab import hosts, names, namespaces
from weft.lab.commands import ip_batch, within
from weft.lab.commands import run as run_tool
from weft.lab.state import LabFolder

CLIENT, SERVER = "10.8.0.1", "10.8.0.2"
BRIDGE = "br-p7"
_UNDER = ("10.7.0.1", "10.7.0.2")


def _spaces(lab: LabFolder) -> tuple[str, str]:
    made = tuple(names.namespace(lab.name, end) for end in ("@p7a", "@p7b"))
    for space in made:
        namespaces.make(lab.name, space, {"net.ipv6.conf.default.disable_ipv6": 1})
    return made[0], made[1]


def take_away(lab: LabFolder) -> None:
    """The namespaces, which take their cables along."""
    for space in _spaces(lab):
        namespaces.delete(space)
    rundir = lab.rundir(lab.host("host1"))
    run_tool(["ovs-vsctl", f"--db=unix:{rundir}/db.sock", "--if-exists", "del-br", BRIDGE])


def plain_veth(lab: LabFolder) -> tuple[str, str]:
    one, other = _spaces(lab)
    ip_batch(one, [f"link add eth0 type veth peer name eth0 netns {other}", f"addr add {CLIENT}/24 dev eth0"])
    ip_batch(one, ["link set eth0 up"])
    ip_batch(other, [f"addr add {SERVER}/24 dev eth0", "link set eth0 up"])
    return one, other


def plain_bridge(lab: LabFolder) -> tuple[str, str]:
    """On the switch of host1. Offloads are off, as on the lab's guests: this datapath fills in no checksums."""
    spaces = _spaces(lab)
    host = lab.host("host1")
    space, vsctl = hosts.host_namespace(lab, host), ["ovs-vsctl", f"--db=unix:{lab.rundir(host)}/db.sock"]
    run_tool([*vsctl, "add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev"])
    for number, (one, address) in enumerate(zip(spaces, (CLIENT, SERVER), strict=True)):
        ip_batch(space, [f"link add p7{number} type veth peer name eth0 netns {one}", f"link set p7{number} up"])
        ip_batch(one, [f"addr add {address}/24 dev eth0", "link set eth0 up"])
        run_tool(within(one, ["ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off"]))
        run_tool([*vsctl, "add-port", BRIDGE, f"p7{number}"])
    return spaces


def kernel_vxlan(lab: LabFolder) -> tuple[str, str]:
    one, other = _spaces(lab)
    ip_batch(one, [f"link add under type veth peer name under netns {other}"])
    for space, here, there, address in ((one, *_UNDER, CLIENT), (other, *reversed(_UNDER), SERVER)):
        ip_batch(
            space,
            [
                f"addr add {here}/24 dev under",
                "link set under up",
                f"link add name vx type vxlan id 7 dstport 4789 local {here} remote {there}",
                "link add name br0 type bridge",
                "link set vx master br0",
                f"addr add {address}/24 dev br0",
                "link set vx up",
                "link set br0 up",
            ],
        )
    return one, other


KINDS: dict[str, Callable[[LabFolder], tuple[str, str]]] = {
    "plain veth": plain_veth,
    "plain Open vSwitch bridge": plain_bridge,
    "kernel VXLAN and bridge": kernel_vxlan,
}
