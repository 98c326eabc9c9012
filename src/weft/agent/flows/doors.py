"""Which port a local interface is reached by, and which of two has a MAC address. Pure.

Called by placing.py, by_mac.py, decap.py and onward.py.
"""

from weft.agent.bindings import Local, Role
from weft.agent.flows.ways import Door


def is_elsewhere(local: Local) -> bool:
    """On the physical network what is not here is found by its switches, and nobody passes it on."""
    return local.segment is not None and local.role in (Role.GONE, Role.IDLE)


def stands_back(local: Local) -> tuple[bool, bool]:
    """Of interfaces here with one MAC address, the least of these has it: one that runs, then one with a port."""
    return local.role is Role.IDLE, local.port is None


def bridges(local: Local) -> bool:
    """May others be behind its port, who listen to a group's Ethernet address?"""
    return local.limits is not None and local.limits.spoofing


def door_of(local: Local) -> Door | None:
    return None if local.number is None else Door(local.number, local.filtered)
