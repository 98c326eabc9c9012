"""The host itself: its range of MAC addresses, its boot, its registry, services, physical adapters, what it can do."""

from collections.abc import Iterator
from typing import Any

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.spec import Spec, listed, mac_of, refused, text
from weft.fakes.hyperv.host import FakeHost, HyperVError, NetAdapter
from weft.fakes.hyperv.powershell.comparison import wildcard
from weft.fakes.hyperv.powershell.conversion import cast
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import EnumValue, Moment, Record
from weft.model.values import mac_dashes

VIRTUALIZATION_KEY = "hklm:\\software\\microsoft\\windows nt\\currentversion\\virtualization"
_ENDS = ("MinimumMacAddress", "MaximumMacAddress")


def _get_host(host: FakeHost, call: Call) -> Iterator[Record]:
    yield objects.host_settings(host)


def _set_host(host: FakeHost, call: Call) -> Iterator[Record]:
    """Addresses already given stay as they are."""
    first = mac_of(text(call, "MacAddressMinimum")) if call.has("MacAddressMinimum") else host.range.first
    last = mac_of(text(call, "MacAddressMaximum")) if call.has("MacAddressMaximum") else host.range.last
    if first > last:
        raise refused("The minimum MAC address must be less than or equal to the maximum MAC address.")
    host.set_range(first, last)
    host.range_in_registry = True
    host.machine_path = text(call, "VirtualMachinePath", host.machine_path)
    host.disk_path = text(call, "VirtualHardDiskPath", host.disk_path)
    host.changed()
    if call.get("Passthru", False):
        yield objects.host_settings(host)


def _cim(host: FakeHost, call: Call) -> Iterator[Record]:
    kind = text(call, "ClassName")
    match kind.lower():
        case "win32_operatingsystem":
            values = {"LastBootUpTime": Moment(host.booted), "CSName": host.name.upper(), "Version": "10.0.20348"}
            yield Record(values, "Win32_OperatingSystem")
        case "win32_computersystem":
            yield Record({"Name": host.name.upper(), "DNSHostName": host.name}, "Win32_ComputerSystem")
        case _:
            raise NotUnderstood(f"the CIM class {kind}")


# -- the registry: one key, which holds the ends of the range


def _check_key(call: Call) -> None:
    path = text(call, "LiteralPath") or text(call, "Path")
    if path.lower().rstrip("\\") != VIRTUALIZATION_KEY:
        raise NotUnderstood(f"the registry key {path}")


def _get_property(host: FakeHost, call: Call) -> Iterator[Record]:
    _check_key(call)
    ends = (host.range.first, host.range.last)
    values: dict[str, Any] = dict.fromkeys(_ENDS)
    if host.range_in_registry:
        values = {name: list(mac.to_bytes(6, "big")) for name, mac in zip(_ENDS, ends, strict=True)}
    yield Record(values, "RegistryKey")


def _remove_property(host: FakeHost, call: Call) -> Iterator[Record]:
    """The range is made anew when the management service starts next."""
    _check_key(call)
    for name in call.texts("Name"):
        if name.lower() not in [each.lower() for each in _ENDS]:
            raise NotUnderstood(f"the registry value {name}")
        if not host.range_in_registry and name.lower() == _ENDS[0].lower():
            raise HyperVError(f"Property {name} does not exist at path {VIRTUALIZATION_KEY}.", id="PropertyNotFound")
    host.range_in_registry = False
    yield from ()


# -- services


def _services(host: FakeHost) -> dict[str, str]:
    return {"vmms": "Running", "ClusSvc": "Running" if host.cluster else "Stopped", "WinRM": "Running"}


def _get_service(host: FakeHost, call: Call) -> Iterator[Record]:
    for name in call.texts("Name"):
        if name.lower() not in [each.lower() for each in _services(host)] and "*" not in name:
            raise HyperVError(
                f"Cannot find any service with service name '{name}'.",
                id="NoServiceFoundForGivenName",
                category="ObjectNotFound",
            )
    wanted = [wildcard(each) for each in call.texts("Name")]
    for name, status in _services(host).items():
        if not wanted or any(each.fullmatch(name) for each in wanted):
            yield Record({"Name": name, "Status": EnumValue(status, 4 if status == "Running" else 1)}, "Service")


