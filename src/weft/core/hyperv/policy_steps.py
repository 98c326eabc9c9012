"""The fixed text of the policy scripts (weft.core.hyperv.policy_script): what is the same for every host.

The order is that of the five steps by which Network Virtualization is set up by hand on Windows Server 2012: binding,
lookup records and customer routes, provider address and route of the one and of the other host, VSIDs of the ports.
"""

from weft.core.hyperv.machines_ports import PROFILE_FEATURE

BEGIN = """# Written by Weft: makes the host that it is for match its policy. Run it there, as an administrator.
# Each thing is looked up before it is changed, so it may run any number of times; it prints what it changes.
# -Adapter NAME   the physical network adapter, where it is another than the one in the data below
# -Sweep          also remove records of ours that are not in this policy (version 1)
param([string]$Adapter, [switch]$Sweep)
$ErrorActionPreference = 'Stop'

# All data of the policy, as JSON.
"""

_PORTS = f"""
function Get-PortOwner {{
    param($Adapter)
    $features = @(Get-VMSwitchExtensionPortFeature -VMNetworkAdapter $Adapter -FeatureId '{PROFILE_FEATURE}')
    if ($features.Count -ne 1) {{ return '' }}
    $owner = [string]$features[0].SettingData.ProfileId
    if ($owner -eq '{{00000000-0000-0000-0000-000000000000}}') {{ return '' }}
    return $owner
}}

# The adapter of a port: by the interface id of its port profile, else by its place in the machine; never by its MAC
# address alone, which finds nothing when the address is another than it should be, and says nothing then.
function Get-PortAdapter {{
    param($Machines, $Port)
    if ($Port.MachineId) {{
        $machine = @($Machines | Where-Object {{ [string]$_.Id -eq $Port.MachineId }})
    }} else {{
        $machine = @($Machines | Where-Object {{ $_.Name -eq $Port.Machine }})
    }}
    if ($machine.Count -ne 1) {{
        if ($machine.Count -ne 0 -or $Port.Expected) {{
            Write-Warning ('{{0}} machines of this host are {{1}}.' -f $machine.Count, $Port.Machine)
        }}
        return
    }}
    $adapters = @(Get-VMNetworkAdapter -VM $machine[0])
    $found = @($adapters | Where-Object {{ (Get-PortOwner -Adapter $_) -eq $Port.ProfileId }})
    if ($found.Count -eq 0 -and $adapters.Count -eq $Port.Of) {{
        $found = @($adapters[$Port.Position] | Where-Object {{ (Get-PortOwner -Adapter $_) -eq '' }})
    }}
    if ($found.Count -ne 1) {{
        Write-Warning ('{{0}} adapters of {{1}} are {{2}}.' -f $found.Count, $Port.Machine, $Port.NetworkInterface)
        return
    }}
    if ($found[0].MacAddress -ne $Port.MacAddress) {{
        $said = '{{0}}: the adapter of {{1}} has MAC address {{2}} instead of {{3}}.'
        Write-Warning ($said -f $Port.Machine, $Port.NetworkInterface, $found[0].MacAddress, $Port.MacAddress)
        return
    }}
    if ($found[0].DynamicMacAddressEnabled) {{
        $said = '{{0}}: Hyper-V may give the adapter of {{1}} another MAC address at its next start: make it static.'
        Write-Warning ($said -f $Port.Machine, $Port.NetworkInterface)
    }}
    return $found[0]
}}
"""

_END = """
if ($incomplete) { throw 'Not all of the policy is in place: see the warnings above.' }
"""

