"""Which MAC addresses no interface may have (group, zero, reserved ones), and which pools deserve a warning.

Called by core.decide and core.ledger. One row per rule, so that a refusal can name it.
"""

import bisect

from weft.model.values import GROUP_BIT

_FORBIDDEN: tuple[tuple[int, int, str], ...] = (
    (0x000000000000, 0x000000000000, "all zeros means that no address is assigned yet"),
    (0x00000C07AC00, 0x00000C07ACFF, "it is reserved for HSRP version 1 routers"),
    (0x00000C9FF000, 0x00000C9FFFFF, "it is reserved for HSRP version 2 routers"),
    (0x00005E000000, 0x00005EFFFFFF, "00-00-5E belongs to IANA (VRRP and others)"),
    (0x000573A00000, 0x000573A00FFF, "it is reserved for HSRP version 2 routers (IPv6)"),
    (0x0007B4000000, 0x0007B400FFFF, "it is reserved for GLBP routers"),
    (0x020100000000, 0x0220FFFFFFFF, "02-01 to 02-20 are used by Network Load Balancing clusters"),
    (0x025745465400, 0x02574546543F, "it belongs to the distributed router and the hosts' own ports"),
    (0x02BF00000000, 0x02BFFFFFFFFF, "02-BF is used by Network Load Balancing clusters"),
)
"""First, last, why; in order, disjoint. The group bit comes on top."""

_STARTS = [first for first, _, _ in _FORBIDDEN]

_VENDORS: dict[int, str] = {
    0x0003FF: "Microsoft",
    0x000D3A: "Microsoft",
    0x00125A: "Microsoft",
    0x00155D: "Microsoft (Hyper-V hosts draw their dynamic addresses from it)",
    0x0017FA: "Microsoft",
    0x0050F2: "Microsoft",
    0x001DD8: "Microsoft",
    0x000569: "VMware",
    0x000C29: "VMware",
    0x001C14: "VMware",
    0x005056: "VMware",
    0x00163E: "Xen",
    0x525400: "QEMU and KVM",
    0x080027: "VirtualBox",
    0x001C42: "Parallels",
    0x589CFC: "bhyve",
}
_ALLOWED = ((0x001DD8B71C00, 0x001DD8F41FFF), (0x005056000000, 0x0050563FFFFF))
"""Parts of vendors' ranges that VMM keeps for pools: they deserve no warning."""

_DOCKER = (0x024200000000, 0x0242FFFFFFFF)
_QUADRANTS = {0x6: "x6 (reserved)", 0xA: "xA (extended local, needs a bought CID)", 0xE: "xE (standard assigned)"}


def why_forbidden(mac: int) -> str:
    """Say why no interface may have this address; empty if one may."""
    if mac & GROUP_BIT:
        return "it is a group address (the lowest bit of the first octet is 1)"
    at = bisect.bisect_right(_STARTS, mac) - 1
    _, last, why = _FORBIDDEN[at]
    return why if mac <= last else ""


def vendor_of(mac: int) -> str:
    """Who bought the block that an address lies in, if it is one that hypervisors or containers use; else empty."""
    return _VENDORS.get(mac >> 24, "Docker" if _DOCKER[0] <= mac <= _DOCKER[1] else "")


def first_group_address(first: int, last: int) -> int | None:
    """The lowest group address of a range; None if it has none."""
    if first & GROUP_BIT:
        return first
    candidate = (first | (GROUP_BIT - 1)) + 1
    return candidate if candidate <= last else None


def first_forbidden(first: int, last: int) -> tuple[int, str] | None:
    """The lowest reserved address of a range without group addresses, and why it is reserved."""
    for low, high, why in _FORBIDDEN:
        if low <= last and first <= high:
            return max(low, first), why
    return None


def range_warnings(first: int, last: int) -> list[str]:
    """What may go wrong with a pool of this range although it is accepted (hnv: SLAP quadrants, vendors' OUIs)."""
    texts = []
    quadrant = _QUADRANTS.get(first >> 40 & 0xF)
    if quadrant is not None:
        texts.append(f"The range lies in the SLAP quadrant {quadrant}; addresses of one's own belong in x2.")
    for oui in sorted(_VENDORS):
        low, high = max(first, oui << 24), min(last, oui << 24 | 0xFFFFFF)
        if low <= high and not any(a <= low and high <= b for a, b in _ALLOWED):
            texts.append(f"The range contains addresses of {_VENDORS[oui]}: see that nobody else draws from them.")
    if first <= _DOCKER[1] and _DOCKER[0] <= last:
        texts.append("The range contains addresses that Docker gives to containers (02-42).")
    return texts
