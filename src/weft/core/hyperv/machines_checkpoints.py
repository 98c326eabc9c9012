"""Scripts about the checkpoints of a machine, which is named by its VMId. Pure.

A checkpoint is named by its own id where that is known, else by its name, which must then be that of one alone.
"""

from weft.core.hyperv.machines_ports import ADAPTERS
from weft.core.hyperv.script import PROLOGUE, Script

_FIND = """
$machine = Get-VM -Id $arguments.id
$found = @(Get-VMSnapshot -VM $machine)
if ($arguments.checkpoint) {
    $found = @($found | Where-Object { [string]$_.Id -eq $arguments.checkpoint })
} else {
    $found = @($found | Where-Object { $_.Name -eq $arguments.name })
}
"""

_ONE = (
    _FIND
    + """
if ($found.Count -ne 1) {
    throw ('Get-VMSnapshot: {0} has {1} checkpoints "{2}" where one was meant' -f
        $machine.Name, $found.Count, $arguments.name)
}
$checkpoint = $found[0]
"""
)

_DONE = """
[pscustomobject]@{ id = [string]$machine.Id; checkpoint = [string]$checkpoint.Id } | ConvertTo-Json -Depth 8 -Compress
"""

CHECKPOINT = Script(
    "checkpoint",
    PROLOGUE
    + _FIND
    + """
if ($found.Count -eq 0) {
    Checkpoint-VM -VM $machine -SnapshotName $arguments.name
}
"""
    + _ONE
    + _DONE,
)
"""{id, name, checkpoint: ""}: there is one of that name."""

ANNOUNCE = Script(
    "announce",
    PROLOGUE
    + """
$machine = Get-VM -Id $arguments.id
Set-VM -VM $machine -Notes $arguments.notes
$machine = Get-VM -Id $arguments.id
if ([string]$machine.Notes -ne $arguments.notes) {
    throw ('Set-VM: {0} has other notes than were set' -f $machine.Name)
}
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""{id, notes}: the machine has these notes, until a checkpoint brings its own back."""

RESTORE = Script(
    "restore",
    PROLOGUE
    + "$ConfirmPreference = 'None'\n"
    + _ONE
    + """
Restore-VMSnapshot -VMSnapshot $checkpoint
$machine = Get-VM -Id $arguments.id
if ([string]$machine.ParentSnapshotId -ne [string]$checkpoint.Id) {
    throw ('Restore-VMSnapshot: {0} is not at checkpoint "{1}" after it was applied' -f
        $machine.Name, $checkpoint.Name)
}
"""
    + _DONE,
)
"""{id, name, checkpoint}: the machine is as it was then."""

DELETE_CHECKPOINT = Script(
    "delete-checkpoint",
    PROLOGUE
    + "$ConfirmPreference = 'None'\n"
    + _FIND
    + """
if ($found.Count -gt 1) {
    throw ('Get-VMSnapshot: {0} has {1} checkpoints "{2}" where one was meant' -f
        $machine.Name, $found.Count, $arguments.name)
}
foreach ($checkpoint in $found) {
    Remove-VMSnapshot -VMSnapshot $checkpoint
}
"""
    + _FIND
    + """
if ($found.Count -gt 0) {
    throw ('Remove-VMSnapshot: {0} still has checkpoint "{1}" after it was removed' -f
        $machine.Name, $found[0].Name)
}
[pscustomobject]@{ id = [string]$machine.Id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""{id, name, checkpoint}: it is gone, its children stay."""

REWRITE_CHECKPOINT = Script(
    "rewrite-checkpoint",
    PROLOGUE
    + _ONE
    + """
foreach ($wanted in $arguments.adapters) {
    $adapters = @(Get-VMNetworkAdapter -VMSnapshot $checkpoint | Where-Object { [string]$_.Id -eq $wanted.id })
    if ($adapters.Count -ne 1) {
        throw ('Get-VMNetworkAdapter: checkpoint "{0}" of {1} has {2} network adapters {3} where one was meant' -f
            $checkpoint.Name, $machine.Name, $adapters.Count, $wanted.id)
    }
    Set-VMNetworkAdapter -VMNetworkAdapter $adapters[0] -StaticMacAddress $wanted.mac
}
foreach ($adapter in @(Get-VMNetworkAdapter -VMSnapshot $checkpoint)) {
    foreach ($wanted in $arguments.adapters) {
        $is = ([string]$adapter.Id -eq $wanted.id)
        if ($is -and (($adapter.MacAddress -ne $wanted.mac) -or $adapter.DynamicMacAddressEnabled)) {
            throw ('Set-VMNetworkAdapter: {0} in checkpoint "{1}" has {2} after static {3} was set' -f
                $adapter.Name, $checkpoint.Name, $adapter.MacAddress, $wanted.mac)
        }
    }
}
"""
    + _DONE,
)
"""{id, name, checkpoint, adapters: [{id, mac}]}: what would come back with it has these MAC addresses, static."""

BLANK_CHECKPOINT = Script(
    "blank-checkpoint",
    PROLOGUE
    + _ONE
    + """
$drawn = @(Get-VMNetworkAdapter -VMSnapshot $checkpoint | Where-Object { $_.DynamicMacAddressEnabled })
foreach ($adapter in $drawn) {
    if ($adapter.MacAddress -ne '000000000000') {
        Set-VMNetworkAdapter -VMNetworkAdapter $adapter -DynamicMacAddress
    }
}
$left = @(Get-VMNetworkAdapter -VMSnapshot $checkpoint |
    Where-Object { $_.DynamicMacAddressEnabled -and ($_.MacAddress -ne '000000000000') })
if ($left.Count -gt 0) {
    throw ('Set-VMNetworkAdapter: {0} in checkpoint "{1}" has {2} after it was blanked' -f
        $left[0].Name, $checkpoint.Name, $left[0].MacAddress)
}
"""
    + _DONE,
)
"""{id, name, checkpoint}: its dynamic adapters hold no MAC address: what comes back with it draws one of the host that
it is on then. Static ones stay. For checkpoints that hold no running machine (weft.core.blanking)."""

READ_CHECKPOINT = Script(
    "read-checkpoint",
    PROLOGUE
    + ADAPTERS
    + _ONE
    + """
$held = @(Get-VMNetworkAdapter -VMSnapshot $checkpoint)
$profiles = Read-Profiles -Adapters $held
$owner = [string]$checkpoint.Id
$adapters = @($held | ForEach-Object { Read-Adapter -Adapter $_ -Owner $owner -Profiles $profiles })
[pscustomobject]@{
    id = $owner
    name = [string]$checkpoint.Name
    state = [string]$checkpoint.State
    adapters = $adapters
} | ConvertTo-Json -Depth 8 -Compress
""",
    reads=True,
)
"""{id, name, checkpoint}: the checkpoint as the facts have it."""

EXPORT = Script(
    "export",
    PROLOGUE
    + """
$machine = Get-VM -Id $arguments.id
Export-VM -VM $machine -Path $arguments.path
$folder = Join-Path -Path $arguments.path -ChildPath $machine.Name
if (-not (Test-Path -LiteralPath $folder)) {
    throw ('Export-VM: there is no {0} after {1} was exported' -f $folder, $machine.Name)
}
[pscustomobject]@{ id = [string]$machine.Id; path = $folder } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""{id, path}: a copy of the machine stands in a folder of its name under that path."""
