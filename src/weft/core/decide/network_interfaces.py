"""PUT and DELETE of networkInterfaces (MS-NCNBI 3.1.5.11): one MAC address for life, and its ipConfigurations.

The addresses themselves are taken by core.decide.ip_configurations and core.decide.holding. An interface of strategy
hostRange has no MAC address before it is known on which host it will be: `give_macs` grants it when that is so.
"""

from collections.abc import Container, Iterable
from typing import Any

import msgspec

from weft.core.decide.bindings import INTERFACES, interface_of, server_named
from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_configurations
from weft.core.decide.envelope import new_etag
from weft.core.decide.granting import Origin, origin_of, origin_on
from weft.core.decide.holding import NOBODY, about, grant_mac, hold_mac, holder_in, others_of, release, share_domain
from weft.core.decide.ip_configurations import Interface, places_in, settle_addresses
from weft.core.decide.learnt_addresses import give_up_learnt, kept_learnt
from weft.core.decide.machines import note_place
from weft.core.decide.parsing import ip_texts
from weft.core.decide.places import domain_of, mac_of, places_of
from weft.core.decide.port_settings import settled_port_settings
from weft.core.index import lower
from weft.core.state import State
from weft.core.words import hold_text, place_text
from weft.model.errors import AddressInUse, Conflict, Invalid, InvalidMacAddress
from weft.model.kinds import CHECKPOINTS, EXPORTS, resource_ref
from weft.model.leases import MAC_SCOPE, Holder
from weft.model.resources import Ref, Resource
from weft.model.values import Mac, mac_dashes, mac_digits, parse_mac
from weft.model.workload import DnsSettings, NetworkInterfaceProperties, VirtualMachineProperties

_USERS = ("networkInterface", "port", "server")
"""Holders that may send frames from a MAC address."""

_METHODS = {"dynamic": "Dynamic", "static": "Static"}


def settle(draft: Draft, sent: Interface, old: Interface | None) -> NetworkInterfaceProperties:
    """The properties as they will be stored, addresses included. Raises a Refusal."""
    p = sent.properties
    method = _method(p, old)
    _check_fixed(p, old)
    _check_served(p)
    machine = draft.state.machine_of(sent.resource_id)
    if machine is not None:
        note_place(draft, machine.resource_id, machine.properties.server)
    origin = origin_of(draft.state, sent, old)
    beside = _not_in_the_way(draft.state, machine, origin)
    configurations, granted = settle_addresses(draft, sent, old, origin, beside)
    if machine is not None and (server := server_named(draft.state, machine.properties.server)) is not None:
        check_configurations(draft.state, server, sent.resource_id, configurations)
    holder = granted if method == "Dynamic" else msgspec.structs.replace(granted, granted=False)
    if old is None or not old.properties.private_mac_address:
        mac = _first_mac(draft, p, holder, origin, beside)
    else:
        mac = _later_mac(draft, sent, old, holder, beside)
    return NetworkInterfaceProperties(
        private_mac_address=mac_digits(mac) if mac is not None else None,
        private_mac_allocation_method=method,
        ip_configurations=configurations,
        dns_settings=_dns_settings(p),
        is_primary=p.is_primary,
        is_host_virtual_network_interface=p.is_host_virtual_network_interface,
        is_multitenant_stack=p.is_multitenant_stack,
        internal_dns_name_label=p.internal_dns_name_label or None,
        port_settings=settled_port_settings(p.port_settings, _is_virtual(p)),
        server=p.server if origin.strategy == "hostRange" and lower(p.server) else None,
        strategy=origin.strategy,
        reservation=p.reservation if lower(p.reservation) else None,
        learned_ip_addresses=kept_learnt(draft, old, granted.domain, places_in(draft.state, configurations)),
    )


