"""PUT and DELETE of addressPlans, and the range that a plan gives a server: disjoint ranges for hosts, checked.

A plan's addresses are PREFIX, cluster digits, host digits, interface digits: twelve hexadecimal digits. Its whole range
belongs to it, so that no macPool and no other plan grants from it. Called by core.decide.puts and servers.
"""

import re

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.parsing import check_cool_down, check_warning
from weft.core.host_ranges import Span, bounds, plan_bounds, plans, taken_by
from weft.core.index import last_id, lower
from weft.core.macs import first_forbidden, first_group_address
from weft.core.state import State
from weft.model.errors import Conflict, InUse, Invalid, InvalidMacAddress, InvalidReference, PoolIsFull
from weft.model.fabric import AddressPlanProperties, MacRange, ServerProperties
from weft.model.leases import MAC_SCOPE
from weft.model.resources import Ref, Resource
from weft.model.values import mac_dashes

AddressPlan = Resource[AddressPlanProperties]

_DIGITS = 12
_WANTED = "wantedDynamicMacRange"
_PREFIX = re.compile(r"[0-9A-F]{2,10}")
_WIDEST = {"clusterDigits": (0, 4), "hostDigits": (1, 4), "interfaceDigits": (1, 8)}


def settle(draft: Draft, sent: AddressPlan, old: AddressPlan | None) -> AddressPlanProperties:
    """The properties as they will be stored. Raises Invalid, Conflict (AddressPlansOverlap, MacPoolsOverlap), InUse."""
    p = _read(sent.properties)
    ref = f"/weft/addressPlans/{sent.resource_id}"
    first, last = plan_bounds(p)
    _check_addresses(first, last)
    moved = old is None or _shape(old.properties) != _shape(p)
    if old is not None and moved:
        _check_unused(draft.state, old, "cannot change", "InUseAddressPlanCannotBeUpdated")
    if moved:
        refuse_plans(draft.state, first, last, ref)
        _refuse_pools(draft.state, first, last)
    return p


def remove(draft: Draft, old: AddressPlan) -> None:
    """Refuse while a server has a range of it."""
    _check_unused(draft.state, old, "cannot be deleted", "InUseAddressPlanCannotBeDeleted")


def refuse_plans(state: State, first: int, last: int, ref: str) -> None:
    """Refuse a range that shares addresses with a plan but `ref` itself. Raises Conflict (AddressPlansOverlap)."""
    for plan in plans(state):
        if plan.first <= last and first <= plan.last and plan.ref.lower() != ref.lower():
            raise Conflict(
                f"{mac_dashes(first)} to {mac_dashes(last)} overlaps {plan.ref} ({mac_dashes(plan.first)} to "
                f"{mac_dashes(plan.last)}), which belongs to its hosts: choose another range.",
                code="AddressPlansOverlap",
                target=plan.ref,
            )


def range_for(draft: Draft, sent: ServerProperties, old: ServerProperties | None) -> ServerProperties:
    """A server's properties with the range of its plan: the one it has, or the lowest of its cluster that is free.

    Raises InvalidReference, Invalid (clusterNumber), PoolIsFull (AddressPlanIsFull).
    """
    name = last_id(sent.address_plan)
    if not name:
        if sent.cluster_number is not None:
            raise Invalid("clusterNumber is of an addressPlan: name that too.", target="clusterNumber")
        return msgspec.structs.replace(sent, address_plan=None, mac_range=None)
    plan: AddressPlan | None = draft.state.get("addressPlans", name)
    if plan is None or lower(sent.address_plan) != f"/weft/addressplans/{name}":
        raise InvalidReference(f"There is no address plan '{lower(sent.address_plan)}'.", target="addressPlan")
    ref = Ref(resource_ref=f"/weft/addressPlans/{plan.resource_id}")
    cluster = sent.cluster_number or 0
    if not 0 <= cluster < 16**plan.properties.cluster_digits:
        raise Invalid(
            f"clusterNumber {cluster} is not in 0 to {16**plan.properties.cluster_digits - 1}: {ref.resource_ref} has "
            f"{plan.properties.cluster_digits} clusterDigits. Make another plan for more clusters.",
            target="clusterNumber",
        )
    granted = None
    if old is not None and old.address_plan == ref and (old.cluster_number or 0) == cluster:
        granted = old.mac_range
    if granted is None:
        first, last = _free_range(draft.state, plan, cluster)
        granted = MacRange(first=mac_dashes(first), last=mac_dashes(last))
    return msgspec.structs.replace(sent, address_plan=ref, cluster_number=cluster, mac_range=granted)


def own_range(sent: MacRange | None, member: str = "dynamicMacRange") -> MacRange | None:
    """A hypervisor's own range as it will be stored; None for none. Raises Invalid."""
    if sent is None or not (sent.first or sent.last):
        return None
    try:
        first, last = bounds(sent)
    except InvalidMacAddress as wrong:
        wrong.code, wrong.target = "InvalidParameterValue", member
        raise
    if first > last:
        raise Invalid(f"{member} begins at {sent.first} above its end {sent.last}.", target=member)
    return MacRange(first=mac_dashes(first), last=mac_dashes(last))


