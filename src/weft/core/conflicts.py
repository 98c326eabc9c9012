"""Every present clash, read from the state as it is now: who has an address that another has too, and what to do.

Called by the API, and by control for its metrics and events. Costs by the clashes, by the legal twins and by the hosts'
ranges, never by the ledger (core.notable keeps what is to be looked at). What is mended is gone at the next look.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations, product

import msgspec

from weft.core.cmdlets import REGISTRY_VALUES, set_vm_host
from weft.core.decide.places import places_of
from weft.core.encryption import crossed_in_clear
from weft.core.host_ranges import Overlap, overlaps
from weft.core.index import last_id
from weft.core.notable import Place, is_off, present
from weft.core.peerings import VirtualNetwork
from weft.core.state import State
from weft.core.words import address_text, place_text
from weft.model.leases import MAC_SCOPE, Holder, Lease
from weft.model.resources import Resource
from weft.model.values import mac_dashes
from weft.model.workload import VirtualMachineProperties

Machine = Resource[VirtualMachineProperties]

ACTIVE_TWIN = "activeTwin"
FOREIGN = "foreign"
RANGE_OVERLAP = "rangeOverlap"
DRIFT = "drift"
GUEST_ADDRESS = "guestAddress"
CLEAR_TEXT = "clearText"

KINDS = (ACTIVE_TWIN, FOREIGN, RANGE_OVERLAP, DRIFT, GUEST_ADDRESS, CLEAR_TEXT)
_ORDER = {kind: at for at, kind in enumerate(KINDS)}
_MOST_NAMED = 5


class Conflict(msgspec.Struct, frozen=True, rename="camel"):
    """One clash."""

    kind: str
    """activeTwin: two that run have one address. foreign: something outside Weft has it too. rangeOverlap: a hypervisor
    draws from addresses that another gives away. drift: what has it is gone outside Weft. guestAddress: a guest uses
    one that it may not have. clearText: tunnels cross a public network and nobody encrypts them."""
    address: str
    """As /weft/v1 writes it; FIRST to LAST for a range; the prefix of a network."""
    l2_domain: str = msgspec.field(name="l2Domain")
    """Reference of a subnet where they meet; empty if it is not known, for IP addresses, and for ranges."""
    holders: tuple[str, ...]
    """References; the one that should give way is the last."""
    remedy: str
    """For people, in a sentence or two."""
    command: str
    """What carries it out, as it stands; empty where only the other side can."""


def conflicts(state: State) -> list[Conflict]:
    """All, in the order of kinds and addresses."""
    notable = state.addresses.notable
    found = [one for place in sorted(notable.contested) for one in _contested(state, place)]
    found.extend(_overlap(one) for one in overlaps(state))
    found.extend(_drift(state, place) for place in sorted(notable.inactive))
    found.extend(_in_clear(*one) for one in crossed_in_clear(state))
    return by_kind(found)


def conflicts_of(state: State, machine: str) -> list[Conflict]:
    """Those of the addresses of one machine, by its id; costs by its interfaces."""
    found = state.get("virtualMachines", machine)
    notable = state.addresses.notable
    answer: list[Conflict] = []
    for ref in found.properties.network_interfaces if found is not None else ():
        interface = state.get("networkInterfaces", last_id(ref))
        assert interface is not None
        for place in places_of(state, interface):
            if place in notable.contested:
                answer.extend(one for one in _contested(state, place) if ref.resource_ref in one.holders)
            if place in notable.inactive:
                answer.append(_drift(state, place))
    return by_kind(answer)


def joined(ledger: Iterable[Conflict], told: Iterable[Conflict]) -> list[Conflict]:
    """By kind. Where a host tells of a clash that the ledger has too, what it says is more: it knows the machine."""
    every = tuple(told)
    said = {(one.address, one.holders) for one in every if one.kind == FOREIGN}
    rest = (one for one in ledger if one.kind != FOREIGN or (one.address, one.holders) not in said)
    return by_kind([*rest, *every])


def by_kind(found: Iterable[Conflict]) -> list[Conflict]:
    """In the order of kinds, each once, else as they come."""
    return sorted(dict.fromkeys(found), key=lambda one: _ORDER[one.kind])


def _in_clear(ref: str, prefix: str, networks: list[VirtualNetwork]) -> Conflict:
    names = [one.resource_id for one in networks]
    more = len(names) - _MOST_NAMED
    named = ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return Conflict(
        kind=CLEAR_TEXT,
        address=prefix,
        l2_domain=ref,
        holders=(ref, *(f"/virtualNetworks/{name}" for name in names[:_MOST_NAMED])),
        remedy=f"Tunnels of {named} cross {ref} unencrypted, and that is marked isPublic: set encryptionEnabled on "
        "their subnets where the hosts can encrypt (weft get servers -o wide), give the hosts another provider "
        "network, or encrypt what carries this one.",
        command="",
    )


def _contested(state: State, place: Place) -> Iterator[Conflict]:
    """Pairs that clash; what Weft knows of comes before what it does not."""
    lease = state.lease(*place)
    assert lease is not None
    users = sorted(
        (one for one in lease.holders if _is_user(lease, one)), key=lambda one: one.kind != "networkInterface"
    )
    for one, other in combinations(users, 2):
        if place[0] == MAC_SCOPE and not state.meet(one.domain, other.domain):
            continue
        if other.kind != "networkInterface":
            yield _foreign(state, lease, (one, other))
        elif _running(state, one) is not None and (twin := _running(state, other)) is not None:
            yield _active_twin(state, lease, (one, other), twin)


def _is_user(lease: Lease, holder: Holder) -> bool:
    return holder.kind in ("networkInterface", "port") or (holder.kind == "server" and lease.scope == MAC_SCOPE)


def _running(state: State, holder: Holder) -> Machine | None:
    machine = state.machine_of(holder.ref.rpartition("/")[2])
    return machine if machine is not None and machine.properties.power_state == "Running" else None


def _active_twin(state: State, lease: Lease, pair: tuple[Holder, Holder], twin: Machine) -> Conflict:
    first = _running(state, pair[0])
    assert first is not None
    name, other = twin.resource_id, first.resource_id
    return Conflict(
        kind=ACTIVE_TWIN,
        address=address_text(lease.scope, lease.address),
        l2_domain=_domain(state, *pair),
        holders=(pair[0].ref, pair[1].ref),
        remedy=f"{other} and {name} both run with it: stop one of them, or give {name} another address.",
        command=f"weft vm stop {name}",
    )


def foreign_beside(state: State, mac: int, port: str, called: str) -> Iterator[Conflict]:
    """The clashes of a stranger's port with interfaces of ours, in which it is called by its machine's name."""
    lease = state.lease(MAC_SCOPE, mac) if mac else None
    if lease is None:
        return
    holders = present(lease)
    ports = [one for one in holders if one.kind == "port" and one.ref.lower() == port.lower()]
    for one, other in product(holders, ports):
        if one.kind == "networkInterface" and state.meet(one.domain, other.domain):
            yield _foreign(state, lease, (one, other), called)


def _foreign(state: State, lease: Lease, pair: tuple[Holder, Holder], called: str = "") -> Conflict:
    one, other = pair
    machine = state.machine_of(one.ref.rpartition("/")[2]) if one.kind == "networkInterface" else None
    has = "is off and has it" if is_off(other) else "has it"
    remedy = f"{called or other.ref} {has}, and is none of ours: give that another address"
    remedy += "" if is_off(other) else " or disconnect it"
    command = ""
    if machine is not None:
        remedy += f", or give {machine.resource_id} another"
        command = f"weft vm renew-mac {machine.resource_id} --nic {one.ref.rpartition('/')[2]} --force"
    return Conflict(
        kind=FOREIGN,
        address=address_text(lease.scope, lease.address),
        l2_domain=_domain(state, one, other),
        holders=(one.ref, other.ref),
        remedy=f"{remedy}.",
        command=command,
    )


def _domain(state: State, one: Holder, other: Holder) -> str:
    domain = one.domain or other.domain
    return place_text(state, domain) if domain else ""


def _drift(state: State, place: Place) -> Conflict:
    lease = state.lease(*place)
    assert lease is not None
    gone = [holder for holder in lease.holders if holder.inactive]
    machine = state.machine_of(gone[0].ref.rpartition("/")[2])
    why = f" ({machine.properties.inactive})" if machine is not None and machine.properties.inactive else ""
    address = address_text(lease.scope, lease.address)
    return Conflict(
        kind=DRIFT,
        address=address,
        l2_domain=place_text(state, gone[0].domain) if gone[0].domain else "",
        holders=tuple(holder.ref for holder in gone),
        remedy=f"Its host no longer knows {gone[0].ref}{why}: bring the machine back, or release the address.",
        command=f'weft address release {address} --reason "{gone[0].ref} is gone"',
    )


def _overlap(one: Overlap) -> Conflict:
    low, high = (mac_dashes(address) for address in one.shared)
    name = one.host.ref.rpartition("/")[2]
    command = set_vm_host(name, *one.proposal) if one.proposal is not None else ""
    remedy = (
        f"The hypervisor of {one.host.ref} draws addresses that {one.other.ref} gives away or draws too: let it draw "
    )
    return Conflict(
        kind=RANGE_OVERLAP,
        address=f"{low} to {high}",
        l2_domain="",
        holders=(one.other.ref, one.host.ref),
        remedy=(
            f"{remedy}from a range of its own (weft host range {name} --apply), or delete its registry values "
            f"{REGISTRY_VALUES} and restart its service vmms, so that it makes its range anew of its present address. "
            "Machines keep what they have until they are next turned on."
        ),
        command=command,
    )
