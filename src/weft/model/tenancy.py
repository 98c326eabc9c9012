"""Tenants' networks: a virtual network is one routing domain, a virtual subnet one VSID (MS-NCNBI 3.1.5.18)."""

import msgspec

from weft.model.fabric import ExcludedRange
from weft.model.resources import Ref, Resource


class _Properties(msgspec.Struct, frozen=True, gc=False, rename="camel", kw_only=True):
    """See weft.model.fabric."""


class AddressSpace(_Properties, frozen=True):
    address_prefixes: tuple[str, ...] = ()


class DhcpOptions(_Properties, frozen=True):
    dns_servers: tuple[str, ...] = ()


class VirtualSubnetProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.18.2. `virtual_subnet_id` may be asked for (our extension); 0 means grant one."""

    address_prefix: str = ""
    virtual_subnet_id: int = 0
    dual_stack_subnet: Ref | None = None
    cool_down_seconds: int = 3600
    excluded: tuple[ExcludedRange, ...] = ()
    """Ours: addresses that are never granted, with the reason."""
    warn_at_percent: int = 80


class VirtualNetworkProperties(_Properties, frozen=True):
    """MS-NCNBI 3.1.5.18. The instanceId is the RDID; `routing_domain_number` its 32-bit short form, never answered."""

    logical_network: Ref | None = None
    address_space: AddressSpace = AddressSpace()
    dhcp_options: DhcpOptions = DhcpOptions()
    subnets: tuple[Resource[VirtualSubnetProperties], ...] = ()
    routing_domain_number: int = 0