def _restart_service(host: FakeHost, call: Call) -> Iterator[Record]:
    """Machines run on. What the registry no longer says, the management service makes anew."""
    if [each.lower() for each in call.texts("Name")] != ["vmms"]:
        raise NotUnderstood("restarting another service than vmms")
    if not host.range_in_registry:
        host.forget_range()
        host.range_in_registry = True
    yield from ()


# -- physical adapters


def _chosen(host: FakeHost, call: Call) -> list[NetAdapter]:
    names = call.texts("Name")
    indexes = [cast("int", each) for each in listed(call.get("InterfaceIndex"))] if call.has("InterfaceIndex") else []
    for name in names:
        if "*" not in name and all(each.name.lower() != name.lower() for each in host.net_adapters):
            raise HyperVError(
                f"No MSFT_NetAdapter objects found with property 'Name' equal to '{name}'.  Verify the value of the "
                "property and retry.",
                id="CmdletizationQuery_NotFound_Name",
                category="ObjectNotFound",
            )
    return [
        each
        for each in host.net_adapters
        if (not names or any(wildcard(name).fullmatch(each.name) for name in names))
        and (not indexes or each.index in indexes)
    ]


def _get_adapter(host: FakeHost, call: Call) -> Iterator[Record]:
    for each in _chosen(host, call):
        yield Record(
            {
                "Name": each.name,
                "InterfaceIndex": each.index,
                "ifIndex": each.index,
                "MacAddress": mac_dashes(each.mac),
                "Status": "Up" if each.up else "Disconnected",
            },
            "NetAdapter",
            each.name,
        )


def _get_binding(host: FakeHost, call: Call) -> Iterator[Record]:
    wanted = [each.lower() for each in call.texts("ComponentID")]
    for adapter in _chosen(host, call):
        for component, enabled in adapter.bindings.items():
            if not wanted or component.lower() in wanted:
                values = {"Name": adapter.name, "ComponentID": component, "Enabled": enabled}
                yield Record(values, "NetAdapterBinding", (adapter, component))


def _enable_binding(host: FakeHost, call: Call) -> Iterator[Record]:
    if call.has("InputObject"):
        for one in listed(call.get("InputObject")):
            adapter, component = one.subject
            adapter.bindings[component] = True
        return
    wanted = text(call, "ComponentID")
    for adapter in _chosen(host, call):
        if wanted.lower() not in adapter.bindings:
            raise HyperVError(
                f"No matching MSFT_NetAdapterBindingSettingData objects found by CIM query for '{wanted}'.",
                id="CmdletizationQuery_NotFound",
                category="ObjectNotFound",
            )
        adapter.bindings[wanted.lower()] = True
        yield from ()


SETTINGS = (
    Spec("Get-VMHost", _get_host),
    Spec(
        "Set-VMHost", _set_host, "MacAddressMaximum MacAddressMinimum VirtualHardDiskPath VirtualMachinePath Passthru"
    ),
    Spec("Get-CimInstance", _cim, "@ClassName! Property"),
    Spec("Get-ItemProperty", _get_property, "@Path LiteralPath Name"),
    Spec("Remove-ItemProperty", _remove_property, "@Path LiteralPath @Name! Force"),
    Spec("Get-Service", _get_service, "@Name"),
    Spec("Restart-Service", _restart_service, "@Name! Force"),
    Spec("Get-NetAdapter", _get_adapter, "@Name InterfaceIndex Physical"),
    Spec("Get-NetAdapterBinding", _get_binding, "@Name ComponentID"),
    Spec("Enable-NetAdapterBinding", _enable_binding, "@Name ComponentID <InputObject"),
)