def remove(draft: Draft, old: Interface) -> None:
    """Refuse while a machine has it; its addresses cool down."""
    ref = f"/networkInterfaces/{old.resource_id}"
    machine = draft.state.machine_of(old.resource_id)
    if machine is not None:
        raise Conflict(
            f"{ref} belongs to /weft/virtualMachines/{machine.resource_id}: delete the machine first, or take the "
            "interface from it.",
            code="NicInUse",
            target=ref,
        )
    give_up(draft, old, f"{ref} deleted")


def give_up(draft: Draft, interface: Interface, reason: str) -> None:
    """Release all that an interface holds."""
    for scope, address in places_of(draft.state, interface):
        release(draft, scope, address, f"/networkInterfaces/{interface.resource_id}", reason)
    give_up_learnt(draft, interface, reason)


def give_macs(draft: Draft, interfaces: Iterable[Ref], server: Resource[Any] | None) -> None:
    """Grant the MAC addresses that interfaces still lack, now that it is known where they will be. Raises PoolIsFull,
    Conflict (NoHostRange)."""
    for ref in interfaces:
        interface = interface_of(draft, ref)
        if server is not None and not interface.properties.private_mac_address:
            _give_mac(draft, interface, server)


def _give_mac(draft: Draft, interface: Interface, server: Resource[Any]) -> None:
    origin = origin_on(draft.state, interface, interface, server)
    ref = f"/networkInterfaces/{interface.resource_id}"
    mac = grant_mac(draft, Holder("networkInterface", ref, domain_of(draft.state, interface), True), origin)
    store_changed(draft, interface, private_mac_address=mac_digits(mac))


def store_changed(draft: Draft, old: Interface, **properties: object) -> Interface:
    """Store an interface with some properties changed."""
    after = msgspec.structs.replace(
        old,
        etag=new_etag(draft.new_id),
        properties=msgspec.structs.replace(old.properties, **properties),
    )
    draft.put(INTERFACES, old.resource_id.lower(), old, after)
    return after


def captures_of(state: State, machine: str) -> frozenset[str]:
    """References, lower case, of a machine's checkpoints and exports: what they hold is its own."""
    return frozenset(
        resource_ref(kind, own.resource_id).lower()
        for kind in (CHECKPOINTS, EXPORTS)
        for own in state.owned(kind.name, machine)
    )


def _not_in_the_way(state: State, machine: Resource[VirtualMachineProperties] | None, origin: Origin) -> Container[str]:
    """Holders that do not keep an interface from an address: its machine's own captures, the reservation it names."""
    own = captures_of(state, machine.resource_id) if machine is not None else NOBODY
    return own | {origin.reservation} if origin.reservation else own


def _method(p: NetworkInterfaceProperties, old: Interface | None) -> str:
    method = _METHODS.get(p.private_mac_allocation_method.lower())
    if method is None:
        raise Invalid(
            f"privateMacAllocationMethod is required: Static or Dynamic, not '{p.private_mac_allocation_method}'.",
            target="privateMacAllocationMethod",
        )
    if old is not None and old.properties.private_mac_allocation_method != method:
        raise Invalid(
            "privateMacAllocationMethod is fixed when the interface is created: leave it as it was. A machine's "
            "interface is given another address by the machine's renewMac action.",
            code="PrivateMacAllocationMethodCannotBeUpdated",
            target="privateMacAllocationMethod",
        )
    return method


def _check_fixed(p: NetworkInterfaceProperties, old: Interface | None) -> None:
    if old is None:
        return
    if p.is_primary != old.properties.is_primary:
        raise Invalid(
            "isPrimary is fixed when the interface is created.",
            code="PrimaryNicPropertyCannotBeUpdated",
            target="isPrimary",
        )
    if p.is_host_virtual_network_interface != old.properties.is_host_virtual_network_interface:
        raise Invalid(
            "isHostVirtualNetworkInterface is fixed when the interface is created.",
            code="IsHostVirtualNetworkInterfaceCannotBeUpdated",
            target="isHostVirtualNetworkInterface",
        )


