"""The file that a worksheet comes to: what `weft apply -f` and `weft lab up` take. Pure.

Called by weft.cli.worksheet_command. The lab makes its hosts of the `lab/host` documents; `weft apply` leaves them out.
"""

from collections.abc import Iterator
from typing import Any

from weft.cli.worksheet_sheet import Sheet, SheetHost, SheetMachine, SheetSubnet, provider_prefixes
from weft.model.values import IpPrefix

PROVIDER_NETWORK = "provider"
MAC_POOL = {"startMacAddress": "00-1D-D8-B7-1C-00", "endMacAddress": "00-1D-D8-F4-1F-FF"}
"""The range that virtual machine managers begin with; another controller on the same wire needs another."""

Written = dict[str, Any]


def documents(sheet: Sheet) -> Iterator[Written]:
    """Each as the file has it, in the order in which they refer to each other."""
    for host in sheet.hosts.values():
        yield _doc("lab/host", host.name, _lab_host(host))
    yield _doc("macPools", "pool1", MAC_POOL)
    yield _doc("logicalNetworks", PROVIDER_NETWORK, _provider_network(sheet))
    for host in sheet.hosts.values():
        yield _doc("servers", host.name, {"providerAddresses": [str(host.provider)]})
    for subnets in _by_network(sheet):
        yield _doc("virtualNetworks", subnets[0].network, _network(subnets))
    for machine in sheet.machines.values():
        yield from _machine(sheet, machine)


def _doc(kind: str, name: str, properties: Written) -> Written:
    return {"kind": kind, "resourceId": name, "properties": properties}


def _ref(*path: str) -> Written:
    return {"resourceRef": "/" + "/".join(path)}


def _lab_host(host: SheetHost) -> Written:
    found = {"providerAddress": f"{host.provider}/{host.prefix.prefixlen}"}
    return found if host.gateway is None else found | {"gateway": str(host.gateway)}


def _provider_network(sheet: Sheet) -> Written:
    """Its pools hold what the sheet says and what lies between: nobody knows who has the rest."""
    subnets = []
    for number, prefix in enumerate(provider_prefixes(sheet.hosts.values()), 1):
        hosts = [host for host in sheet.hosts.values() if host.prefix == prefix]
        addresses = sorted(hosts, key=lambda host: int(host.provider))
        pool = {"startIpAddress": str(addresses[0].provider), "endIpAddress": str(addresses[-1].provider)}
        properties: Written = {"addressPrefix": str(prefix)}
        gateways = list(dict.fromkeys(str(host.gateway) for host in hosts if host.gateway is not None))
        if gateways:
            properties["defaultGateways"] = gateways
        properties["ipPools"] = [{"resourceId": "hosts", "properties": pool}]
        subnets.append({"resourceId": f"subnet{number}", "properties": properties})
    return {"networkVirtualizationEnabled": True, "subnets": subnets}


def _by_network(sheet: Sheet) -> list[list[SheetSubnet]]:
    found: dict[str, list[SheetSubnet]] = {}
    for subnet in sheet.subnets.values():
        found.setdefault(subnet.network.lower(), []).append(subnet)
    return list(found.values())


def _network(subnets: list[SheetSubnet]) -> Written:
    """The pair of prefixes of a dual-stack subnet shares its VSID, which the first one says."""
    written: list[Written] = []
    prefixes: list[IpPrefix] = []
    for subnet in subnets:
        first, *second = sorted(subnet.prefixes)
        properties: Written = {"addressPrefix": str(subnet.prefixes[first]), "virtualSubnetId": subnet.vsid}
        if second:
            other = _subnet_name(subnet.vsid, 6, True)
            properties["dualStackSubnet"] = _ref("virtualNetworks", subnets[0].network, "subnets", other)
        written.append({"resourceId": _subnet_name(subnet.vsid, first, bool(second)), "properties": properties})
        for version in second:
            pair = {"addressPrefix": str(subnet.prefixes[version])}
            written.append({"resourceId": _subnet_name(subnet.vsid, version, True), "properties": pair})
        prefixes += subnet.prefixes.values()
    return {
        "logicalNetwork": _ref("logicalNetworks", PROVIDER_NETWORK),
        "addressSpace": {"addressPrefixes": [str(prefix) for prefix in prefixes]},
        "subnets": written,
    }


def _subnet_name(vsid: int, version: int, is_pair: bool) -> str:
    return f"vsid-{vsid}-v6" if is_pair and version == 6 else f"vsid-{vsid}"


def _machine(sheet: Sheet, machine: SheetMachine) -> Iterator[Written]:
    names = []
    for number, interface in enumerate(machine.interfaces):
        subnet = sheet.subnets[interface.vsid]
        network = next(one.network for one in sheet.subnets.values() if one.network.lower() == subnet.network.lower())
        configurations = []
        for at, address in enumerate(interface.addresses, 1):
            name = _subnet_name(interface.vsid, address.version, len(subnet.prefixes) > 1)
            properties = {
                "privateIPAllocationMethod": "Static",
                "privateIPAddress": str(address),
                "subnet": _ref("virtualNetworks", network, "subnets", name),
            }
            configurations.append({"resourceId": f"ip{at}", "properties": properties})
        mac: Written = {"privateMacAllocationMethod": "Static" if interface.mac else "Dynamic"}
        mac |= {"privateMacAddress": interface.mac} if interface.mac else {}
        names.append(f"{machine.name}-eth{number}")
        yield _doc("networkInterfaces", names[-1], mac | {"ipConfigurations": configurations})
    adapters = [_ref("networkInterfaces", name) for name in names]
    yield _doc(
        "virtualMachines", machine.name, {"server": _ref("servers", machine.host), "networkInterfaces": adapters}
    )
