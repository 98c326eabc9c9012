"""Scripts about the network adapters of a machine: MAC addresses, and the port profile that names the interface. Pure.

A port is bound by the port profile feature of its adapter (Msvm_EthernetSwitchPortProfileSettingData): added the first
time, set afterwards, always for one named adapter. The constants stand on Microsoft's page "Create a tenant VM"; their
values are fixed there.
"""

from collections.abc import Sequence
from typing import Any

from weft.core.hyperv.machines_notes import UNPLUGGED
from weft.core.hyperv.script import PROLOGUE, Script
from weft.model.hypervisor import AdapterState
from weft.model.records import PortBinding
from weft.model.values import InstanceId, Mac, mac_digits

PROFILE_FEATURE = "9940cd46-8b06-43bb-b9d5-93d50381fd56"
"""The port profile among a port's features (Msvm_EthernetSwitchPortProfileSettingData)."""

PROFILES = (
    f"""
$feature = '{PROFILE_FEATURE}'
"""
    + r"""
function Read-Profile {
    param($Adapter)
    $found = @(Get-VMSwitchExtensionPortFeature -VMNetworkAdapter $Adapter -FeatureId $feature)
    if ($found.Count -eq 0) {
        return ''
    }
    return [string]$found[0].SettingData.ProfileId
}

# The profiles of many adapters by their ids. A cmdlet takes its time, so it is called once for all of them, and what it
# finds is brought back to its adapter by the id of the setting, which begins with the adapter's. Should that ever be
# otherwise, adapter by adapter is slow and right.
function Read-Profiles {
    param($Adapters)
    $all = @($Adapters)
    $profiles = @{}
    foreach ($adapter in $all) {
        $profiles[[string]$adapter.Id] = ''
    }
    $strange = $false
    if ($all.Count -gt 0) {
        foreach ($one in @(Get-VMSwitchExtensionPortFeature -VMNetworkAdapter $all -FeatureId $feature)) {
            $own = ([string]$one.SettingData.InstanceID) -replace '^([^\\]+\\[^\\]+)\\.*$', '$1'
            if ($profiles.ContainsKey($own)) {
                $profiles[$own] = [string]$one.SettingData.ProfileId
            } else {
                $strange = $true
            }
        }
    }
    if ($strange) {
        foreach ($adapter in $all) {
            $profiles[[string]$adapter.Id] = Read-Profile -Adapter $adapter
        }
    }
    return $profiles
}
"""
)
"""Which interface the port of an adapter names."""

ADAPTERS = (
    PROFILES
    + """
function Read-Adapter {
    param($Adapter, $Owner, $Profiles)
    return [pscustomobject]@{
        owner = $Owner
        id = [string]$Adapter.Id
        name = [string]$Adapter.Name
        mac = [string]$Adapter.MacAddress
        dynamic = [bool]$Adapter.DynamicMacAddressEnabled
        switch = [string]$Adapter.SwitchName
        profile = $Profiles[[string]$Adapter.Id]
    }
}
"""
)
"""What an adapter has, of a machine or of a checkpoint, by the id of which it is told."""