def _check_served(p: NetworkInterfaceProperties) -> None:
    """Refuse what would change behaviour and is not built, instead of storing it in silence.

    internalDnsNameLabel is kept: an iDnsServer (MS-NCNBI 3.1.5.11) there is none, but DHCP tells its first label.
    """
    if p.is_multitenant_stack:
        raise Invalid(
            "isMultitenantStack is not served yet: leave it out.",
            code="OperationNotSupported",
            target="isMultitenantStack",
        )


def _is_virtual(p: NetworkInterfaceProperties) -> bool:
    return all(lower(one.properties.subnet).startswith("/virtualnetworks/") for one in p.ip_configurations)


def _dns_settings(p: NetworkInterfaceProperties) -> DnsSettings | None:
    if p.dns_settings is None or not p.dns_settings.dns_servers:
        return p.dns_settings
    if not p.is_primary:
        raise Invalid(
            "Only a primary interface can have dnsSettings.",
            code="OnlyPrimaryNetworkInterfaceCanHaveDnsSettings",
            target="dnsSettings",
        )
    return DnsSettings(dns_servers=ip_texts(p.dns_settings.dns_servers, "dnsSettings"))


def _first_mac(
    draft: Draft, p: NetworkInterfaceProperties, holder: Holder, origin: Origin, beside: Container[str]
) -> Mac | None:
    """Granted for life, or the one that the client asks for; None while the host whose range it is from is unknown."""
    if not holder.granted:
        return _hold_asked(draft, p, holder, beside)
    return None if origin.waits() else grant_mac(draft, holder, origin)


def _later_mac(draft: Draft, sent: Interface, old: Interface, holder: Holder, beside: Container[str]) -> Mac:
    """The address that it has; another static one only while no machine has the interface."""
    kept = mac_of(old)
    assert kept is not None
    if holder.granted or _asked(sent.properties) == kept:
        _follow_domain(draft, kept, holder)
        return kept
    machine = draft.state.machine_of(old.resource_id)
    if machine is not None:
        raise Conflict(
            f"{holder.ref} of /weft/virtualMachines/{machine.resource_id} has {mac_dashes(kept)} for life: give it "
            "another by the machine's renewMac action.",
            code="PrivateMacAddressCannotBeUpdated",
            target="privateMacAddress",
        )
    mac = _hold_asked(draft, sent.properties, holder, beside)
    release(draft, MAC_SCOPE, kept, holder.ref, "another static address was asked for")
    return mac


def _asked(p: NetworkInterfaceProperties) -> Mac:
    if not p.private_mac_address:
        raise Invalid(
            "privateMacAddress is required with privateMacAllocationMethod Static.",
            code="PrivateMacAddressMissing",
            target="privateMacAddress",
        )
    try:
        return parse_mac(p.private_mac_address)
    except InvalidMacAddress as wrong:
        wrong.target = "privateMacAddress"
        raise


def _hold_asked(draft: Draft, p: NetworkInterfaceProperties, holder: Holder, beside: Container[str]) -> Mac:
    mac = _asked(p)
    hold_mac(draft, mac, holder, beside)
    return mac


def _follow_domain(draft: Draft, mac: Mac, holder: Holder) -> None:
    """The interface went to another L2 domain: it may meet others there, but for twins that it has met already."""
    lease = draft.lease(MAC_SCOPE, mac)
    before = holder_in(lease, holder.ref)
    assert lease is not None and before is not None
    if before.domain == holder.domain:
        return
    after = msgspec.structs.replace(before, domain=holder.domain)
    for other in others_of(lease, holder.ref):
        meets = share_domain(draft.state, other, after) and not share_domain(draft.state, other, before)
        if other.kind in _USERS and meets:
            refusal = AddressInUse(
                f"{hold_text(draft.state, lease, other)}; two interfaces there cannot have one MAC address.",
                target="privateMacAddress",
            )
            raise about(refusal, MAC_SCOPE, mac, holder.ref)
    now_in = place_text(draft.state, holder.domain) if holder.domain else "no subnet"
    holders = tuple(after if one is before else one for one in lease.holders)
    draft.turn(lease, msgspec.structs.replace(lease, holders=holders), "moved", f"now in {now_in}")
