"""The VSIDs of a virtual network's subnets: asked for or granted, one per subnet or dual-stack pair, kept for life.

Called by core.decide.virtual_networks.
"""

import msgspec

from weft.core.decide.draft import Draft
from weft.core.layout import dual_stack_domains
from weft.core.words import hold_text, why_full
from weft.model.errors import AddressInUse, InUse, Invalid, PoolIsFull
from weft.model.leases import ASSIGNED, VSID_SCOPE, Holder, Lease
from weft.model.resources import Resource
from weft.model.tenancy import VirtualNetworkProperties, VirtualSubnetProperties
from weft.model.values import VSID_MAX, VSID_MIN

VirtualNetwork = Resource[VirtualNetworkProperties]
VirtualSubnet = Resource[VirtualSubnetProperties]


class _Group(msgspec.Struct):
    """Subnets that share a VSID: one, or a dual-stack pair."""

    refs: list[str]
    """In canonical spelling."""
    vsid: int = 0
    """0 until granted."""
    granted: bool = True


def assign_vsids(
    draft: Draft, network: str, subnets: tuple[VirtualSubnet, ...], old: VirtualNetwork | None
) -> tuple[VirtualSubnet, ...]:
    """The subnets with their VSIDs; the leases go into the draft. Raises Invalid, AddressInUse, InUse, PoolIsFull."""
    before = _vsids(network, old)
    groups = _groups(network, subnets, before)
    for ref, vsid in before.items():
        group = groups.get(ref)
        users = draft.state.index.users.get(ref)
        if group is not None and users and group.vsid != vsid:
            own = next(one for one in group.refs if one.lower() == ref)
            raise InUse(
                f"{own} keeps VSID {vsid} while /networkInterfaces/{next(iter(users))} is in it: leave its "
                "virtualSubnetId as it is, or move that first.",
                code="InUseSubnetCannotBeUpdated",
                target="virtualSubnetId",
            )
    for vsid in dict.fromkeys(before.values()):
        if all(group.vsid != vsid for group in groups.values()):
            draft.turn(draft.lease(VSID_SCOPE, vsid), None, "released", f"no subnet of {network} has it any more")
    for group in groups.values():
        _take(draft, network, group)
    return tuple(
        msgspec.structs.replace(
            subnet,
            properties=msgspec.structs.replace(subnet.properties, virtual_subnet_id=groups[_key(network, subnet)].vsid),
        )
        for subnet in subnets
    )


def release_vsids(draft: Draft, network: str, old: VirtualNetwork) -> None:
    """Free all of a network's VSIDs."""
    for vsid in dict.fromkeys(_vsids(network, old).values()):
        draft.turn(draft.lease(VSID_SCOPE, vsid), None, "released", f"{network} deleted")


def _key(network: str, subnet: VirtualSubnet) -> str:
    return f"{network}/subnets/{subnet.resource_id}".lower()


def _vsids(network: str, old: VirtualNetwork | None) -> dict[str, int]:
    if old is None:
        return {}
    return {_key(network, subnet): subnet.properties.virtual_subnet_id for subnet in old.properties.subnets}


def _groups(network: str, subnets: tuple[VirtualSubnet, ...], before: dict[str, int]) -> dict[str, _Group]:
    """Each subnet's group with the VSID it asks for or keeps, by the subnet's reference."""
    domains = dual_stack_domains(network, subnets)
    by_domain: dict[str, list[VirtualSubnet]] = {}
    for subnet in subnets:
        by_domain.setdefault(domains[_key(network, subnet)], []).append(subnet)
    groups: dict[str, _Group] = {}
    claimed: dict[int, _Group] = {}
    for members in by_domain.values():
        group = _Group([f"{network}/subnets/{subnet.resource_id}" for subnet in members])
        group.vsid = _asked(members)
        group.granted = not group.vsid
        kept = [before[ref] for ref in map(str.lower, group.refs) if before.get(ref)]
        if not group.vsid and kept and kept[0] not in claimed:
            group.vsid = kept[0]
        elif group.vsid in claimed:
            raise Invalid(
                f"{' and '.join((*claimed[group.vsid].refs, *group.refs))} ask for VSID {group.vsid}; only the "
                "two subnets of a dual-stack pair share one.",
                code="VirtualSubnetIdInUse",
                target="virtualSubnetId",
            )
        if group.vsid:
            claimed[group.vsid] = group
        groups.update((ref.lower(), group) for ref in group.refs)
    return groups


def _asked(members: list[VirtualSubnet]) -> int:
    asked = {subnet.properties.virtual_subnet_id for subnet in members} - {0}
    if len(asked) > 1:
        raise Invalid(
            f"A dual-stack pair shares one VSID, but its subnets ask for {' and '.join(map(str, sorted(asked)))}.",
            target="virtualSubnetId",
        )
    for vsid in asked:
        if not VSID_MIN <= vsid <= VSID_MAX:
            raise Invalid(
                f"VSID {vsid} is not in {VSID_MIN} to {VSID_MAX} (RFC 7637 section 3.2).", target="virtualSubnetId"
            )
    return asked.pop() if asked else 0


def _take(draft: Draft, network: str, group: _Group) -> None:
    event = "granted" if group.granted else "assigned"
    if not group.vsid:
        pool = draft.state.addresses.pools[VSID_SCOPE]
        found = draft.grant(pool)
        if found is None:
            raise PoolIsFull(why_full(draft.state, (pool,), draft.now), code="VirtualSubnetIdsExhausted")
        group.vsid = found
    lease = draft.lease(VSID_SCOPE, group.vsid)
    held = [holder.ref for holder in lease.holders] if lease is not None else []
    if held == group.refs:
        return
    if lease is not None and not all(ref.lower().startswith(f"{network.lower()}/") for ref in held):
        raise AddressInUse(
            f"VSID {hold_text(draft.state, lease, lease.holders[0])}. Leave virtualSubnetId out to be granted one.",
            code="VirtualSubnetIdInUse",
            target="virtualSubnetId",
        )
    holders = tuple(Holder("virtualSubnet", ref, "", group.granted) for ref in group.refs)
    draft.turn(lease, Lease(VSID_SCOPE, group.vsid, ASSIGNED, holders), event)
