"""What one host keeps of Hyper-V Network Virtualization, version 1: in memory, so it is gone when the host restarts.

Rules as its users met them: VSIDs above 4095, one route for each VSID, no customer gateway that ends in .1.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec

LOWEST_VSID, HIGHEST_VSID = 4096, 16777214
RULES = ("TranslationMethodNat", "TranslationMethodEncap", "TranslationMethodNone")
TYPES = ("Static", "Dynamic", "GatewayWildcard", "L2Only")


class Refused(Exception):
    """The text is that of the CIM provider."""


class Lookup(msgspec.Struct):
    customer_address: str
    virtual_subnet_id: int
    mac_address: str
    provider_address: str
    rule: str
    type: str = "Static"
    vm_name: str = ""
    context: str = ""
    customer_id: str = "{00000000-0000-0000-0000-000000000000}"
    use_vm_mac_address: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        return _address(self.customer_address), self.virtual_subnet_id, self.mac_address.upper(), self.type


class CustomerRoute(msgspec.Struct):
    routing_domain_id: str
    virtual_subnet_id: int
    destination_prefix: str
    next_hop: str
    metric: int = 0


class ProviderAddress(msgspec.Struct):
    provider_address: str
    interface_index: int
    prefix_length: int
    vlan_id: int = 0
    mac_address: str = ""
    state: str = "Preferred"
    """Duplicate where the address is in use on the provider network."""


class ProviderRoute(msgspec.Struct):
    interface_index: int
    destination_prefix: str
    next_hop: str
    metric: int = 0


class NetworkRecords:
    """All four kinds, and the one setting."""

    def __init__(self) -> None:
        self.lookups: list[Lookup] = []
        self.customer_routes: list[CustomerRoute] = []
        self.provider_addresses: list[ProviderAddress] = []
        self.provider_routes: list[ProviderRoute] = []
        self.use_external_router = False

    def add_lookup(self, record: Lookup) -> Lookup:
        """Raises Refused."""
        _check_vsid(record.virtual_subnet_id)
        _address(record.customer_address)
        _address(record.provider_address)
        if record.rule not in RULES or record.type not in TYPES:
            raise Refused("The parameter is incorrect.")
        if record.use_vm_mac_address and record.rule != "TranslationMethodNat":
            raise Refused("The parameter is incorrect.")
        if any(each.key == record.key for each in self.lookups):
            raise Refused("The object already exists.")
        self.lookups.append(record)
        return record

    def add_customer_route(self, route: CustomerRoute) -> CustomerRoute:
        """Raises Refused."""
        _check_vsid(route.virtual_subnet_id)
        _prefix(route.destination_prefix)
        hop = int(_address(route.next_hop))
        if any(each.virtual_subnet_id == route.virtual_subnet_id for each in self.customer_routes):
            raise Refused("The object already exists.")
        if hop & 0xFF == 1:
            raise Refused("The parameter is incorrect.")
        self.customer_routes.append(route)
        return route

    def add_provider_address(self, address: ProviderAddress) -> ProviderAddress:
        """Raises Refused."""
        own = _address(address.provider_address)
        if not 0 < address.prefix_length <= own.max_prefixlen:
            raise Refused("The parameter is incorrect.")
        if any(_address(each.provider_address) == own for each in self.provider_addresses):
            raise Refused("The object already exists.")
        self.provider_addresses.append(address)
        return address

    def add_provider_route(self, route: ProviderRoute) -> ProviderRoute:
        """Raises Refused."""
        prefix, _ = _prefix(route.destination_prefix), _address(route.next_hop)
        for each in self.provider_routes:
            if each.interface_index == route.interface_index and _prefix(each.destination_prefix) == prefix:
                raise Refused("The object already exists.")
        self.provider_routes.append(route)
        return route


def _check_vsid(vsid: int) -> None:
    if not LOWEST_VSID <= vsid <= HIGHEST_VSID:
        raise Refused("The parameter is incorrect.")


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise Refused("The parameter is incorrect.") from None


def _prefix(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError:
        raise Refused("The parameter is incorrect.") from None
