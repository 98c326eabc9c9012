"""The port profile feature of adapters: template, read, add the first time, set from then on."""

from collections.abc import Iterator
from typing import Any

from weft.fakes.hyperv.cmdlets import objects
from weft.fakes.hyperv.cmdlets.adapters import Found
from weft.fakes.hyperv.cmdlets.spec import Spec, adapter_of, listed, machines
from weft.fakes.hyperv.host import FakeHost, HyperVError
from weft.fakes.hyperv.machine import Nic, Profile
from weft.fakes.hyperv.powershell.comparison import wildcard
from weft.fakes.hyperv.powershell.conversion import cast
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Call
from weft.fakes.hyperv.powershell.values import Guid, Record

PORT_PROFILE = "9940cd46-8b06-43bb-b9d5-93d50381fd56"
_EXTENSION = "11ec6134-128a-4a23-b12f-164184b48348"
_FEATURE = "VMSwitchExtensionPortFeature"
_TEXTS = {"ProfileId": 38, "NetCfgInstanceId": 38, "VendorId": 38}
_LABELS = {"CdnLabelString": 127, "ProfileName": 127, "VendorName": 127}
_NUMBERS = ("CdnLabelId", "ProfileData", "PciBusNumber", "PciDeviceNumber", "PciFunctionNumber", "PciSegmentNumber")
_BLANK: dict[str, Any] = {**dict.fromkeys([*_TEXTS, *_LABELS], ""), **dict.fromkeys(_NUMBERS, 0)}


def _check_feature(call: Call) -> None:
    wanted = cast("guid", call.get("FeatureId")) if call.has("FeatureId") else None
    if wanted != Guid(PORT_PROFILE):
        raise NotUnderstood("a feature other than the port profile")


def _record(values: dict[str, Any], instance: str, subject: object = None) -> Record:
    settings = Record({"InstanceID": instance, **values}, "Msvm_EthernetSwitchPortProfileSettingData")
    return Record(
        {
            "Id": Guid(PORT_PROFILE),
            "ExtensionId": Guid(_EXTENSION),
            "Name": "Ethernet Switch Port Profile Settings",
            "SettingData": settings,
        },
        _FEATURE,
        subject,
    )


def _template(host: FakeHost, call: Call) -> Iterator[Record]:
    _check_feature(call)
    yield _record(dict(_BLANK), f"Microsoft:Definition\\{PORT_PROFILE.upper()}\\Default")


def _chosen(host: FakeHost, call: Call) -> Iterator[Found]:
    if call.has("VMNetworkAdapter"):
        for one in listed(call.get("VMNetworkAdapter")):
            yield adapter_of(host, one)
        return
    wanted = [wildcard(each) for each in call.texts("VMNetworkAdapterName")]
    for vm in machines(host, call, "VMName"):
        for nic in vm.nics:
            if not wanted or any(each.fullmatch(nic.name) for each in wanted):
                yield vm, None, nic


def _get(host: FakeHost, call: Call) -> Iterator[Record]:
    _check_feature(call)
    for vm, taken, nic in list(_chosen(host, call)):
        if nic.profile is not None:
            # the setting's id begins with that of the adapter's connection, which begins with the adapter's [?]
            instance = f"{objects.adapter_id(vm, nic, taken)}\\C\\{PORT_PROFILE.upper()}\\{nic.id.upper()}"
            yield _record(dict(nic.profile.values), host.feature_ids or instance, (vm.id, nic.id))


def _profile(call: Call) -> Profile:
    """Of -VMSwitchExtensionFeature. Raises HyperVError where a value does not fit its field."""
    feature = call.get("VMSwitchExtensionFeature")
    if not isinstance(feature, Record) or feature.kind != _FEATURE:
        raise NotUnderstood("-VMSwitchExtensionFeature with something else than a feature")
    values = {name: value for name, value in feature.get("SettingData").items() if name != "InstanceID"}
    for name, longest in (_TEXTS | _LABELS).items():
        if len(str(values[name])) > longest:
            raise HyperVError(f"Failed to apply feature settings. {name} is longer than {longest} characters.")
    for name in _NUMBERS:
        values[name] = cast("uint32", values[name])
    for name in _TEXTS:
        if values[name]:
            cast("guid", values[name])
    return Profile(tuple(values.items()))


def _add(host: FakeHost, call: Call) -> Iterator[Record]:
    profile = _profile(call)
    for _, _, nic in list(_chosen(host, call)):
        if nic.profile is not None:
            raise HyperVError("Failed while adding virtual Ethernet switch port feature settings. The object exists.")
        _give(host, nic, profile)
        yield from ()


def _set(host: FakeHost, call: Call) -> Iterator[Record]:
    profile = _profile(call)
    for _, _, nic in list(_chosen(host, call)):
        if nic.profile is None:
            raise HyperVError(
                "Failed while modifying virtual Ethernet switch port feature settings. The object was not found."
            )
        _give(host, nic, profile)
        yield from ()


def _give(host: FakeHost, nic: Nic, profile: Profile) -> None:
    nic.profile = profile
    host.changed()


_ON = "VMName <VM <VMNetworkAdapter VMNetworkAdapterName"

FEATURES = (
    Spec("Get-VMSystemSwitchExtensionPortFeature", _template, "FeatureId"),
    Spec("Get-VMSwitchExtensionPortFeature", _get, f"FeatureId {_ON}"),
    Spec("Add-VMSwitchExtensionPortFeature", _add, f"VMSwitchExtensionFeature! {_ON}"),
    Spec("Set-VMSwitchExtensionPortFeature", _set, f"VMSwitchExtensionFeature! {_ON}"),
)
