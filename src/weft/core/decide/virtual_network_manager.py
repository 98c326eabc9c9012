"""PUT of virtualNetworkManager/configuration (MS-NCNBI 3.1.5.19): encapsulation and the range of VSIDs."""

import msgspec

from weft.core.decide.draft import Draft
from weft.core.words import hold_text
from weft.model.errors import InUse, Invalid
from weft.model.fabric import VirtualNetworkManagerProperties, VirtualSubnetIdRange
from weft.model.leases import VSID_SCOPE
from weft.model.resources import Resource
from weft.model.values import VSID_MAX, VSID_MIN

Manager = Resource[VirtualNetworkManagerProperties]

_HIGHEST_END = VSID_MAX + 1


def settle(draft: Draft, sent: Manager, old: Manager | None) -> VirtualNetworkManagerProperties:
    """The properties as they will be stored. Raises a Refusal."""
    p = sent.properties
    protocol = p.network_virtualization_protocol.upper()
    if protocol not in ("VXLAN", "NVGRE"):
        raise Invalid(
            f"networkVirtualizationProtocol is VXLAN or NVGRE, not '{p.network_virtualization_protocol}'.",
            target="networkVirtualizationProtocol",
        )
    if p.distributed_router_state.lower() not in ("enabled", "enable"):
        raise Invalid(
            "The distributed router is always enabled; switching it off is not served.",
            code="OperationNotSupported",
            target="distributedRouterState",
        )
    if p.enable_metering:
        raise Invalid("Metering is not served yet.", code="OperationNotSupported", target="enableMetering")
    _check_range(draft, p.virtual_subnet_id_range)
    return msgspec.structs.replace(p, network_virtualization_protocol=protocol, distributed_router_state="Enabled")


def _check_range(draft: Draft, ids: VirtualSubnetIdRange) -> None:
    if ids.start_id >= ids.end_id:
        raise Invalid(
            f"The range begins at {ids.start_id} and ends at {ids.end_id}: the start must be lower than the end.",
            code="InvalidVsidRangeFormat",
            target="virtualSubnetIdRange",
        )
    if ids.start_id < VSID_MIN or ids.end_id > _HIGHEST_END:
        raise Invalid(
            f"The range must lie in {VSID_MIN} to {_HIGHEST_END}.",
            code="InvalidVsidRangeValues",
            target="virtualSubnetIdRange",
        )
    pool = draft.state.addresses.pools[VSID_SCOPE]
    spec = pool.spec
    lost = ((spec.first, ids.start_id - 1), (ids.end_id + 1, spec.last))
    for first, last in lost:
        offset = pool.taken.next_used(max(0, first - spec.first)) if first <= last else None
        if offset is not None and spec.first + offset <= last:
            lease = draft.state.lease(VSID_SCOPE, spec.first + offset)
            assert lease is not None
            raise InUse(
                f"The range can be narrowed only where it is unused: VSID "
                f"{hold_text(draft.state, lease, lease.holders[0])}.",
                target="virtualSubnetIdRange",
            )