V1 = (
    """
if (-not $Adapter) { $Adapter = $policy.Adapter }
$incomplete = $false
foreach ($warning in @($policy.Warnings)) { Write-Warning $warning }
"""
    + _PORTS
    + """
# Step 1: bind the network virtualization filter to the physical adapter. From Windows Server 2012 R2 on it is part of
# the virtual switch, and there is nothing to bind.
$physical = @(Get-NetAdapter | Where-Object { $_.Name -eq $Adapter })
if ($physical.Count -ne 1) {
    throw ('This host has no network adapter named {0}: run the script with -Adapter NAME.' -f $Adapter)
}
$index = $physical[0].InterfaceIndex
$unbound = @(Get-NetAdapterBinding | Where-Object {
    $_.Name -eq $Adapter -and $_.ComponentID -eq 'ms_netwnv' -and -not $_.Enabled
})
if ($unbound.Count -gt 0) {
    Enable-NetAdapterBinding -Name $Adapter -ComponentID 'ms_netwnv'
    Write-Output ('bound ms_netwnv to {0}' -f $Adapter)
}

# Step 2: where each customer address is, the gateways' too, and the route of each virtual subnet. Equal on all hosts.
$records = @{}
$exact = @{}
$ourDomains = @{}
foreach ($record in @(Get-NetVirtualizationLookupRecord | Where-Object { [string]$_.Type -notin @('Dynamic', '36') })) {
    $key = '{0} {1}' -f $record.VirtualSubnetID, $record.CustomerAddress
    if ($null -eq $records[$key] -or $record.Context -notlike 'weft:*') { $records[$key] = $record }
    $key = '{0} {1} {2}' -f $record.VirtualSubnetID, $record.CustomerAddress, $record.MACAddress
    $exact[$key] = $record
    $key = '{0} {1}' -f $record.VirtualSubnetID, $record.CustomerID
    if ($record.Context -like 'weft:*') { $ourDomains[$key] = $true }
}
# A customer route has no room for a mark: it is ours by its routing domain, if a record of ours has that too.
$routed = @{}
foreach ($own in @($policy.CustomerRoutes)) {
    $routed[[string]$own.VirtualSubnetId] = $own
    $key = '{0} {1}' -f $own.VirtualSubnetId, $own.RoutingDomainId
    $ourDomains[$key] = $true
}
foreach ($route in @(Get-NetVirtualizationCustomerRoute)) {
    $own = $routed[[string]$route.VirtualSubnetID]
    $said = '{0} of virtual subnet {1}' -f $route.DestinationPrefix, $route.VirtualSubnetID
    $same = $null -ne $own -and
        $route.RoutingDomainID -eq $own.RoutingDomainId -and
        $route.DestinationPrefix -eq $own.DestinationPrefix -and
        $route.NextHop -eq $own.NextHop
    $key = '{0} {1}' -f $route.VirtualSubnetID, $route.RoutingDomainID
    if (-not $same -and $ourDomains[$key] -and ($null -ne $own -or $Sweep)) {
        Remove-NetVirtualizationCustomerRoute -InputObject $route
        Write-Output ('removed customer route {0}' -f $said)
    }
}
$wanted = @{}
foreach ($own in @($policy.LookupRecords)) {
    $key = '{0} {1}' -f $own.VirtualSubnetId, $own.CustomerAddress
    $wanted[$key] = $own.MacAddress
    $there = $exact[('{0} {1}' -f $key, $own.MacAddress)]
    if ($null -eq $there) { $there = $records[$key] }
    if ($null -ne $there -and $there.MACAddress -ne $own.MacAddress -and $there.Context -like 'weft:*') {
        Remove-NetVirtualizationLookupRecord -InputObject $there
        $there = $null
    }
    $values = @{
        CustomerAddress = $own.CustomerAddress
        VirtualSubnetID = $own.VirtualSubnetId
        MACAddress = $own.MacAddress
        ProviderAddress = $own.ProviderAddress
        Rule = $own.Rule
        Context = $own.Context
        CustomerID = $own.CustomerId
    }
    if ($null -eq $there) {
        if ($own.Type -ne 'Static') { $values.Type = $own.Type }
        New-NetVirtualizationLookupRecord @values | Out-Null
        Write-Output ('added lookup record {0} at {1}' -f $key, $own.ProviderAddress)
    } elseif ($there.MACAddress -ne $own.MacAddress) {
        Write-Warning ('Another hand has lookup record {0}, with MAC address {1}.' -f $key, $there.MACAddress)
        $incomplete = $true
    } elseif (
        $there.ProviderAddress -ne $own.ProviderAddress -or
        $there.Context -ne $own.Context -or
        $there.CustomerID -ne $own.CustomerId -or
        [string]$there.Rule -notin @($own.Rule, '36')
    ) {
        # by the record itself: Windows may have learnt the same address, which Set- could not tell apart
        $values = @{
            InputObject = $there
            ProviderAddress = $own.ProviderAddress
            Rule = $own.Rule
            Context = $own.Context
            CustomerID = $own.CustomerId
        }
        Set-NetVirtualizationLookupRecord @values
        Write-Output ('set lookup record {0} to {1}' -f $key, $own.ProviderAddress)
    }
}
$routes = @(Get-NetVirtualizationCustomerRoute)
foreach ($own in @($policy.CustomerRoutes)) {
    $said = '{0} of virtual subnet {1}' -f $own.DestinationPrefix, $own.VirtualSubnetId
    $there = @($routes | Where-Object { $_.VirtualSubnetID -eq $own.VirtualSubnetId })
    $values = @{
        RoutingDomainID = $own.RoutingDomainId
        VirtualSubnetID = $own.VirtualSubnetId
        DestinationPrefix = $own.DestinationPrefix
        NextHop = $own.NextHop
        Metric = $own.Metric
    }
    if ($there.Count -eq 0) {
        New-NetVirtualizationCustomerRoute @values | Out-Null
        Write-Output ('added customer route {0}' -f $said)
    } elseif ($there[0].RoutingDomainID -ne $own.RoutingDomainId) {
        Write-Warning ('Another hand has a customer route where {0} should be.' -f $said)
        $incomplete = $true
    } elseif ($there[0].Metric -ne $own.Metric) {
        Set-NetVirtualizationCustomerRoute @values
        Write-Output ('set customer route {0}' -f $said)
    }
}

# Steps 3 and 4: provider address and route of this host alone; its peers' stand in theirs.
$addresses = @(Get-NetVirtualizationProviderAddress)
foreach ($own in @($policy.ProviderAddresses)) {
    $all = @($addresses | Where-Object { $_.ProviderAddress -eq $own.ProviderAddress })
    $here = @($all | Where-Object { $_.InterfaceIndex -eq $index -or $_.ManagedByCluster })
    foreach ($other in @($all | Where-Object { $_.InterfaceIndex -ne $index -and -not $_.ManagedByCluster })) {
        Remove-NetVirtualizationProviderAddress -InputObject $other
        Write-Output ('took provider address {0} from another adapter' -f $own.ProviderAddress)
    }
    if ($here.Count -eq 0) {
        $values = @{
            InterfaceIndex = $index
            ProviderAddress = $own.ProviderAddress
            PrefixLength = $own.PrefixLength
        }
        if ($own.VlanId -ne 0) { $values.VlanID = $own.VlanId }
        New-NetVirtualizationProviderAddress @values | Out-Null
        Write-Output ('added provider address {0}' -f $own.ProviderAddress)
    } elseif ($here[0].PrefixLength -ne $own.PrefixLength -or [int]$here[0].VlanID -ne $own.VlanId) {
        Set-NetVirtualizationProviderAddress -InputObject $here[0] -PrefixLength $own.PrefixLength -VlanID $own.VlanId
        Write-Output ('set provider address {0}' -f $own.ProviderAddress)
    }
}
$providerRoutes = @(Get-NetVirtualizationProviderRoute | Where-Object { $_.InterfaceIndex -eq $index })
foreach ($own in @($policy.ProviderRoutes)) {
    $same = @($providerRoutes | Where-Object {
        $_.DestinationPrefix -eq $own.DestinationPrefix -and $_.NextHop -eq $own.NextHop
    })
    $other = @($providerRoutes | Where-Object {
        $_.DestinationPrefix -eq $own.DestinationPrefix -and $_.NextHop -ne $own.NextHop
    })
    if ($same.Count -eq 0 -and $other.Count -gt 0) {
        $said = 'There is a provider route {0} by {1}, where one by {2} should be. If it is of no use, remove it.'
        Write-Warning ($said -f $own.DestinationPrefix, $other[0].NextHop, $own.NextHop)
        $incomplete = $true
    } elseif ($same.Count -eq 0) {
        $values = @{
            InterfaceIndex = $index
            DestinationPrefix = $own.DestinationPrefix
            NextHop = $own.NextHop
        }
        New-NetVirtualizationProviderRoute @values | Out-Null
        Write-Output ('added provider route {0} by {1}' -f $own.DestinationPrefix, $own.NextHop)
    }
}

# Step 5: the virtual subnet of each port.
$machines = @(Get-VM)
foreach ($port in @($policy.Ports)) {
    $found = @(Get-PortAdapter -Machines $machines -Port $port)
    if ($found.Count -ne 1) {
        if ($port.Expected) { $incomplete = $true }
    } elseif ($found[0].VirtualSubnetId -ne $port.VirtualSubnetId) {
        Set-VMNetworkAdapter -VMNetworkAdapter $found[0] -VirtualSubnetId $port.VirtualSubnetId
        Write-Output ('set {0} of {1} to {2}' -f $port.NetworkInterface, $port.Machine, $port.VirtualSubnetId)
    }
}

# With -Sweep: records that bear our mark and are no longer in the policy. The gateways' go last: as long as one is
# there, the route of its virtual subnet is known as ours.
if ($Sweep) {
    $stale = @(Get-NetVirtualizationLookupRecord | Where-Object {
        $_.Context -like 'weft:*' -and
        $wanted[('{0} {1}' -f $_.VirtualSubnetID, $_.CustomerAddress)] -ne $_.MACAddress
    })
    foreach ($gateways in @($false, $true)) {
        foreach ($old in @($stale | Where-Object { ($_.Context -like 'weft:* gateway') -eq $gateways })) {
            Remove-NetVirtualizationLookupRecord -InputObject $old
            Write-Output ('removed lookup record {0} {1}' -f $old.VirtualSubnetID, $old.CustomerAddress)
        }
    }
}
"""
    + _END
)

