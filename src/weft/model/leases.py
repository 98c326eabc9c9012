"""Who holds an address and why (the ledger's rows).

An address that has no lease is free, unless it is excluded or stands in the table of forbidden addresses.
"""

import msgspec

MAC_SCOPE = "mac"
VSID_SCOPE = "vsid"
RDID_SCOPE = "rdid"
LIST_SCOPE = "acl"
"""Numbers of accessControlLists."""

UNSEEN = frozenset((RDID_SCOPE, LIST_SCOPE))
"""Scopes of numbers that only flows bear; no answer has them."""

ASSIGNED = "assigned"
RETAINED = "retained"
COOLING = "cooling"
RESERVED = "reserved"
FOREIGN = "foreign"
FREE = "free"

LEARNT = "learnt"


def ip_scope(network_ref: str, version: int) -> str:
    """Uniqueness scope of IP addresses: one routing domain or logical network, per family. Lower case."""
    return f"ip{version}{network_ref.lower()}"


class Holder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One reason why an address is not free."""

    kind: str
    """networkInterface, server, virtualSubnet, virtualNetwork, accessControlList, checkpoint, export, reservation,
    publicIPAddress, virtualGateway; or port: seen on a switch, not given by us."""
    ref: str
    """resourceRef of the holder."""
    domain: str = ""
    """L2 domain in which the holder can meet others: the virtual or logical subnet's ref, lower case; empty if none."""
    granted: bool = False
    """Picked by Weft, so unique in the whole installation; otherwise asked for by the client."""
    inactive: float = 0.0
    """Ledger second since which what holds it is known to be gone outside Weft; 0 while it is there."""


EARLIEST = 1e-6
"""What Holder.inactive says of the ledger's second 0, as 0 means that the holder is there."""


class Lease(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An address that is not free. Key: (scope, address)."""

    scope: str
    address: int
    state: str
    holders: tuple[Holder, ...] = ()
    until: float = 0.0
    """Ledger seconds at which a cooling ends; 0 otherwise."""
    reason: str = ""
    """Why it is reserved or cooling; while cooling, `last` holders stay in `holders`. Begins with LEARNT where a guest
    brought the address, also while it is assigned."""


HOLDING = {"networkInterface": ASSIGNED, "virtualSubnet": ASSIGNED, "virtualNetwork": ASSIGNED, "server": ASSIGNED}
HOLDING |= {"accessControlList": ASSIGNED}
"""What a present holder of each kind makes of an address; the others follow."""
HOLDING |= {"checkpoint": RETAINED, "export": RETAINED, "reservation": RESERVED, "port": FOREIGN}
HOLDING |= {"publicIPAddress": ASSIGNED, "virtualGateway": ASSIGNED}

_STRENGTH = (ASSIGNED, RETAINED, RESERVED, FOREIGN)


def state_of(scope: str, holders: tuple[Holder, ...]) -> str:
    """The state that present holders give an address: the strongest of theirs; COOLING for none.

    A server holds provider addresses (assigned), and the MAC addresses of its own adapters (foreign).
    """
    states = {FOREIGN if scope == MAC_SCOPE and one.kind == "server" else HOLDING[one.kind] for one in holders}
    return next((state for state in _STRENGTH if state in states), COOLING)


def is_learnt(lease: Lease) -> bool:
    """Whether a guest brought it, and so whoever announces it next may have it, instead of one who was given it."""
    return lease.state in (ASSIGNED, COOLING) and lease.reason.startswith(LEARNT)