BINDING = (
    ADAPTERS
    + """
function Set-Profile {
    param($Adapter, $ProfileId)
    $found = @(Get-VMSwitchExtensionPortFeature -VMNetworkAdapter $Adapter -FeatureId $feature)
    if ($found.Count -eq 0) {
        $portProfile = Get-VMSystemSwitchExtensionPortFeature -FeatureId $feature
        $portProfile.SettingData.ProfileId = $ProfileId
        $portProfile.SettingData.NetCfgInstanceId = '{56785678-a0e5-4a26-bc9b-c0cba27311a3}'
        $portProfile.SettingData.CdnLabelString = 'TestCdn'
        $portProfile.SettingData.CdnLabelId = 1111
        $portProfile.SettingData.ProfileName = 'Testprofile'
        $portProfile.SettingData.VendorId = '{1FA41B39-B444-4E43-B35A-E1F7985FD548}'
        $portProfile.SettingData.VendorName = 'NetworkController'
        $portProfile.SettingData.ProfileData = 1
        Add-VMSwitchExtensionPortFeature -VMNetworkAdapter $Adapter -VMSwitchExtensionFeature $portProfile
    } else {
        $portProfile = $found[0]
        $portProfile.SettingData.ProfileId = $ProfileId
        $portProfile.SettingData.ProfileData = 1
        Set-VMSwitchExtensionPortFeature -VMNetworkAdapter $Adapter -VMSwitchExtensionFeature $portProfile
    }
}

function Find-Adapter {
    param($Machine, $Id)
    $found = @(Get-VMNetworkAdapter -VM $Machine | Where-Object { [string]$_.Id -eq $Id })
    if ($found.Count -ne 1) {
        throw ('Get-VMNetworkAdapter: {0} has {1} network adapters {2} where one was meant' -f
            $Machine.Name, $found.Count, $Id)
    }
    return $found[0]
}

function Confirm-Adapter {
    param($Machine, $Id, $Wanted)
    $adapter = Find-Adapter -Machine $Machine -Id $Id
    if (($adapter.MacAddress -ne $Wanted.mac) -or $adapter.DynamicMacAddressEnabled) {
        throw ('Set-VMNetworkAdapter: {0} of {1} has {2} after static {3} was set' -f
            $adapter.Name, $Machine.Name, $adapter.MacAddress, $Wanted.mac)
    }
    Confirm-Profile -Machine $Machine -Adapter $adapter -Wanted $Wanted
}

function Confirm-Profile {
    param($Machine, $Adapter, $Wanted)
    $profileId = Read-Profile -Adapter $Adapter
    if ($profileId -ne $Wanted.profile) {
        throw ('Set-VMSwitchExtensionPortFeature: the port of {0} of {1} has profile {2} after {3} was set' -f
            $Adapter.Name, $Machine.Name, $profileId, $Wanted.profile)
    }
}

function Clear-Vlan {
    param($Adapter)
    $tagged = @(Get-VMNetworkAdapterVlan -VMNetworkAdapter $Adapter | Where-Object {
        [string]$_.OperationMode -notin @('Untagged', '0')
    })
    if ($tagged.Count -gt 0) {
        Set-VMNetworkAdapterVlan -VMNetworkAdapter $Adapter -Untagged
    }
}

function Find-AdapterByMac {
    param($Machine, $Mac)
    $found = @(Get-VMNetworkAdapter -VM $Machine | Where-Object { $_.MacAddress -eq $Mac })
    if ($found.Count -ne 1) {
        throw ('Get-VMNetworkAdapter: {0} has {1} network adapters with the MAC address {2} where one was meant' -f
            $Machine.Name, $found.Count, $Mac)
    }
    return $found[0]
}
"""
)
"""Binding a port, finding the one adapter that is meant, and reading back."""