V2 = (
    """
$incomplete = $false
"""
    + _PORTS
    + f"""
# The port profile of each adapter: the id of its network interface. The values beside it are constants that network
# controllers write; they name the controller as the one that manages the port (VfpEnabled).
$machines = @(Get-VM)
foreach ($port in @($policy.Ports)) {{
    $found = @(Get-PortAdapter -Machines $machines -Port $port)
    if ($found.Count -ne 1) {{
        if ($port.Expected) {{ $incomplete = $true }}
    }} else {{
        $said = '{{0}} of {{1}}' -f $port.NetworkInterface, $port.Machine
        $vlans = @(Get-VMNetworkAdapterVlan -VMNetworkAdapter $found[0])
        if (@($vlans | Where-Object {{ [string]$_.OperationMode -notin @('Untagged', '0') }}).Count -gt 0) {{
            Set-VMNetworkAdapterVlan -VMNetworkAdapter $found[0] -Untagged
            Write-Output ('took {{0}} out of its VLAN' -f $said)
        }}
        $features = @(Get-VMSwitchExtensionPortFeature -VMNetworkAdapter $found[0] -FeatureId '{PROFILE_FEATURE}')
        if ($features.Count -eq 0) {{
            $feature = Get-VMSystemSwitchExtensionPortFeature -FeatureId '{PROFILE_FEATURE}'
            $feature.SettingData.ProfileId = $port.ProfileId
            $feature.SettingData.ProfileData = 1
            $feature.SettingData.ProfileName = 'Weft'
            $feature.SettingData.NetCfgInstanceId = '{{56785678-a0e5-4a26-bc9b-c0cba27311a3}}'
            $feature.SettingData.CdnLabelString = 'TestCdn'
            $feature.SettingData.CdnLabelId = 1111
            $feature.SettingData.VendorId = '{{1FA41B39-B444-4E43-B35A-E1F7985FD548}}'
            $feature.SettingData.VendorName = 'NetworkController'
            Add-VMSwitchExtensionPortFeature -VMNetworkAdapter $found[0] -VMSwitchExtensionFeature $feature | Out-Null
            Write-Output ('added the port profile of {{0}}' -f $said)
        }} elseif (
            $features[0].SettingData.ProfileId -ne $port.ProfileId -or $features[0].SettingData.ProfileData -ne 1
        ) {{
            $feature = $features[0]
            $feature.SettingData.ProfileId = $port.ProfileId
            $feature.SettingData.ProfileData = 1
            Set-VMSwitchExtensionPortFeature -VMNetworkAdapter $found[0] -VMSwitchExtensionFeature $feature | Out-Null
            Write-Output ('set the port profile of {{0}}' -f $said)
        }}
    }}
}}
"""
    + _END
)
