"""Scripts that make a machine whole, copy one, and remove one. Pure.

A machine is claimed before it is made, and while it is being made its notes say so, and which files are being made for
it: whoever finds such a machine later, after this session or the host died, can remove both (machines_leavings.py).
What fails while it lasts is removed at once.
"""

from collections.abc import Sequence
from typing import Any

from weft.core.hyperv.machines_leavings import CLAIMS, Leaving
from weft.core.hyperv.machines_notes import DEFINING, DISK, MARK
from weft.core.hyperv.machines_ports import BINDING, ports_argument
from weft.core.hyperv.machines_power import RESTS
from weft.core.hyperv.script import PROLOGUE, Script
from weft.model.hypervisor import Hardware
from weft.model.records import Machine, PortBinding

_USERS = """
function Read-Drives {
    param($Machines)
    Get-VMHardDiskDrive -VM $Machines
    Get-VMSnapshot -VM $Machines | ForEach-Object { Get-VMHardDiskDrive -VMSnapshot $_ }
}

function Confirm-Unused {
    param($Disks)
    $all = @(Get-VM)
    if ((@($Disks).Count -eq 0) -or ($all.Count -eq 0)) {
        return
    }
    $drives = @()
    try {
        $drives = @(Read-Drives -Machines $all)
    } catch {
        # one of them went meanwhile
        foreach ($one in $all) {
            try {
                $drives = @($drives; @(Read-Drives -Machines @($one)))
            } catch {
                continue
            }
        }
    }
    foreach ($disk in @($Disks)) {
        $users = @($drives | Where-Object { $_.Path -eq $disk.path })
        if ($users.Count -gt 0) {
            throw ('Get-VMHardDiskDrive: disk {0} is in use by machine {1} of this host, and two machines that \
write to one disk destroy it: name another file, which may be a copy of it (source) made while {1} is off' -f
                $disk.path, $users[0].VMName)
        }
    }
}
"""
"""A machine with checkpoints has the disks of the first one below what it writes to: those are in use as well."""