BIND = Script(
    "bind",
    PROLOGUE
    + BINDING
    + """
$machine = Get-VM -Id $arguments.id
foreach ($wanted in $arguments.adapters) {
    $adapter = Find-AdapterByMac -Machine $machine -Mac $wanted.mac
    if ($arguments.untag) {
        Clear-Vlan -Adapter $adapter
    }
    if ((Read-Profile -Adapter $adapter) -ne $wanted.profile) {
        Set-Profile -Adapter $adapter -ProfileId $wanted.profile
    }
    $bound = Find-Adapter -Machine $machine -Id ([string]$adapter.Id)
    Confirm-Profile -Machine $machine -Adapter $bound -Wanted $wanted
}
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""{id, untag, adapters: [{mac, profile}]}: the port of the one adapter with that MAC address gets that profile, also
while the machine runs. One that was taken in running may be dynamic until it is off: a finding, and no obstacle."""

SET_MACS = Script(
    "set-macs",
    PROLOGUE
    + BINDING
    + """
$machine = Get-VM -Id $arguments.id
if ([string]$machine.State -ne 'Off') {
    throw ('Set-VMNetworkAdapter: {0} is {1}; a MAC address is set while it is Off' -f $machine.Name, $machine.State)
}
foreach ($wanted in $arguments.adapters) {
    $adapter = Find-Adapter -Machine $machine -Id $wanted.id
    if ($arguments.untag) {
        Clear-Vlan -Adapter $adapter
    }
    if (($adapter.MacAddress -ne $wanted.mac) -or $adapter.DynamicMacAddressEnabled) {
        Set-VMNetworkAdapter -VMNetworkAdapter $adapter -StaticMacAddress $wanted.mac
    }
    if ((Read-Profile -Adapter $adapter) -ne $wanted.profile) {
        Set-Profile -Adapter $adapter -ProfileId $wanted.profile
    }
}
foreach ($wanted in $arguments.adapters) {
    Confirm-Adapter -Machine $machine -Id $wanted.id -Wanted $wanted
}
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""{id, untag, adapters: [{id, mac, profile}]}: each named adapter of a machine that is Off gets them, the MAC static.
With `untag`, here and in BIND, it leaves its VLAN."""

DISCONNECT = Script(
    "disconnect",
    PROLOGUE
    + """
$machine = Get-VM -Id $arguments.id
$connected = @(Get-VMNetworkAdapter -VM $machine | Where-Object { $_.SwitchName })
$notes = [string]$machine.Notes
foreach ($adapter in $connected) {
    $notes = '{0}{1}{2}{3} {4}' -f $notes, $arguments.line, $arguments.unplugged, $adapter.Id, $adapter.SwitchName
}
if ($connected.Count -gt 0) {
    # first, so that none is ever disconnected of which nobody knows whose work that is
    Set-VM -VM $machine -Notes $notes
    $connected | ForEach-Object { Disconnect-VMNetworkAdapter -VMNetworkAdapter $_ }
}
$left = @(Get-VMNetworkAdapter -VM $machine | Where-Object { $_.SwitchName })
if ($left.Count -gt 0) {
    throw ('Disconnect-VMNetworkAdapter: {0} of {1} is still connected to {2}' -f
        $left[0].Name, $machine.Name, $left[0].SwitchName)
}
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""See `cables_argument`: the machine is on no switch any more, and its notes say which adapter was on which."""

RECONNECT = Script(
    "reconnect",
    PROLOGUE
    + r"""
$machine = Get-VM -Id $arguments.id
$adapters = @(Get-VMNetworkAdapter -VM $machine)
$kept = @()
foreach ($line in @(([string]$machine.Notes) -split '\r?\n')) {
    $found = @($adapters | Where-Object { $line -like ('{0}{1} *' -f $arguments.unplugged, $_.Id) })
    if ($found.Count -eq 0) {
        $kept = @($kept; $line)
    } elseif (-not $found[0].SwitchName) {
        $switch = $line -replace '^weft disconnected: [^ ]+ ', ''
        Connect-VMNetworkAdapter -VMNetworkAdapter $found[0] -SwitchName $switch
    }
}
Set-VM -VM $machine -Notes ($kept -join $arguments.line)
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""See `cables_argument`: what DISCONNECT noted is on its switches again, and the notes are gone. An adapter that
somebody has connected meanwhile stays where it is."""


def cables_argument(own: str) -> dict[str, Any]:
    """What DISCONNECT and RECONNECT take; `own` is the VMId."""
    return {"id": own, "line": "\r\n", "unplugged": UNPLUGGED}


class AdaptersDiffer(Exception):
    """Which adapter is which interface's cannot be told; the message says why."""


def profile_id(instance_id: InstanceId) -> str:
    """The ProfileId of an interface's port."""
    return f"{{{instance_id}}}"


def ports_argument(ports: Sequence[PortBinding]) -> list[dict[str, Any]]:
    """What BIND, DEFINE and START take of the ports."""
    return [{"mac": mac_digits(port.mac), "profile": profile_id(port.instance_id)} for port in ports]


def paired(adapters: Sequence[AdapterState], ports: Sequence[tuple[InstanceId, Mac]]) -> list[tuple[str, int]]:
    """The id of the adapter that is each port's, and the port's place, in the order of the ports. Pure.

    By the interface that the adapter's port names, then by MAC address, then in order: each only where it tells one
    adapter from the others. Raises AdaptersDiffer where there are more or fewer adapters than ports.
    """
    if len(adapters) != len(ports):
        raise AdaptersDiffer(
            f"it has {_counted(len(adapters), 'network adapter')} where {len(ports)} {_were(len(ports))} meant"
        )
    left = list(adapters)
    found: dict[int, str] = {}
    for alike in (_names_interface, _has_mac):
        for place, port in enumerate(ports):
            fitting = [one for one in left if alike(one, port)]
            if place not in found and len(fitting) == 1:
                found[place] = fitting[0].id
                left.remove(fitting[0])
    for place in range(len(ports)):
        if place not in found:
            found[place] = left.pop(0).id
    return [(found[place], place) for place in range(len(ports))]


def _names_interface(adapter: AdapterState, port: tuple[InstanceId, Mac]) -> bool:
    return bool(adapter.instance_id) and adapter.instance_id.lower() == port[0].lower()


def _has_mac(adapter: AdapterState, port: tuple[InstanceId, Mac]) -> bool:
    return adapter.mac == port[1]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
