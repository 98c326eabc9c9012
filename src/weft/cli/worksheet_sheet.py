"""A worksheet as a whole: its hosts, provider subnets, virtual networks and machines, where its rows agree.

Called by weft.cli.worksheet_command with the rows of weft.cli.worksheet. Promises: a Sheet of which the controller
refuses nothing for what the sheet itself says, or every fault, each at its cell.
"""

import ipaddress
from collections.abc import Callable, Iterable

import msgspec

from weft.cli.worksheet import Place, Row
from weft.model.values import IpAddress, IpPrefix, gateway_of, lies_in

LENGTHS = {4: 24, 6: 64}
"""Of a prefix whose length no cell says: source worksheets leave it out, and mean these."""

Blame = Callable[[int, str, str], None]
"""Notes a fault: line, column, message."""


class SheetHost(msgspec.Struct):
    name: str
    line: int
    provider: IpAddress
    prefix: IpPrefix
    gateway: IpAddress | None = None


class SheetSubnet(msgspec.Struct):
    """A virtual subnet. `prefixes` holds one of each family that it has, by version."""

    vsid: int
    network: str
    prefixes: dict[int, IpPrefix]
    line: int


class SheetInterface(msgspec.Struct):
    """What one machine has in one virtual subnet."""

    vsid: int
    mac: str
    addresses: list[IpAddress]


class SheetMachine(msgspec.Struct):
    name: str
    host: str
    interfaces: list[SheetInterface]


class Sheet(msgspec.Struct, frozen=True):
    """In the order of the rows; machines, hosts and networks by their names in lower case."""

    hosts: dict[str, SheetHost]
    subnets: dict[int, SheetSubnet]
    machines: dict[str, SheetMachine]


def understand(rows: list[Row], unread: set[str], blame: Blame) -> Sheet:
    """What the rows say together; what they disagree in is blamed on the later one. Of hosts in `unread` more rows
    were there."""
    hosts = _hosts(rows, unread, blame)
    _check_gateways(hosts, rows, blame)
    placed = [row for row in rows if row.customer is not None]
    subnets = _subnets(placed, blame)
    _check_customers(placed, subnets, blame)
    return Sheet(hosts, subnets, _machines(placed, hosts, blame))


def provider_prefixes(hosts: Iterable[SheetHost]) -> list[IpPrefix]:
    """The provider subnets, in the order of the hosts."""
    return list(dict.fromkeys(host.prefix for host in hosts))


def _hosts(rows: list[Row], unread: set[str], blame: Blame) -> dict[str, SheetHost]:
    lengths = _lengths([(row.provider, "") for row in rows])
    hosts: dict[str, SheetHost] = {}
    owners: dict[IpAddress, SheetHost] = {}
    without = {row.host.lower(): row for row in reversed(rows)}
    for row in rows:
        if row.provider is None:
            continue
        found = hosts.get(row.host.lower())
        address = row.provider.address
        if found is None:
            prefix = _prefix(row.provider, lengths.get(("", address.version)))
            found = hosts[row.host.lower()] = SheetHost(row.host, row.line, address, prefix, row.gateway)
            why = _why_no_host_address(address, prefix)
            if why:
                blame(row.line, "provider address", why)
        elif found.provider != address:
            text = f"{row.host} has {found.provider} in line {found.line}; give a host one provider address"
            blame(row.line, "provider address", text)
        elif row.provider.length not in (None, found.prefix.prefixlen):
            blame(row.line, "provider address", f"line {found.line} says /{found.prefix.prefixlen}; write one of them")
        other = owners.setdefault(address, found)
        if other is not found and found.line == row.line:
            blame(row.line, "provider address", f"{address} is {other.name}'s in line {other.line}; choose another")
        if row.gateway is not None and found.gateway not in (None, row.gateway):
            blame(row.line, "gateway", f"{row.host} has {found.gateway} above; write one of them")
        found.gateway = found.gateway or row.gateway
    for name in without.keys() - hosts.keys() - unread:
        text = f"no row of {without[name].host} says its provider address; fill it in once"
        blame(without[name].line, "provider address", text)
    return hosts


def _check_gateways(hosts: dict[str, SheetHost], rows: list[Row], blame: Blame) -> None:
    """Hosts of several provider subnets reach each other by a router; unless said it has each one's first address."""
    prefixes = provider_prefixes(hosts.values())
    for one in prefixes:
        for other in prefixes:
            if one != other and lies_in(one, other):
                host = next(host for host in hosts.values() if host.prefix == one)
                blame(host.line, "provider address", f"{one} lies in {other}; write the same length for both")
    taken = {host.provider: host for host in hosts.values()}
    for host in hosts.values():
        if host.gateway is None and len(prefixes) > 1:
            host.gateway = gateway_of(host.prefix)
        if host.gateway is None:
            continue
        line = next((row.line for row in rows if row.gateway == host.gateway), host.line)
        if host.gateway not in host.prefix:
            blame(line, "gateway", f"{host.gateway} is not in {host.prefix} of {host.name}; name the router there")
        elif host.gateway in taken:
            text = (
                f"{host.gateway} is both {taken[host.gateway].name}'s and the router's of {host.prefix}; add a column"
            )
            blame(taken[host.gateway].line, "provider address", f"{text} gateway, or choose another")