DEFINE = Script(
    "define",
    PROLOGUE
    + "$ConfirmPreference = 'None'\n"
    + BINDING
    + CLAIMS
    + _USERS
    + r"""
Confirm-Unused -Disks $arguments.disks
$switch = $arguments.switch
if (-not $switch) {
    $switches = @(Get-VMSwitch)
    if ($switches.Count -ne 1) {
        throw ('Get-VMSwitch: there are {0} virtual switches where one was meant: name one in hardware.switch' -f
            $switches.Count)
    }
    $switch = $switches[0].Name
}
$missing = @($arguments.disks | Where-Object { -not (Test-Path -LiteralPath $_.path) })
foreach ($disk in $missing) {
    if ((-not $disk.source) -and ($disk.bytes -eq 0)) {
        throw ('Test-Path: there is no disk {0}, and neither a source nor a size to make it of' -f $disk.path)
    }
    if ($disk.source -and ($disk.bytes -gt 0)) {
        $held = Get-VHD -Path $disk.source
        if ($held.Size -gt $disk.bytes) {
            $words = 'Get-VHD: disk {0} is to have {1} bytes, its source {2} has {3}: ask for no less, or for no size'
            throw ($words -f $disk.path, $disk.bytes, $disk.source, $held.Size)
        }
    }
}
$making = @{ Name = $arguments.name; MemoryStartupBytes = [long]$arguments.memory; NoVHD = $true }
$making.Generation = [int]$arguments.generation
if ($arguments.path) {
    $making.Path = $arguments.path
}
$before = @(Get-VM | ForEach-Object { [string]$_.Id })
$claim = New-Claim -Machine $arguments.machine -Before $before -Target '' -Folders @()
$machine = $null
$role = $false
try {
    $machine = New-VM @making
    $files = ''
    foreach ($disk in $missing) {
        $files = '{0}{1}{2}{3}' -f $files, $arguments.line, $arguments.made, $disk.path
    }
    $notes = '{0}{1} {2}{3}' -f $arguments.defining, $arguments.machine, $machine.Id, $files
    Set-VM -VM $machine -ProcessorCount ([int]$arguments.cpu) -AutomaticStartAction 'Nothing' -Notes $notes
    foreach ($disk in $missing) {
        if ($disk.source) {
            Copy-Item -LiteralPath $disk.source -Destination $disk.path
            if ($disk.bytes -gt 0) {
                $held = Get-VHD -Path $disk.path
                if ($held.Size -lt $disk.bytes) {
                    Resize-VHD -Path $disk.path -SizeBytes ([long]$disk.bytes)
                }
            }
        } else {
            New-VHD -Path $disk.path -SizeBytes ([long]$disk.bytes) -Dynamic | Out-Null
        }
    }
    $drives = @($arguments.disks | ForEach-Object { Add-VMHardDiskDrive -VM $machine -Path $_.path -Passthru })
    if (($drives.Count -gt 0) -and ($arguments.generation -eq 2)) {
        Set-VMFirmware -VM $machine -FirstBootDevice $drives[0]
    }
    Get-VMNetworkAdapter -VM $machine | ForEach-Object { Remove-VMNetworkAdapter -VMNetworkAdapter $_ }
    foreach ($wanted in $arguments.adapters) {
        $adding = @{ VM = $machine; Name = $wanted.name; SwitchName = $switch; StaticMacAddress = $wanted.mac }
        $adapter = Add-VMNetworkAdapter @adding -Passthru
        Set-Profile -Adapter $adapter -ProfileId $wanted.profile
        Confirm-Adapter -Machine $machine -Id ([string]$adapter.Id) -Wanted $wanted
    }
    $shared = ($machine.Path -like '*\ClusterStorage\*') -or ($machine.Path -like '\\*')
    $service = @(Get-Service | Where-Object { ($_.Name -eq 'ClusSvc') -and ([string]$_.Status -eq 'Running') })
    if ($shared -and ($service.Count -gt 0)) {
        Add-ClusterVirtualMachineRole -VMId $machine.Id | Out-Null
        $role = $true
    }
    $back = Get-VM -Id $machine.Id
    $adapters = @(Get-VMNetworkAdapter -VM $back)
    if (($back.ProcessorCount -ne $arguments.cpu) -or ($back.MemoryStartup -ne $arguments.memory)) {
        throw ('New-VM: {0} has {1} processors and {2} bytes of memory where {3} and {4} were asked for' -f
            $back.Name, $back.ProcessorCount, $back.MemoryStartup, $arguments.cpu, $arguments.memory)
    }
    if ($adapters.Count -ne @($arguments.adapters).Count) {
        throw ('Add-VMNetworkAdapter: {0} has {1} network adapters where {2} were asked for' -f
            $back.Name, $adapters.Count, @($arguments.adapters).Count)
    }
    $notes = '{0}{1} {2}{3}' -f $arguments.mark, $arguments.machine, $machine.Id, $files
    Set-VM -VM $machine -Notes $notes
    Remove-Claim -Path $claim
} catch {
    $failure = $_
    try {
        if ($role) {
            Remove-ClusterGroup -VMId $machine.Id -RemoveResources -Force | Out-Null
        }
        $made = @(Get-VM | Where-Object { ($_.Name -eq $arguments.name) -and ($before -notcontains [string]$_.Id) })
        if ($null -ne $machine) {
            $made = @($machine)
        }
        foreach ($one in $made) {
            Remove-VM -VM $one -Force
        }
        foreach ($disk in $missing) {
            if (Test-Path -LiteralPath $disk.path) {
                Remove-Item -LiteralPath $disk.path -Force
            }
        }
        Remove-Claim -Path $claim
    } catch {
        throw ('{0}; and what had been made of {1} could not be removed: {2}' -f
            $failure.Exception.Message, $arguments.name, $_.Exception.Message)
    }
    throw $failure
}
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""See `define_argument`. The machine is Off, its ports are bound, and it is a role where the host's cluster can carry
it: where its files are on storage that other nodes see. The host starts none of its own accord, for its records of
network virtualization are gone after it was restarted."""

COPY = Script(
    "copy",
    PROLOGUE
    + "$ConfirmPreference = 'None'\n"
    + BINDING
    + CLAIMS
    + r"""
$source = Get-VM -Id $arguments.source
$adapters = @(Get-VMNetworkAdapter -VM $source)
if ($adapters.Count -ne @($arguments.adapters).Count) {
    throw ('Get-VMNetworkAdapter: {0} has {1} network adapters where {2} were meant' -f
        $source.Name, $adapters.Count, @($arguments.adapters).Count)
}
$virtual = Get-VMHost
$root = $virtual.VirtualMachinePath
if ($arguments.path) {
    $root = $arguments.path
}
$target = Join-Path -Path $root -ChildPath $arguments.name
$folder = Join-Path -Path $root -ChildPath ('{0}.weft-copy' -f $arguments.name)
$fresh = -not (Test-Path -LiteralPath $target)
$folders = @($folder)
if ($fresh) {
    $folders = @($folder, $target)
}
$before = @(Get-VM | ForEach-Object { [string]$_.Id })
$claim = New-Claim -Machine $arguments.machine -Before $before -Target $target -Folders $folders
$machine = $null
$disks = @()
try {
    if (Test-Path -LiteralPath $folder) {
        Remove-Item -LiteralPath $folder -Recurse -Force
    }
    if ([string]$source.State -eq 'Running') {
        Export-VM -VM $source -Path $folder -CaptureLiveState 'CaptureCrashConsistentState'
    } else {
        Export-VM -VM $source -Path $folder
    }
    $wanted = '{0}.vmcx' -f $source.Id
    $files = @(Get-ChildItem -LiteralPath $folder -Recurse -File | Where-Object { $_.Name -eq $wanted })
    if ($files.Count -ne 1) {
        throw ('Export-VM: {0} configurations of {1} in its export where one was meant' -f $files.Count, $source.Name)
    }
    $others = @()
    if (-not $fresh) {
        $others = @(Get-ChildItem -LiteralPath $target -Recurse -File | ForEach-Object { $_.FullName })
    }
    $places = @{ VirtualMachinePath = $target; VhdDestinationPath = $target; SnapshotFilePath = $target }
    $machine = Import-VM -Path $files[0].FullName -Copy -GenerateNewId @places
    $new = @(Get-ChildItem -LiteralPath $target -Recurse -File | Where-Object { $_.FullName -notin $others })
    $disks = @($new | Where-Object { ($_.Name -like '*.vhd*') -or ($_.Name -like '*.avhd*') })
    $files = ''
    foreach ($disk in $disks) {
        $files = '{0}{1}{2}{3}' -f $files, $arguments.line, $arguments.made, $disk.FullName
    }
    $notes = '{0}{1} {2}{3}' -f $arguments.defining, $arguments.machine, $machine.Id, $files
    Set-VM -VM $machine -Notes $notes -AutomaticStartAction 'Nothing'
    Rename-VM -VM $machine -NewName $arguments.name
    Get-VMSnapshot -VM $machine | ForEach-Object { Remove-VMSnapshot -VMSnapshot $_ }
    $left = @($arguments.adapters)
    $place = 0
    foreach ($adapter in @(Get-VMNetworkAdapter -VM $machine)) {
        $wanted = $left[$place]
        Set-VMNetworkAdapter -VMNetworkAdapter $adapter -StaticMacAddress $wanted.mac
        Set-Profile -Adapter $adapter -ProfileId $wanted.profile
        Confirm-Adapter -Machine $machine -Id ([string]$adapter.Id) -Wanted $wanted
        $place = $place + 1
    }
    $notes = '{0}{1} {2}{3}' -f $arguments.mark, $arguments.machine, $machine.Id, $files
    Set-VM -VM $machine -Notes $notes
    Remove-Item -LiteralPath $folder -Recurse -Force
    Remove-Claim -Path $claim
} catch {
    $failure = $_
    $made = @(Get-VM | Where-Object { ($_.Path -eq $target) -and ($before -notcontains [string]$_.Id) })
    if ($null -ne $machine) {
        $made = @($machine)
    }
    foreach ($one in $made) {
        $drives = @(Get-VMHardDiskDrive -VM $one)
        Remove-VM -VM $one -Force
        $paths = @(@($drives | ForEach-Object { $_.Path }); @($disks | ForEach-Object { $_.FullName }))
        foreach ($path in $paths) {
            if (Test-Path -LiteralPath $path) {
                Remove-Item -LiteralPath $path -Force
            }
        }
    }
    if ($fresh -and (Test-Path -LiteralPath $target)) {
        Remove-Item -LiteralPath $target -Recurse -Force
    }
    if (Test-Path -LiteralPath $folder) {
        Remove-Item -LiteralPath $folder -Recurse -Force
    }
    Remove-Claim -Path $claim
    throw $failure
}
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""See `copy_argument`. The copy has its own id, its own MAC addresses and none of the source's checkpoints, which would
bring the source's addresses back. Of a running machine it has the disks as if the power had failed. Its
notes name all disk files that came with it: those of checkpoints are merged into the others some time after they were
removed, so the machine's drives do not tell yet which file stays."""

REMOVE = Script(
    "remove",
    PROLOGUE
    + "$ConfirmPreference = 'None'\n"
    + RESTS
    + r"""
$files = @($arguments.files)
$found = @(Get-VM | Where-Object { [string]$_.Id -eq $arguments.id })
foreach ($machine in $found) {
    if ($files.Count -gt 0) {
        $drives = @(Get-VMHardDiskDrive -VM $machine | Where-Object { $_.Path -like '*.avhd*' })
        $files = @($files; @($drives | ForEach-Object { $_.Path }))
    }
    if ($arguments.below) {
        $copied = @(Get-VMHardDiskDrive -VM $machine | Where-Object {
            ([string]$_.Path).ToLower().StartsWith(('{0}\' -f $arguments.below).ToLower())
        })
        $files = @($files; @($copied | ForEach-Object { $_.Path }))
    }
    if (-not (Test-Resting -Machine $machine)) {
        Stop-VM -VM $machine -TurnOff -Force
    }
    if ($machine.IsClustered) {
        Remove-ClusterGroup -VMId $machine.Id -RemoveResources -Force | Out-Null
    }
    Remove-VM -VM $machine -Force
}
$left = @(Get-VM | Where-Object { [string]$_.Id -eq $arguments.id })
if ($left.Count -gt 0) {
    throw ('Remove-VM: {0} is still here after it was removed' -f $left[0].Name)
}
foreach ($folder in @($arguments.folders)) {
    if (Test-Path -LiteralPath $folder) {
        Remove-Item -LiteralPath $folder -Recurse -Force
    }
}
foreach ($file in $files) {
    if (Test-Path -LiteralPath $file) {
        Remove-Item -LiteralPath $file -Force
    }
}
[pscustomobject]@{ id = $arguments.id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""See `remove_argument` and `clear_argument`: the host does not know the machine any more. `files` go too, and with
them what checkpoints made of them; so do its disks below the folder `below`, and `folders` as they are."""

_GIB = 1 << 30
_MIB = 1 << 20
_LINES = {"mark": MARK, "defining": DEFINING, "made": DISK, "line": "\r\n"}


def define_argument(machine: Machine, hardware: Hardware, ports: Sequence[PortBinding]) -> dict[str, Any]:
    """What DEFINE takes."""
    return {
        **_LINES,
        "machine": machine.machine,
        "name": machine.machine,
        "generation": hardware.generation,
        "memory": hardware.memory_mib * _MIB,
        "cpu": hardware.cpu,
        "path": hardware.path,
        "switch": hardware.switch,
        "disks": [{"path": disk.path, "bytes": disk.size_gib * _GIB, "source": disk.source} for disk in hardware.disks],
        "adapters": _named(ports),
    }


def copy_argument(machine: Machine, source: str, ports: Sequence[PortBinding]) -> dict[str, Any]:
    """What COPY takes; `source` is the hypervisor's id of the machine that is copied."""
    return {
        **_LINES,
        "machine": machine.machine,
        "name": machine.machine,
        "source": source,
        "path": machine.hardware.path if machine.hardware is not None else "",
        "adapters": _named(ports),
    }


def remove_argument(own: str, files: Sequence[str] = ()) -> dict[str, Any]:
    """What REMOVE takes of a machine; `own` is its VMId."""
    return {"id": own, "files": list(files), "below": "", "folders": []}


def clear_argument(leaving: Leaving) -> dict[str, Any]:
    """What REMOVE takes of what was begun and is not whole."""
    return {
        "id": leaving.id,
        "files": list(leaving.files),
        "below": leaving.below,
        "folders": list(leaving.folders),
    }


def _named(ports: Sequence[PortBinding]) -> list[dict[str, Any]]:
    return [
        {**port, "name": binding.network_interface} for port, binding in zip(ports_argument(ports), ports, strict=True)
    ]
