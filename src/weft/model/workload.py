"""Machines and their network interfaces (MS-NCNBI 3.1.5.11; virtualMachines are ours)."""

import msgspec

from weft.model.hypervisor import Hardware
from weft.model.resources import Ref, Resource


class _Properties(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """See weft.model.fabric."""


class IpConfigurationProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.11.2. Dynamic: granted at PUT and answered in `private_ip_address`."""

    private_ip_address: str | None = msgspec.field(default=None, name="privateIPAddress")
    private_ip_allocation_method: str = msgspec.field(default="", name="privateIPAllocationMethod")
    """As it is sent, empty is Dynamic; MS-NCNBI requires it. As it is stored it is never empty."""
    subnet: Ref | None = None
    is_primary: bool | None = None
    public_ip_address: Ref | None = msgspec.field(default=None, name="publicIPAddress")
    """The publicIPAddress that this address is known by outside, both ways."""
    access_control_list: Ref | None = None


class DnsSettings(_Properties, frozen=True):
    dns_servers: tuple[str, ...] = ()


class QosSettings(_Properties, frozen=True, omit_defaults=True):
    outbound_reserved_value: int | None = None
    outbound_maximum_mbps: int | None = None
    inbound_maximum_mbps: int | None = None
    enable_hardware_limits: bool | None = None


class PortSettings(_Properties, frozen=True):
    """What a port allows and how much; core.decide.port_settings has the bounds. What no host does yet is refused by
    the API (weft.api.words.GATES), never silently ignored."""

    mac_spoofing_enabled: str = "Disabled"
    arp_guard_enabled: str = "Disabled"
    dhcp_guard_enabled: str = "Disabled"
    storm_limit: int = 0
    port_flow_limit: int = 0
    vmq_weight: int = 100
    iov_weight: int = 0
    iov_interrupt_moderation: str = "Off"
    iov_queue_pairs_requested: int = 0
    qos_settings: QosSettings | None = None


class LearnedAddress(_Properties, frozen=True):
    """Ours: an address that the guest uses and that nobody gave it, in a subnet that lets guests bring addresses."""

    ip_address: str = ""
    subnet: Ref | None = None
    since: str = ""
    """RFC 3339 UTC: when this interface had it first."""
    taken_over: tuple[float, ...] = ()
    """Ledger seconds of the last times that it went from one interface to another. Never answered."""


class NetworkInterfaceProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.11. `private_mac_address` is 12 upper-case digits as stored, whatever notation came in."""

    private_mac_address: str | None = None
    private_mac_allocation_method: str = ""
    ip_configurations: tuple[Resource[IpConfigurationProperties], ...] = ()
    dns_settings: DnsSettings | None = None
    is_primary: bool = True
    is_host_virtual_network_interface: bool = False
    is_multitenant_stack: bool = False
    internal_dns_name_label: str | None = None
    port_settings: PortSettings | None = None
    server: Ref | None = None
    """Ours: where its machine will run; with `strategy` hostRange its address is granted from that server's range. Kept
    only for such an interface; answers show the server of its machine."""
    strategy: str = ""
    """Ours: where a Dynamic MAC address comes from: empty or central, hostRange, random."""
    reservation: Ref | None = None
    """Ours: grant from this reservation, or take a static address of it."""
    learned_ip_addresses: tuple[LearnedAddress, ...] = msgspec.field(default=(), name="learnedIPAddresses")
    """Ours, read-only: what its guest brings, oldest first."""


class HypervisorIdentity(_Properties, frozen=True):
    """How the hypervisor knows the machine; `type` is lab, libvirt or hyperv."""

    type: str = ""
    id: str = ""


class Move(_Properties, frozen=True):
    """A migration under way, kept with its machine so that a crash resumes it. Phases in order; failed ends it too.

    preparing: destination, source and peers are told, the machine still runs at `source`.
    switching: all have acked; the hypervisor is asked to move it.
    withdrawing: that is taken back; it stays at `source` or arrives after all, whatever the hypervisor had begun.
    switched: it runs at `destination` and records point there; the source forwards strays until all peers acked.
    """

    source: str = ""
    destination: str = ""
    phase: str = "preparing"
    generation: int = 0
    """Revision at which the move began: an older one never overtakes a newer."""


class Creation(_Properties, frozen=True):
    """The making of a machine as a whole, or its unmaking, kept with it so that a crash resumes it. Phases:

    defining: its addresses are granted; its host defines it, and is compared with the ledger.
    starting: the host has it as it should be; it starts when its ports are bound.
    undoing: the host removes it again; then it goes with its interfaces and their addresses.
    removing: it is deleted: the host removes it with the disks made for it; then it goes, its interfaces stay.
    """

    phase: str = "defining"
    generation: int = 0
    """Revision at which it began."""
    start: bool = True
    """Whether it is to run in the end."""
    failure: str = ""
    """Why it is undone."""
    since: str = ""
    """RFC 3339 UTC: when this phase began."""


class Errand(_Properties, frozen=True):
    """Something that its host's hypervisor does to a machine once. Gone when it is done; a failure stays to be read
    until the next one, or until somebody starts, stops or saves the machine."""

    number: int = 0
    """Its own; no other has it, not even after a store was put back."""
    kind: str = ""
    """checkpoint, restore, deleteCheckpoint, rewriteCheckpoint, export or copy."""
    name: str = ""
    """Of the checkpoint or export; copy: the hypervisor's id of the machine that this one is made of."""
    phase: str = "asked"
    """asked or failed."""
    failure: str = ""
    hypervisor_id: str = ""
    """The hypervisor's own id of the checkpoint, where it is known."""
    path: str = ""
    """export: the folder on the host."""
    power_state: str = ""
    """restore: what the machine was before; what it gets back if it fails."""
    ended: str = ""
    """failed: when, RFC 3339 UTC."""


class TemplateNetwork(_Properties, frozen=True):
    """An adapter that each machine made from a template gets, with addresses of its own in `subnet`."""

    subnet: Ref | None = None
    dual_stack_subnet: Ref | None = None
    """The other one of its pair, where each machine gets an address as well."""
    strategy: str = ""


class VirtualMachineProperties(_Properties, frozen=True):
    """A machine bound to a server. `power_state` is Off, Running or Saved; read-only but for creation.

    A template has `networks` instead of network interfaces, so that it holds no address; it never runs.
    """

    server: Ref | None = None
    network_interfaces: tuple[Ref, ...] = ()
    hypervisor: HypervisorIdentity | None = None
    power_state: str = "Off"
    move: Move | None = None
    is_template: bool = False
    networks: tuple[TemplateNetwork, ...] = ()
    hardware: Hardware | None = None
    """Ours: what to define it from on its server's hypervisor; None where that has it already."""
    inactive: str = ""
    """Why its host no longer knows it (deleted outside, its server removed); read-only, empty while all is well."""
    creation: Creation | None = None
    """While it is being made as a whole, or deleted with its disks; read-only."""
    errand: Errand | None = None
    """Read-only."""
    made_as: str = ""
    """Of one that was made as a whole: digest of the request, to know that again, or what it is a copy of; never
    answered."""


class CapturedAddress(_Properties, frozen=True):
    """An ipConfiguration as it was. `subnet` names it by reference; the address is canonical text."""

    resource_id: str = ""
    private_ip_address: str | None = msgspec.field(default=None, name="privateIPAddress")
    private_ip_allocation_method: str = msgspec.field(default="Dynamic", name="privateIPAllocationMethod")
    subnet: Ref | None = None
    access_control_list: Ref | None = None


class CapturedInterface(_Properties, frozen=True):
    """A network interface as it was when a checkpoint or an export was made."""

    network_interface: Ref | None = None
    mac_address: str = ""
    """AA-BB-CC-DD-EE-FF; empty if it had none yet."""
    private_mac_allocation_method: str = "Dynamic"
    ip_addresses: tuple[CapturedAddress, ...] = ()


class CaptureProperties(_Properties, frozen=True):
    """A checkpoint or an export of a machine: what would come back with it. What it names is held until it goes."""

    virtual_machine: Ref | None = None
    network_interfaces: tuple[CapturedInterface, ...] = ()
    power_state: str = "Off"
    created: str = ""
    """RFC 3339 UTC."""
    hypervisor_id: str = ""
    """Of a checkpoint that the machine's host has too: the hypervisor's own id of it."""
