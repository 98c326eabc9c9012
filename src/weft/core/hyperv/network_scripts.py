"""The two scripts with which a driver keeps a host's Hyper-V Network Virtualization (version 1): FOUND tells what is
there, APPLY does the difference. What they take and write: weft.core.hyperv.found and .differences.

APPLY does one change after another and stops at the first that fails; whoever runs it reads again and compares again.
"""

from weft.core.hyperv.machines_ports import PROFILES
from weft.core.hyperv.script import PROLOGUE, Script

_PHYSICAL = """
# Takes Adapter: name of the physical adapter that carries the tunnels.
$physical = @(Get-NetAdapter | Where-Object { $_.Name -eq $arguments.Adapter })
"""

FOUND = Script(
    "network virtualization: read",
    PROLOGUE
    + PROFILES
    + _PHYSICAL
    + """
$index = $null
if ($physical.Count -eq 1) { $index = $physical[0].InterfaceIndex }
$unbound = @(Get-NetAdapterBinding | Where-Object {
    $_.Name -eq $arguments.Adapter -and $_.ComponentID -eq 'ms_netwnv' -and -not $_.Enabled
})
$machines = @(Get-VM)
$held = @()
if ($machines.Count -gt 0) { $held = @(Get-VMNetworkAdapter -VM $machines) }
$profiles = Read-Profiles -Adapters $held
$adapters = @($held | ForEach-Object {
    [pscustomobject]@{
        MachineId = [string]$_.VMId
        Machine = $_.VMName
        Id = $_.Id
        MacAddress = $_.MacAddress
        VirtualSubnetId = $_.VirtualSubnetId
        ProfileId = $profiles[[string]$_.Id]
    }
})
[pscustomobject]@{
    InterfaceIndex = $index
    Unbound = $unbound.Count -gt 0
    LookupRecords = @(Get-NetVirtualizationLookupRecord | ForEach-Object {
        [pscustomobject]@{
            CustomerAddress = $_.CustomerAddress
            VirtualSubnetId = $_.VirtualSubnetID
            MacAddress = $_.MACAddress
            ProviderAddress = $_.ProviderAddress
            Rule = [string]$_.Rule
            Type = [string]$_.Type
            Context = $_.Context
            CustomerId = [string]$_.CustomerID
        }
    })
    CustomerRoutes = @(Get-NetVirtualizationCustomerRoute | ForEach-Object {
        [pscustomobject]@{
            RoutingDomainId = $_.RoutingDomainID
            VirtualSubnetId = $_.VirtualSubnetID
            DestinationPrefix = $_.DestinationPrefix
            NextHop = $_.NextHop
            Metric = $_.Metric
        }
    })
    ProviderAddresses = @(Get-NetVirtualizationProviderAddress | ForEach-Object {
        [pscustomobject]@{
            ProviderAddress = $_.ProviderAddress
            AddressState = [string]$_.AddressState
            PrefixLength = $_.PrefixLength
            VlanId = $_.VlanID
            InterfaceIndex = $_.InterfaceIndex
            ManagedByCluster = [bool]$_.ManagedByCluster
        }
    })
    ProviderRoutes = @(Get-NetVirtualizationProviderRoute | ForEach-Object {
        [pscustomobject]@{
            DestinationPrefix = $_.DestinationPrefix
            NextHop = $_.NextHop
            Metric = $_.Metric
            InterfaceIndex = $_.InterfaceIndex
        }
    })
    Adapters = $adapters
} | ConvertTo-Json -Depth 8 -Compress
""",
    reads=True,
)