def _subnets(rows: list[Row], blame: Blame) -> dict[int, SheetSubnet]:
    lengths = _lengths([(row.customer, row.vsid) for row in rows])
    subnets: dict[int, SheetSubnet] = {}
    for row in rows:
        assert row.customer is not None
        version = row.customer.address.version
        prefix = _prefix(row.customer, lengths.get((row.vsid, version)))
        name = row.network or f"vsid-{row.vsid}"
        found = subnets.setdefault(row.vsid, SheetSubnet(row.vsid, name, {}, row.line))
        if row.network and row.network.lower() != found.network.lower():
            text = f"VSID {row.vsid} is {found.network}'s in line {found.line}; a virtual subnet is of one network"
            blame(row.line, "network", text)
        known = found.prefixes.setdefault(version, prefix)
        if known != prefix:
            text = f"{row.customer.address}/{prefix.prefixlen} is not in {known}, which VSID {row.vsid} has; "
            blame(row.line, "customer address", f"{text}write another address, length or VSID")
    for subnet in subnets.values():
        for other in subnets.values():
            clash = _overlap(subnet, other) if subnet.line > other.line else None
            if clash is not None:
                text = f"{clash} overlaps VSID {other.vsid} of network {other.network}; networks that share"
                blame(subnet.line, "customer address", f"{text} addresses are networks of their own")
    return subnets


def _overlap(subnet: SheetSubnet, other: SheetSubnet) -> IpPrefix | None:
    if subnet.network.lower() != other.network.lower():
        return None
    return next((one for version, one in subnet.prefixes.items() if _meet(one, other.prefixes.get(version))), None)


def _meet(one: IpPrefix, other: IpPrefix | None) -> bool:
    return other is not None and one.overlaps(other)


def _check_customers(rows: list[Row], subnets: dict[int, SheetSubnet], blame: Blame) -> None:
    seen: dict[tuple[str, IpAddress], Row] = {}
    macs: dict[str, Row] = {}
    for row in rows:
        assert row.customer is not None
        address = row.customer.address
        prefix = subnets[row.vsid].prefixes[address.version]
        why = _why_no_host_address(address, prefix)
        if not why and address == gateway_of(prefix):
            why = f"{address} is the router's in {prefix}, as the lowest is; choose another"
        if why:
            blame(row.line, "customer address", why)
        network = subnets[row.vsid].network
        other = seen.setdefault((network.lower(), address), row)
        if other is not row:
            text = f"{address} is {other.machine}'s in network {network} in line {other.line}; choose another"
            blame(row.line, "customer address", text)
        holder = macs.setdefault(row.mac, row) if row.mac else row
        if (holder.machine.lower(), holder.vsid) != (row.machine.lower(), row.vsid):
            blame(row.line, "MAC", f"{row.mac} is {holder.machine}'s in line {holder.line}; every adapter has its own")


def _machines(rows: list[Row], hosts: dict[str, SheetHost], blame: Blame) -> dict[str, SheetMachine]:
    machines: dict[str, SheetMachine] = {}
    for row in rows:
        assert row.customer is not None
        found = machines.setdefault(row.machine.lower(), SheetMachine(row.machine, row.host, []))
        if found.host.lower() != row.host.lower():
            blame(row.line, "host", f"{row.machine} is on {found.host} above; a machine is on one host")
        if row.machine.lower() in hosts:
            blame(row.line, "machine", f"{row.machine} is a host's name too; rename one")
        same = [one for one in found.interfaces if one.vsid == row.vsid and row.mac in ("", one.mac)]
        interface = same[0] if same else SheetInterface(row.vsid, row.mac, [])
        if not same:
            found.interfaces.append(interface)
        interface.addresses.append(row.customer.address)
    return machines


def _lengths(places: Iterable[tuple[Place | None, int | str]]) -> dict[tuple[int | str, int], int]:
    """The first length that is said of a subnet, by its key and family: it goes for the cells that say none."""
    found: dict[tuple[int | str, int], int] = {}
    for place, key in places:
        if place is not None and place.length is not None:
            found.setdefault((key, place.address.version), place.length)
    return found


def _prefix(place: Place, said: int | None) -> IpPrefix:
    length = place.length if place.length is not None else said
    version = place.address.version
    return ipaddress.ip_network((place.address, LENGTHS[version] if length is None else length), strict=False)


def _why_no_host_address(address: IpAddress, prefix: IpPrefix) -> str:
    """Empty for an address that one machine can have."""
    if prefix.num_addresses <= 2:
        return ""
    if address == prefix.network_address:
        return f"{address} is the address of the subnet {prefix} itself; choose another"
    if address == prefix.broadcast_address and address.version == 4:
        return f"{address} is the broadcast address of {prefix}; choose another"
    return ""
