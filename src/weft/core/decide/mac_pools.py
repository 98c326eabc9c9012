"""PUT and DELETE of macPools (MS-NCNBI 3.1.5.9): ranges that never overlap and hold no group or reserved address."""

import msgspec

from weft.core.decide.address_plans import refuse_plans
from weft.core.decide.draft import Draft
from weft.core.decide.parsing import LONGEST_COOL_DOWN_S, check_cool_down, check_warning
from weft.core.decide.pool_use import refuse_while_held
from weft.core.macs import first_forbidden, first_group_address
from weft.model.errors import Conflict, Invalid, InvalidMacAddress
from weft.model.fabric import ExcludedRange, MacPoolProperties
from weft.model.leases import MAC_SCOPE
from weft.model.resources import Resource
from weft.model.values import mac_dashes, parse_mac

MacPool = Resource[MacPoolProperties]

_STRATEGIES = {"": "central", "central": "central", "random": "random"}


def settle(draft: Draft, sent: MacPool, old: MacPool | None) -> MacPoolProperties:
    """The properties as they will be stored. Raises a Refusal."""
    p = sent.properties
    first = _mac(p.start_mac_address, "startMacAddress", "InvalidMacAddressForMacPool")
    last = _mac(p.end_mac_address, "endMacAddress", "InvalidMacAddressForMacPool")
    _check_range(first, last)
    if old is not None and (mac_dashes(first), mac_dashes(last)) != (
        old.properties.start_mac_address,
        old.properties.end_mac_address,
    ):
        raise Invalid(
            "A pool's start and end are fixed for life: create another macPool for more room.",
            code="InvalidMacAddressForMacPool",
            target="startMacAddress",
        )
    if old is None:
        other = draft.state.addresses.ranges(MAC_SCOPE).overlapping(first, last)
        if other is not None:
            raise Conflict(
                f"The range overlaps {other.spec.ref} ({mac_dashes(other.spec.first)} to "
                f"{mac_dashes(other.spec.last)}): choose another.",
                code="MacPoolsOverlap",
                target="startMacAddress",
            )
        refuse_plans(draft.state, first, last, "")
    check_cool_down(p.cool_down_seconds)
    check_warning(p.warn_at_percent)
    _check_release(p.release_inactive_after_seconds)
    return msgspec.structs.replace(
        p,
        strategy=_strategy(p.strategy),
        tenant_id=p.tenant_id.strip(),
        host_group=p.host_group.strip(),
        start_mac_address=mac_dashes(first),
        end_mac_address=mac_dashes(last),
        excluded=tuple(_excluded(one, first, last) for one in p.excluded),
    )


def remove(draft: Draft, old: MacPool) -> None:
    """Refuse while a lease of it is held; what cools goes on cooling outside of any pool."""
    key = f"/macpools/{old.resource_id.lower()}"
    refuse_while_held(draft.state, key, "InUseMacPoolCannotBeDeleted")
    draft.forget_cursors((key,))


def _strategy(text: str) -> str:
    found = _STRATEGIES.get(text.lower())
    if found is None:
        hint = " (a host's own range comes from an addressPlan)" if text.lower() == "hostrange" else ""
        raise Invalid(f"strategy is central or random, not '{text}'{hint}.", target="strategy")
    return found


def _check_release(seconds: int) -> None:
    if not 0 <= seconds <= LONGEST_COOL_DOWN_S:
        raise Invalid(
            f"releaseInactiveAfterSeconds {seconds} is not between 0 and {LONGEST_COOL_DOWN_S}; 0 never releases.",
            target="releaseInactiveAfterSeconds",
        )


def _check_range(first: int, last: int) -> None:
    if first > last:
        raise Invalid(
            f"startMacAddress {mac_dashes(first)} is above endMacAddress {mac_dashes(last)}.",
            code="InvalidMacAddressForMacPool",
            target="startMacAddress",
        )
    group = first_group_address(first, last)
    if group is not None:
        raise Invalid(
            f"The pool would contain group addresses, {mac_dashes(group)} the first: keep the lowest bit of the first "
            "octet 0 in all of it.",
            code="MacPoolContainsMulticastAddresses",
            target="startMacAddress",
        )
    forbidden = first_forbidden(first, last)
    if forbidden is not None:
        raise Invalid(
            f"The pool would contain {mac_dashes(forbidden[0])}, which no interface may have: {forbidden[1]}.",
            code="InvalidMacAddressForMacPool",
            target="startMacAddress",
        )


def _excluded(one: ExcludedRange, first: int, last: int) -> ExcludedRange:
    low = _mac(one.first, "excluded", "InvalidParameterValue")
    high = _mac(one.last or one.first, "excluded", "InvalidParameterValue")
    if not first <= low <= high <= last:
        raise Invalid(
            f"The excluded range {mac_dashes(low)} to {mac_dashes(high)} does not lie in the pool.", target="excluded"
        )
    return ExcludedRange(first=mac_dashes(low), last=mac_dashes(high), reason=one.reason)


def _mac(text: str, target: str, code: str) -> int:
    if not text:
        member = f"{target} of each range: first" if target == "excluded" else target
        raise Invalid(f"{member} is required: write six octets such as 00-1D-D8-B7-1C-00.", code=code, target=target)
    try:
        return parse_mac(text)
    except InvalidMacAddress as wrong:
        wrong.code = code
        wrong.target = target
        raise