APPLY = Script(
    "network virtualization: change",
    PROLOGUE
    + _PHYSICAL
    + """
# Takes Changes too (weft.core.hyperv.differences.Changes); each kind in the order in which it is safe.
$changes = $arguments.Changes
if ($physical.Count -ne 1) { throw ('This host has no network adapter named {0}.' -f $arguments.Adapter) }
$index = $physical[0].InterfaceIndex

# What is changed or removed is named by the record itself: Set- cannot be asked for a type, and Windows may have learnt
# the same address. Windows Server 2012 has no types yet: all its records are static.
$held = @{}
foreach ($record in @(Get-NetVirtualizationLookupRecord | Where-Object { [string]$_.Type -notin @('Dynamic', '36') })) {
    $key = '{0} {1} {2}' -f $record.VirtualSubnetID, $record.CustomerAddress, $record.MACAddress
    $held[$key] = $record
}

function Get-LookupRecord {
    param($Record)
    $key = '{0} {1} {2}' -f $Record.VirtualSubnetId, $Record.CustomerAddress, $Record.MacAddress
    if ($null -eq $held[$key]) { throw ('There is no lookup record {0} any more.' -f $key) }
    return $held[$key]
}

function Add-LookupRecord {
    param($Record)
    $values = @{
        CustomerAddress = $Record.CustomerAddress
        VirtualSubnetID = $Record.VirtualSubnetId
        MACAddress = $Record.MacAddress
        ProviderAddress = $Record.ProviderAddress
        Rule = $Record.Rule
        Context = $Record.Context
        CustomerID = $Record.CustomerId
    }
    if ($Record.Type -ne 'Static') { $values.Type = $Record.Type }
    New-NetVirtualizationLookupRecord @values | Out-Null
}

if ($changes.Bind) { Enable-NetAdapterBinding -Name $arguments.Adapter -ComponentID 'ms_netwnv' }
foreach ($one in @($changes.TakeProviderAddresses)) {
    Remove-NetVirtualizationProviderAddress -ProviderAddress $one.ProviderAddress
}
foreach ($one in @($changes.AddProviderAddresses)) {
    $values = @{
        InterfaceIndex = $index
        ProviderAddress = $one.ProviderAddress
        PrefixLength = $one.PrefixLength
    }
    if ($one.VlanId -ne 0) { $values.VlanID = $one.VlanId }
    New-NetVirtualizationProviderAddress @values | Out-Null
}
foreach ($one in @($changes.SetProviderAddresses)) {
    $values = @{
        ProviderAddress = $one.ProviderAddress
        InterfaceIndex = $index
        PrefixLength = $one.PrefixLength
        VlanID = $one.VlanId
    }
    Set-NetVirtualizationProviderAddress @values
}
foreach ($one in @($changes.RemoveProviderRoutes)) {
    $values = @{
        InterfaceIndex = $index
        DestinationPrefix = $one.DestinationPrefix
        NextHop = $one.NextHop
    }
    Remove-NetVirtualizationProviderRoute @values
}
foreach ($one in @($changes.AddProviderRoutes)) {
    $values = @{
        InterfaceIndex = $index
        DestinationPrefix = $one.DestinationPrefix
        NextHop = $one.NextHop
    }
    if ($one.Metric -ne 0) { $values.Metric = $one.Metric }
    New-NetVirtualizationProviderRoute @values | Out-Null
}
foreach ($one in @($changes.RemoveCustomerRoutes)) {
    $values = @{
        RoutingDomainID = $one.RoutingDomainId
        VirtualSubnetID = $one.VirtualSubnetId
        DestinationPrefix = $one.DestinationPrefix
        NextHop = $one.NextHop
    }
    Remove-NetVirtualizationCustomerRoute @values
}
foreach ($one in @($changes.ReplaceLookupRecords)) {
    Remove-NetVirtualizationLookupRecord -InputObject (Get-LookupRecord -Record $one.Before)
    Add-LookupRecord -Record $one.After
}
foreach ($one in @($changes.SetLookupRecords)) {
    $values = @{
        InputObject = Get-LookupRecord -Record $one
        ProviderAddress = $one.ProviderAddress
        Rule = $one.Rule
        Context = $one.Context
        CustomerID = $one.CustomerId
    }
    Set-NetVirtualizationLookupRecord @values
}
foreach ($one in @($changes.AddLookupRecords)) { Add-LookupRecord -Record $one }
foreach ($one in @($changes.SetCustomerRoutes)) {
    $values = @{
        RoutingDomainID = $one.RoutingDomainId
        VirtualSubnetID = $one.VirtualSubnetId
        DestinationPrefix = $one.DestinationPrefix
        NextHop = $one.NextHop
        Metric = $one.Metric
    }
    Set-NetVirtualizationCustomerRoute @values
}
foreach ($one in @($changes.AddCustomerRoutes)) {
    $values = @{
        RoutingDomainID = $one.RoutingDomainId
        VirtualSubnetID = $one.VirtualSubnetId
        DestinationPrefix = $one.DestinationPrefix
        NextHop = $one.NextHop
        Metric = $one.Metric
    }
    New-NetVirtualizationCustomerRoute @values | Out-Null
}
$ports = @{}
$wanted = @($changes.SetPorts | ForEach-Object { $_.MachineId })
$machines = @(Get-VM | Where-Object { $wanted -contains [string]$_.Id })
if ($machines.Count -gt 0) {
    foreach ($adapter in @(Get-VMNetworkAdapter -VM $machines)) { $ports[[string]$adapter.Id] = $adapter }
}
foreach ($one in @($changes.SetPorts)) {
    $adapter = $ports[$one.AdapterId]
    if ($null -eq $adapter) { throw ('Machine {0} has no adapter {1} any more.' -f $one.MachineId, $one.AdapterId) }
    Set-VMNetworkAdapter -VMNetworkAdapter $adapter -VirtualSubnetId $one.VirtualSubnetId
}
foreach ($one in @($changes.RemoveLookupRecords)) {
    Remove-NetVirtualizationLookupRecord -InputObject (Get-LookupRecord -Record $one)
}
foreach ($one in @($changes.RemoveProviderAddresses)) {
    Remove-NetVirtualizationProviderAddress -ProviderAddress $one.ProviderAddress
}
[pscustomobject]@{ Done = $true } | ConvertTo-Json -Depth 8 -Compress
""",
)

SCRIPTS = (FOUND, APPLY)
