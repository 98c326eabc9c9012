"""PUT and DELETE of networkInterfaces (MS-NCNBI 3.1.5.11): one MAC address for life, and its ipConfigurations.

The addresses themselves are taken by core.decide.ip_configurations and core.decide.holding.
"""

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.holding import about, can_meet, grant_mac, hold_mac, release
from weft.core.decide.ip_configurations import addresses_of, settle_addresses
from weft.core.decide.parsing import ip_texts
from weft.core.words import hold_text, place_text
from weft.model.errors import AddressInUse, Conflict, Invalid, InvalidMacAddress
from weft.model.leases import MAC_SCOPE, Holder, Lease
from weft.model.resources import Resource
from weft.model.values import Mac, mac_digits, parse_mac
from weft.model.workload import DnsSettings, NetworkInterfaceProperties, PortSettings

Interface = Resource[NetworkInterfaceProperties]

_METHODS = {"dynamic": "Dynamic", "static": "Static"}


def settle(draft: Draft, sent: Interface, old: Interface | None) -> NetworkInterfaceProperties:
    """The properties as they will be stored, addresses included. Raises a Refusal."""
    p = sent.properties
    ref = f"/networkInterfaces/{sent.resource_id}"
    method = _method(p, old)
    _check_fixed(p, old)
    _check_served(p)
    _note_place(draft, sent.resource_id)
    configurations, domain = settle_addresses(draft, ref, p, old)
    holder = Holder("networkInterface", ref, domain, method == "Dynamic")
    mac = _mac(draft, p, old, holder)
    return NetworkInterfaceProperties(
        private_mac_address=mac_digits(mac),
        private_mac_allocation_method=method,
        ip_configurations=configurations,
        dns_settings=_dns_settings(p),
        is_primary=p.is_primary,
        is_host_virtual_network_interface=p.is_host_virtual_network_interface,
        is_multitenant_stack=p.is_multitenant_stack,
        internal_dns_name_label=p.internal_dns_name_label or None,
        port_settings=p.port_settings,
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
    for scope, address in addresses_of(draft.state, old):
        release(draft, scope, address, ref, f"{ref} deleted")
    release(draft, MAC_SCOPE, mac_of(old), ref, f"{ref} deleted")


def _note_place(draft: Draft, interface: str) -> None:
    """Let the history say on which machine and host the addresses change."""
    machine = draft.state.machine_of(interface)
    if machine is not None:
        draft.machine = machine.resource_id
        server = machine.properties.server
        draft.host = server.resource_ref.rpartition("/")[2] if server is not None else ""


def _method(p: NetworkInterfaceProperties, old: Interface | None) -> str:
    method = _METHODS.get(p.private_mac_allocation_method.lower())
    if method is None:
        raise Invalid(
            f"privateMacAllocationMethod is required: Static or Dynamic, not '{p.private_mac_allocation_method}'.",
            target="privateMacAllocationMethod",
        )
    if old is not None and old.properties.private_mac_allocation_method != method:
        raise Invalid(
            "privateMacAllocationMethod is fixed when the interface is created.",
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

    internalDnsNameLabel is kept: it means something only once an iDnsServer is configured (MS-NCNBI 3.1.5.11).
    """
    name = ""
    if p.is_multitenant_stack:
        name = "isMultitenantStack"
    elif p.port_settings is not None:
        name = _unserved_port_setting(p.port_settings)
    if name:
        raise Invalid(f"{name} is not served yet: leave it out.", code="OperationNotSupported", target=name)


def _unserved_port_setting(settings: PortSettings) -> str:
    """ARP guard needs nothing, since every port has it; vmq and iov weights steer hardware that we do not drive."""
    if settings.mac_spoofing_enabled.lower() == "enabled":
        return "portSettings.macSpoofingEnabled"
    if settings.dhcp_guard_enabled.lower() == "enabled":
        return "portSettings.dhcpGuardEnabled"
    if settings.storm_limit:
        return "portSettings.stormLimit"
    if settings.port_flow_limit:
        return "portSettings.portFlowLimit"
    if settings.qos_settings is not None and any(msgspec.structs.astuple(settings.qos_settings)):
        return "portSettings.qosSettings"
    return ""


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


def mac_of(interface: Interface) -> Mac:
    """The MAC address of a stored interface."""
    return Mac(int(interface.properties.private_mac_address or "0", 16))


def _mac(draft: Draft, p: NetworkInterfaceProperties, old: Interface | None, holder: Holder) -> Mac:
    """The interface's address: granted once, kept after that, or the one that the client asks for."""
    if old is None:
        return grant_mac(draft, holder) if holder.granted else _hold_asked(draft, p, holder)
    kept = mac_of(old)
    if not holder.granted and _asked(p) != kept:
        mac = _hold_asked(draft, p, holder)
        release(draft, MAC_SCOPE, kept, holder.ref, "another static address was asked for")
        return mac
    _follow_domain(draft, kept, holder)
    return kept


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


def _hold_asked(draft: Draft, p: NetworkInterfaceProperties, holder: Holder) -> Mac:
    mac = _asked(p)
    hold_mac(draft, mac, holder)
    return mac


def _follow_domain(draft: Draft, mac: Mac, holder: Holder) -> None:
    """The interface went to another L2 domain: it may meet others there."""
    lease = draft.lease(MAC_SCOPE, mac)
    assert lease is not None
    holders = tuple(holder if one.ref.lower() == holder.ref.lower() else one for one in lease.holders)
    if holders == lease.holders:
        return
    for other in holders:
        if other is not holder and can_meet(other, holder):
            refusal = AddressInUse(
                f"{hold_text(draft.state, lease, other)}; two interfaces there cannot have one MAC address.",
                target="privateMacAddress",
            )
            raise about(refusal, MAC_SCOPE, mac, holder.ref)
    now_in = place_text(draft.state, holder.domain) if holder.domain else "no subnet"
    draft.turn(lease, Lease(MAC_SCOPE, mac, lease.state, holders), "moved", f"now in {now_in}")