def wanted_range(state: State, ref: str, sent: ServerProperties, old: ServerProperties | None) -> MacRange | None:
    """The range that a hypervisor shall draw from, as it will be stored: one that nobody else gives away, draws from or
    wants. It is asked about when it is wished for, not again later. Raises Invalid, Conflict (RangesOverlap)."""
    wanted = own_range(sent.wanted_dynamic_mac_range, _WANTED)
    if wanted is None or (old is not None and old.wanted_dynamic_mac_range == wanted):
        return wanted
    first, last = bounds(wanted)
    reserved = first_group_address(first, last)
    found = (reserved, "it is a group address") if reserved is not None else first_forbidden(first, last)
    if found is not None:
        raise Invalid(f"{_WANTED}: {mac_dashes(found[0])} may not be an interface's: {found[1]}.", target=_WANTED)
    own = bounds(sent.mac_range) if sent.mac_range is not None else None
    other = None if own is not None and own[0] <= first and last <= own[1] else taken_by(state, ref, first, last)
    if other is not None:
        raise Conflict(
            f"{wanted.first} to {wanted.last} shares addresses with {other.ref} ({mac_dashes(other.first)} to "
            f"{mac_dashes(other.last)}): choose a range that nobody else gives away or draws from.",
            code="RangesOverlap",
            target=_WANTED,
        )
    return wanted


def _free_range(state: State, plan: AddressPlan, cluster: int) -> tuple[int, int]:
    """The range of the lowest host number that no server has and in which no address is held or cools."""
    p = plan.properties
    width = 16**p.interface_digits
    hosts = 16**p.host_digits
    start = plan_bounds(p)[0] + cluster * hosts * width
    pools = state.addresses.ranges(MAC_SCOPE)
    for first in range(start, start + hosts * width, width):
        last = first + width - 1
        if pools.overlapping(first, last) is None and not state.addresses.leased_outside(MAC_SCOPE, first, last):
            return first, last
    raise PoolIsFull(
        f"All {hosts} ranges of cluster {cluster} of /weft/addressPlans/{plan.resource_id} are given to servers or "
        "hold addresses. Use another clusterNumber, or another plan with more hostDigits.",
        code="AddressPlanIsFull",
        target="clusterNumber",
    )


def _read(p: AddressPlanProperties) -> AddressPlanProperties:
    """Checked, and the prefix as it is stored: 00-15-5D."""
    digits = re.sub(r"[-:.]", "", p.prefix).upper()
    if not _PREFIX.fullmatch(digits):
        raise Invalid(f"prefix '{p.prefix}' is not 2 to 10 hexadecimal digits, such as 00-15-5D.", target="prefix")
    widths = {"clusterDigits": p.cluster_digits, "hostDigits": p.host_digits, "interfaceDigits": p.interface_digits}
    for name, width in widths.items():
        least, most = _WIDEST[name]
        if not least <= width <= most:
            raise Invalid(f"{name} {width} is not in {least} to {most}.", target=name)
    total = len(digits) + sum(widths.values())
    if total != _DIGITS:
        raise Invalid(
            f"The prefix's {len(digits)} digits and {' + '.join(map(str, widths.values()))} more are {total}: a MAC "
            "address has 12.",
            target="prefix",
        )
    check_cool_down(p.cool_down_seconds)
    check_warning(p.warn_at_percent)
    return msgspec.structs.replace(p, prefix="-".join(digits[at : at + 2] for at in range(0, len(digits), 2)))


def _shape(p: AddressPlanProperties) -> tuple[str, int, int, int]:
    return p.prefix, p.cluster_digits, p.host_digits, p.interface_digits


def _check_addresses(first: int, last: int) -> None:
    group = first_group_address(first, last)
    if group is not None:
        raise Invalid(
            f"The plan would contain group addresses, {mac_dashes(group)} the first: keep the lowest bit of the first "
            "octet 0.",
            target="prefix",
        )
    forbidden = first_forbidden(first, last)
    if forbidden is not None:
        raise Invalid(
            f"The plan would contain {mac_dashes(forbidden[0])}, which no interface may have: {forbidden[1]}.",
            target="prefix",
        )


def _refuse_pools(state: State, first: int, last: int) -> None:
    pool = state.addresses.ranges(MAC_SCOPE).overlapping(first, last)
    if pool is not None:
        other = Span(pool.spec.first, pool.spec.last, pool.spec.ref)
        raise Conflict(
            f"The plan ({mac_dashes(first)} to {mac_dashes(last)}) overlaps {other.ref} ({mac_dashes(other.first)} to "
            f"{mac_dashes(other.last)}): choose another prefix.",
            code="MacPoolsOverlap",
            target="prefix",
        )


def _check_unused(state: State, plan: AddressPlan, change: str, code: str) -> None:
    for server in state.index.servers.planned.get(plan.resource_id.lower(), ()):
        raise InUse(
            f"/weft/addressPlans/{plan.resource_id} {change}: /servers/{server} has a range of it. Make another plan, "
            "or take that server out of it first.",
            code=code,
            target=f"/servers/{server}",
        )
