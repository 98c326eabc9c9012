"""The MAC addresses of servers' own adapters: nobody else may have them, so they stand in the ledger as foreign.

Called by core.decide.servers.
"""

from collections.abc import Iterable

from weft.core.decide.cool_down import left_to
from weft.core.decide.draft import Draft
from weft.core.decide.holding import about
from weft.core.macs import why_forbidden
from weft.core.words import hold_text
from weft.model.errors import AddressInUse, InvalidMacAddress
from weft.model.fabric import ServerInterfaceProperties
from weft.model.leases import COOLING, FOREIGN, MAC_SCOPE, Holder, Lease
from weft.model.resources import Resource
from weft.model.values import Mac, parse_mac

Adapter = Resource[ServerInterfaceProperties]


def follow_adapter_macs(draft: Draft, ref: str, before: Iterable[Adapter], after: Iterable[Adapter]) -> None:
    """Note the addresses that a server's adapters have come to have; those they had cool. Raises AddressInUse."""
    old, new = _macs(before), _macs(after)
    for mac in old:
        if mac not in new:
            _forget(draft, mac, ref)
    for mac, adapter in new.items():
        if mac not in old:
            _note(draft, mac, ref, adapter)


def _macs(adapters: Iterable[Adapter]) -> dict[Mac, str]:
    """Addresses and the adapters that have them; an adapter that reports none, or no address at all, is passed over."""
    found: dict[Mac, str] = {}
    for adapter in adapters:
        try:
            mac = parse_mac(adapter.properties.mac)
        except InvalidMacAddress:
            continue
        if not why_forbidden(mac):
            found[mac] = adapter.resource_id
    return found


def _note(draft: Draft, mac: Mac, ref: str, adapter: str) -> None:
    lease = draft.lease(MAC_SCOPE, mac)
    others: tuple[Holder, ...] = ()
    if lease is not None and lease.state == FOREIGN:
        others = lease.holders
    elif lease is not None and lease.state != COOLING:
        refusal = AddressInUse(
            f"Adapter {adapter} of {ref} has an address that an interface has: "
            f"{hold_text(draft.state, lease, *lease.holders[:1])}. "
            "Give that interface another.",
            target="networkInterfaces",
        )
        raise about(refusal, MAC_SCOPE, mac, ref)
    holders = (*others, Holder("server", ref))
    draft.turn(lease, Lease(MAC_SCOPE, mac, FOREIGN, holders, reason="a host's own adapter"), "reserved")


def _forget(draft: Draft, mac: Mac, ref: str) -> None:
    lease = draft.lease(MAC_SCOPE, mac)
    assert lease is not None
    others = tuple(holder for holder in lease.holders if holder.ref.lower() != ref.lower())
    reason = f"no adapter of {ref} has it any more"
    draft.turn(lease, left_to(draft, lease, others, reason), "released", reason)
