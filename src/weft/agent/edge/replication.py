"""How the gateways of a network keep each other's translated connections: conntrackd(8), one per edge. Pure.

Called by edge/conntrackd.py. The daemon speaks by multicast on a link of its own, `peers`: VXLAN between the provider
addresses of the gateways, made in the host's namespace and moved into the edge's, so that the kernel carries it
whatever becomes of the agent. The link's segment is the VSID of the gateway subnet, and its address the gateway's place
in the order. The link is in clear and nobody proves on it who he is, so a network that is to be encrypted has none.
"""

from pathlib import Path

import msgspec

from weft.agent.edge.wanted import PEERS, PEERS_PORT, Wanted
from weft.model.records import EdgeNetwork
from weft.model.values import PackedIp, ip_text

PORT = 8473
"""UDP, of VXLAN between gateways. Not the tunnels' own: Open vSwitch has that."""
GROUP = "225.0.0.50"
"""Of conntrackd, on that link only."""
_NETWORK = "169.254.87"
_MTU = 1280
"""Every provider network carries that in a tunnel."""
_ONE_PEER, _MORE = "FTFW", "NOTRACK"
"""Modes of conntrackd.conf(5). Between two, what is lost is sent again; among more, there is nobody whose answer
counts."""


def peers(edge: EdgeNetwork) -> tuple[PackedIp, ...]:
    """Provider addresses of the gateways that must know this one's connections, in order: none where there are no
    other gateways, or nothing is translated by state."""
    if not any(leg.nat for leg in edge.legs) or edge.provider_address not in edge.gateways:
        return ()
    same = (one for one in edge.gateways if len(one) == len(edge.provider_address))
    return tuple(one for one in same if one != edge.provider_address)


IN_CLEAR = (
    "the network is encrypted, and gateways tell each other of connections in clear: connections behind nat that only "
    "the other side keeps up end with a fail-over"
)
"""What an edge lacks whose peers may not be told."""


def told(wanted: Wanted) -> EdgeNetwork:
    """An edge as its daemon has it: without other gateways where these may not be told in clear."""
    if not wanted.encrypted:
        return wanted.network
    return msgspec.structs.replace(wanted.network, gateways=(wanted.network.provider_address,))


def lacks(wanted: Wanted) -> str:
    """What of that is not as it would be in clear, in words; empty for nothing."""
    return IN_CLEAR if wanted.encrypted and peers(wanted.network) else ""


def host_name(edge: EdgeNetwork) -> str:
    """Of the link for the moment in which it is made."""
    return f"we{edge.rdid}p"


def _address(edge: EdgeNetwork) -> str:
    return f"{_NETWORK}.{edge.gateways.index(edge.provider_address) + 1}"


def lines_of_host(edge: EdgeNetwork, namespace: str) -> list[str]:
    """For `ip -batch` in the host: the link, and off with it."""
    made = f"type vxlan id {edge.vsid} local {ip_text(edge.provider_address)} dstport {PORT} nolearning"
    name = host_name(edge)
    return [f"link add name {name} {made}", f"link set dev {name} netns {namespace} name {PEERS}"]


def lines_of_namespace(edge: EdgeNetwork) -> list[str]:
    """For `ip -batch` in the namespace."""
    return [f"addr replace {_address(edge)}/24 dev {PEERS}", f"link set dev {PEERS} mtu {_MTU} up"]


def forwarding(edge: EdgeNetwork) -> list[str]:
    """For `bridge -batch` in the namespace, once: multicast goes to every peer."""
    return [f"fdb append 00:00:00:00:00:00 dev {PEERS} dst {ip_text(one)}" for one in peers(edge)]


def config(edge: EdgeNetwork, control: Path, lock: Path) -> str:
    """conntrackd.conf(5). Its caches are written into the kernel when this gateway takes the network over, not before:
    there the states of connections that go through another gateway would age."""
    mode = _ONE_PEER if len(peers(edge)) == 1 else _MORE
    own = [f"IPv4_address {_NETWORK}.{place + 1}" for place in range(len(edge.gateways))]
    return _CONFIG.format(
        mode=mode,
        group=GROUP,
        port=PEERS_PORT,
        address=_address(edge),
        link=PEERS,
        lock=lock,
        control=control,
        own="\n".join(f"            {one}" for one in own),
    )


_CONFIG = """# of weft
Sync {{
    Mode {mode} {{
        DisableExternalCache off
    }}
    Multicast {{
        IPv4_address {group}
        Group {port}
        IPv4_interface {address}
        Interface {link}
        Checksum on
    }}
}}
General {{
    HashSize 8192
    HashLimit 262144
    Syslog on
    LockFile {lock}
    UNIX {{
        Path {control}
    }}
    NetlinkBufferSize 2097152
    NetlinkBufferSizeMaxGrowth 8388608
    Filter From Kernelspace {{
        Protocol Accept {{
            TCP
            UDP
        }}
        Address Ignore {{
            IPv4_address 127.0.0.1
{own}
        }}
        State Accept {{
            ESTABLISHED CLOSED TIME_WAIT CLOSE_WAIT for TCP
        }}
    }}
}}
"""
