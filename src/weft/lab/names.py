"""What everything in a lab is called. Pure; used by every other file of the lab.

Namespaces are LAB-NAME, so a lab's name has no dash and no two labs can meet. Those that no resource names carry an
`@`, which no resource id may contain. Links live inside namespaces only: their names are short numbers (Linux allows
15 characters) and need not differ between labs.
"""

import re

from weft.model.errors import Invalid

_LAB = re.compile(r"[A-Za-z0-9_]{1,16}")

DEFAULT_LAB = "weft"
NIC = "phy0"
"""A host's physical adapter, port of br-phy."""
PROVIDER_BRIDGE = "br-phy"
INTEGRATION_BRIDGE = "br-int"


def check_lab_name(name: str) -> str:
    """Accept 1 to 16 letters, digits and underscores. Raises Invalid."""
    if not _LAB.fullmatch(name):
        raise Invalid(f"'{name}' is no name for a lab: use 1 to 16 letters, digits and underscores.", target="--name")
    return name


def command(lab: str) -> str:
    """What a person types before a verb to mean this lab."""
    return "weft lab" if lab == DEFAULT_LAB else f"weft lab --name {lab}"


def namespace(lab: str, name: str) -> str:
    """Of a host or a guest."""
    return f"{lab}-{name}"


def router_namespace(lab: str) -> str:
    return f"{lab}-@router"


def plug_namespace(lab: str) -> str:
    """Where the guests' cables end and are redirected to the host that each guest runs on."""
    return f"{lab}-@plugs"


def mark(lab: str) -> str:
    """Alias of `lo` in every namespace that the lab made: so it is known as ours without any file."""
    return f"weft lab {lab}"


def guest_plug(guest: int, port: int) -> str:
    """The plug namespace's end of a guest's eth{port}."""
    return f"g{guest}.{port}"


def leg_plug(host: int, slot: int) -> str:
    """The plug namespace's end of one of a host's legs."""
    return f"l{host}.{slot}"


def leg_port(slot: int) -> str:
    """The host's end of a leg: a port of br-int."""
    return f"v{slot}"


def router_port(host: int) -> str:
    """The router's end of a host's physical cable."""
    return f"h{host}"


def external_port(number: int) -> str:
    """The router's end of the cable of what is outside."""
    return f"e{number}"


def edge_prefix(lab: str, host: str) -> str:
    """Begins the names of the namespaces that a host's agent makes where it is a gateway."""
    return f"{lab}-{host}@edge"


EDGE_MARK = "weft edge "
"""Begins the alias of `lo` in these namespaces: agents write it."""


def nic_mac(host: int) -> str:
    """Of br-phy. Fixed, so that it survives a restart of the switch and peers' neighbour caches stay true."""
    return f"02:57:46:01:{host >> 8:02x}:{host & 255:02x}"


def router_mac(subnet: int) -> str:
    """Of the router on one provider subnet."""
    return f"02:57:46:02:{subnet >> 8:02x}:{subnet & 255:02x}"
