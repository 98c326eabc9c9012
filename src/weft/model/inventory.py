"""What somebody else runs: hosts with the ranges they draw from, machines, their interfaces and checkpoints.

The body of POST /weft/v1/audits, one of the files that `weft audit` and `weft import` read, and what the readers of
other formats (weft.cli.inventory_*) make. Every member may be left out; unknown ones are refused, since a slip of
the pen would make a finding vanish. docs/inventory.md explains it with an example.
"""

from typing import Annotated, Any, Literal

import msgspec

Mode = Literal["static", "dynamic", "Static", "Dynamic"]
Power = Literal["running", "off", "saved", "Running", "Off", "Saved"]
Vlan = Annotated[int, msgspec.Meta(ge=0, le=4094)]


class _Noun(
    msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Read strictly, written without what is not said."""


class DynamicMacRange(_Noun, frozen=True):
    """The range from which a host's hypervisor draws dynamic addresses, both ends included."""

    first: str = ""
    last: str = ""
    cursor: str = ""
    """The address that it drew last, where that is known (Hyper-V: CurrentMacAddress)."""


class Switch(_Noun, frozen=True):
    """A virtual switch, bridge or network of a host."""

    name: str
    segment: str = ""
    """The L2 segment behind it: switches of one segment are one broadcast domain, on whatever host. Empty: its name."""


class Host(_Noun, frozen=True):
    """A hypervisor."""

    name: str
    type: str = ""
    """hyperv, libvirt, vmware, ...; decides which commands a remedy names and which addresses are its vendor's."""
    cluster: str = ""
    """Machines that are `clustered` may come to run on any host of the same cluster."""
    dynamic_mac_range: DynamicMacRange | None = None
    addresses: tuple[str, ...] = ()
    """IP addresses of the host itself, the management address first."""
    switches: tuple[Switch, ...] = ()
    managed_by: str = ""
    """scvmm or vcenter: whose tools a remedy names; empty: the host's own."""


class Adapter(_Noun, frozen=True):
    """A network interface of a machine."""

    name: str = ""
    mac: str = ""
    """In any notation; empty or zeros: none yet."""
    mode: Mode = "static"
    """static, or dynamic: the hypervisor draws it from its host's range."""
    network: str = ""
    """The network that it is in, if it has a name beyond the host's switch: an L2 domain of its own on all hosts."""
    vlan: Vlan | None = None
    """None and 0: untagged."""
    switch: str = ""
    ip_addresses: tuple[str, ...] = ()


class MachineCheckpoint(_Noun, frozen=True):
    """A checkpoint of a machine: what would come back with it."""

    name: str = ""
    interfaces: tuple[Adapter, ...] = ()


class Machine(_Noun, frozen=True):
    """A virtual machine."""

    name: str
    id: str = ""
    """As the hypervisor knows it. The same id on two hosts is one machine that is being moved."""
    host: str = ""
    power: Power = "off"
    clustered: bool = False
    possible_hosts: tuple[str, ...] = ()
    """Hosts that it may come to run on, beside its own."""
    interfaces: tuple[Adapter, ...] = ()
    checkpoints: tuple[MachineCheckpoint, ...] = ()
    is_template: bool = False
    is_replica: bool = False
    """A standby copy that runs only when its primary does not."""


class AddressPool(_Noun, frozen=True):
    """A range that somebody manages by other means (SCVMM, a spreadsheet, Weft), both ends included."""

    name: str
    first: str
    last: str


class Inventory(_Noun, frozen=True):
    """All of it. Hosts that only machines name are hosts of which nothing else is known."""

    hosts: tuple[Host, ...] = ()
    machines: tuple[Machine, ...] = ()
    mac_pools: tuple[AddressPool, ...] = ()


def schema() -> dict[str, Any]:
    """JSON Schema of an inventory."""
    found = msgspec.json.schema(Inventory)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Weft inventory", **found}
