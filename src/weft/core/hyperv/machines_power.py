"""Scripts that start, stop, save and move a machine, which is named by its VMId. Pure.

Each does nothing where the machine already is so, and throws unless it reads back what was asked for.
"""

from weft.core.hyperv.machines_ports import BINDING
from weft.core.hyperv.script import PROLOGUE, Script

RESTS = """
function Test-Resting {
    param($Machine)
    return ([string]$Machine.State -like 'Off*') -or ([string]$Machine.State -like '*Saved*')
}
"""
"""Off or Saved, also where Hyper-V adds that its storage is gone (OffCritical)."""

_READ_STATE = """
$back = Get-VM -Id $arguments.id
[pscustomobject]@{ id = [string]$back.Id; state = [string]$back.State } | ConvertTo-Json -Depth 8 -Compress
"""

START = Script(
    "start",
    PROLOGUE
    + BINDING
    + """
$machine = Get-VM -Id $arguments.id
if ([string]$machine.State -ne 'Running') {
    foreach ($wanted in $arguments.adapters) {
        $adapter = Find-AdapterByMac -Machine $machine -Mac $wanted.mac
        $profileId = Read-Profile -Adapter $adapter
        if ($profileId -ne $wanted.profile) {
            throw ('Get-VMSwitchExtensionPortFeature: the port of {0} of {1} is not bound to its interface: {2}' -f
                $adapter.Name, $machine.Name, $wanted.profile)
        }
    }
    Start-VM -VM $machine
    $machine = Get-VM -Id $arguments.id
    if ([string]$machine.State -ne 'Running') {
        throw ('Start-VM: {0} is {1} after it was started' -f $machine.Name, $machine.State)
    }
}
"""
    + _READ_STATE,
)
"""{id, adapters: [{mac, profile}]}: it runs; refused where a port is not bound."""

STOP = Script(
    "stop",
    PROLOGUE
    + """
$machine = Get-VM -Id $arguments.id
if ([string]$machine.State -like '*Saved*') {
    Remove-VMSavedState -VM $machine
} elseif (-not ([string]$machine.State -like 'Off*')) {
    Stop-VM -VM $machine -TurnOff -Force
}
$machine = Get-VM -Id $arguments.id
if (-not ([string]$machine.State -like 'Off*')) {
    throw ('Stop-VM: {0} is {1} after it was turned off' -f $machine.Name, $machine.State)
}
"""
    + _READ_STATE,
)
"""{id}: it answers nothing any more, and what it had saved of its memory is gone."""

SAVE = Script(
    "save",
    PROLOGUE
    + RESTS
    + """
$machine = Get-VM -Id $arguments.id
if (-not (Test-Resting -Machine $machine)) {
    Save-VM -VM $machine
    $machine = Get-VM -Id $arguments.id
    if (-not ([string]$machine.State -like '*Saved*')) {
        throw ('Save-VM: {0} is {1} after it was saved' -f $machine.Name, $machine.State)
    }
}
"""
    + _READ_STATE,
)
"""{id}: a running machine is frozen to disk."""

MIGRATE = Script(
    "migrate",
    PROLOGUE
    + r"""
$machine = Get-VM -Id $arguments.id
if ($machine.IsClustered) {
    $nodes = @(Get-ClusterNode | Where-Object { $arguments.nodes -contains [string]$_.Name })
    if ($nodes.Count -ne 1) {
        throw ('Get-ClusterNode: the cluster of {0} has {1} nodes {2} where one was meant' -f
            $machine.Name, $nodes.Count, $arguments.destination)
    }
    Move-ClusterVirtualMachineRole -VMId $machine.Id -Node $nodes[0].Name -MigrationType Live | Out-Null
} else {
    $drives = @(Get-VMHardDiskDrive -VM $machine)
    $local = @($drives | Where-Object { -not ($_.Path -like '\\*') })
    if (($local.Count -eq 0) -and ($machine.Path -like '\\*')) {
        Move-VM -VM $machine -DestinationHost $arguments.destination
    } else {
        $place = $machine.Path
        Move-VM -VM $machine -DestinationHost $arguments.destination -IncludeStorage -DestinationStoragePath $place
    }
}
$left = @(Get-VM | Where-Object { [string]$_.Id -eq $arguments.id })
if ($left.Count -gt 0) {
    throw ('Move-VM: {0} is still here after it was moved to {1}' -f $left[0].Name, $arguments.destination)
}
[pscustomobject]@{ id = $arguments.id } | ConvertTo-Json -Depth 8 -Compress
""",
)
"""{id, destination, nodes}: it runs on that host. `nodes` are the names by which a cluster may know the host.

A role of a cluster moves with it. Others move with their disks, unless all of them are on a share that both hosts see.
"""
