"""What the texts of an aclRule mean (MS-NCNBI 3.1.5.1.2), in one place. Pure.

Called by core.decide.access_control_lists, which stores only what these functions read, and by policy and trace.
"""

import ipaddress
import re

from weft.model.tenancy import AccessControlListProperties, AclRuleProperties
from weft.model.values import IpPrefix

EVERYTHING = "*"
VIRTUAL_NETWORK = "VIRTUALNETWORK"
"""All prefixes of the virtual network's address space."""
INTERNET = "INTERNET"
"""All addresses outside of the virtual network."""
LOAD_BALANCER = "AZURELOADBALANCER"
"""Where a load balancer probes from: nowhere, since Weft has none. A rule with it never matches."""
TAGS = (VIRTUAL_NETWORK, INTERNET, LOAD_BALANCER)

PROTOCOLS = {"tcp": "TCP", "udp": "UDP", "icmpv4": "ICMPv4", "icmpv6": "ICMPv6", "all": "All"}
"""As they are stored, by their lower case."""

WITH_PORTS = ("TCP", "UDP", "All")
"""Of All, a range of ports picks the TCP and UDP packets that have such a port; nothing else has one."""

ALL_PORTS = (0, 65_535)

LOWEST_PRIORITY, HIGHEST_PRIORITY = 100, 65_000
"""Of rules that clients write. The text begins at 101; public samples write 100, so that is taken too."""

_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)


def port_range(text: str) -> tuple[int, int]:
    """First and last port of `80`, `80-90` or `*`. Raises ValueError."""
    if text == EVERYTHING:
        return ALL_PORTS
    found = _PORTS.fullmatch(text)
    if found is None:
        raise ValueError(text)
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last or last > ALL_PORTS[1]:
        raise ValueError(text)
    return first, last


def prefix_or_tag(text: str) -> IpPrefix | str:
    """A prefix (an address alone is one), one of TAGS, or EVERYTHING. Raises ValueError, also for host bits."""
    if text == EVERYTHING or text.upper() in TAGS:
        return text.upper()
    return ipaddress.ip_network(text)


def family_of(text: str) -> int:
    """4 or 6 of a stored prefix; 0 for what has both."""
    found = prefix_or_tag(text)
    return 0 if isinstance(found, str) else found.version


def has_tag(rule: AclRuleProperties) -> bool:
    """Whether a rule names the addresses of a virtual network, which a logical one has not."""
    return rule.source_address_prefix in TAGS or rule.destination_address_prefix in TAGS


def first_tagged(p: AccessControlListProperties) -> str:
    """The id of a rule with a tag; empty if there is none."""
    return next((rule.resource_id for rule in p.acl_rules if has_tag(rule.properties)), "")
