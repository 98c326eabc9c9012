# Written by Weft: makes the host that it is for match its policy. Run it there, as an administrator.
# Each thing is looked up before it is changed, so it may run any number of times; it prints what it changes.
# -Adapter NAME   the physical network adapter, where it is another than the one in the data below
# -Sweep          also remove records of ours that are not in this policy (version 1)
param([string]$Adapter, [switch]$Sweep)
$ErrorActionPreference = 'Stop'

# All data of the policy, as JSON.
$policy = @'
{"Server":"host2","Revision":0,"Adapter":"Ethernet","Ports":[{"NetworkInterface":"BlueVM2-eth0","VirtualSubnetId":6001,"MacAddress":"101010101107","Machine":"BlueVM2","MachineId":"","Position":0,"Of":1,"Expected":true,"ProfileId":"{0a05ac8f-a421-5e05-9508-eb2a08d0260f}"}]}
'@ | ConvertFrom-Json

$incomplete = $false

function Get-PortOwner {
    param($Adapter)
    $features = @(Get-VMSwitchExtensionPortFeature -VMNetworkAdapter $Adapter -FeatureId '9940cd46-8b06-43bb-b9d5-93d50381fd56')
    if ($features.Count -ne 1) { return '' }
    $owner = [string]$features[0].SettingData.ProfileId
    if ($owner -eq '{00000000-0000-0000-0000-000000000000}') { return '' }
    return $owner
}

# The adapter of a port: by the interface id of its port profile, else by its place in the machine; never by its MAC
# address alone, which finds nothing when the address is another than it should be, and says nothing then.
function Get-PortAdapter {
    param($Machines, $Port)
    if ($Port.MachineId) {
        $machine = @($Machines | Where-Object { [string]$_.Id -eq $Port.MachineId })
    } else {
        $machine = @($Machines | Where-Object { $_.Name -eq $Port.Machine })
    }
    if ($machine.Count -ne 1) {
        if ($machine.Count -ne 0 -or $Port.Expected) {
            Write-Warning ('{0} machines of this host are {1}.' -f $machine.Count, $Port.Machine)
        }
        return
    }
    $adapters = @(Get-VMNetworkAdapter -VM $machine[0])
    $found = @($adapters | Where-Object { (Get-PortOwner -Adapter $_) -eq $Port.ProfileId })
    if ($found.Count -eq 0 -and $adapters.Count -eq $Port.Of) {
        $found = @($adapters[$Port.Position] | Where-Object { (Get-PortOwner -Adapter $_) -eq '' })
    }
    if ($found.Count -ne 1) {
        Write-Warning ('{0} adapters of {1} are {2}.' -f $found.Count, $Port.Machine, $Port.NetworkInterface)
        return
    }
    if ($found[0].MacAddress -ne $Port.MacAddress) {
        $said = '{0}: the adapter of {1} has MAC address {2} instead of {3}.'
        Write-Warning ($said -f $Port.Machine, $Port.NetworkInterface, $found[0].MacAddress, $Port.MacAddress)
        return
    }
    if ($found[0].DynamicMacAddressEnabled) {
        $said = '{0}: Hyper-V may give the adapter of {1} another MAC address at its next start: make it static.'
        Write-Warning ($said -f $Port.Machine, $Port.NetworkInterface)
    }
    return $found[0]
}

# The port profile of each adapter: the id of its network interface. The values beside it are constants that network
# controllers write; they name the controller as the one that manages the port (VfpEnabled).
$machines = @(Get-VM)
foreach ($port in @($policy.Ports)) {
    $found = @(Get-PortAdapter -Machines $machines -Port $port)
    if ($found.Count -ne 1) {
        if ($port.Expected) { $incomplete = $true }
    } else {
        $said = '{0} of {1}' -f $port.NetworkInterface, $port.Machine
        $vlans = @(Get-VMNetworkAdapterVlan -VMNetworkAdapter $found[0])
        if (@($vlans | Where-Object { [string]$_.OperationMode -notin @('Untagged', '0') }).Count -gt 0) {
            Set-VMNetworkAdapterVlan -VMNetworkAdapter $found[0] -Untagged
            Write-Output ('took {0} out of its VLAN' -f $said)
        }
        $features = @(Get-VMSwitchExtensionPortFeature -VMNetworkAdapter $found[0] -FeatureId '9940cd46-8b06-43bb-b9d5-93d50381fd56')
        if ($features.Count -eq 0) {
            $feature = Get-VMSystemSwitchExtensionPortFeature -FeatureId '9940cd46-8b06-43bb-b9d5-93d50381fd56'
            $feature.SettingData.ProfileId = $port.ProfileId
            $feature.SettingData.ProfileData = 1
            $feature.SettingData.ProfileName = 'Weft'
            $feature.SettingData.NetCfgInstanceId = '{56785678-a0e5-4a26-bc9b-c0cba27311a3}'
            $feature.SettingData.CdnLabelString = 'TestCdn'
            $feature.SettingData.CdnLabelId = 1111
            $feature.SettingData.VendorId = '{1FA41B39-B444-4E43-B35A-E1F7985FD548}'
            $feature.SettingData.VendorName = 'NetworkController'
            Add-VMSwitchExtensionPortFeature -VMNetworkAdapter $found[0] -VMSwitchExtensionFeature $feature | Out-Null
            Write-Output ('added the port profile of {0}' -f $said)
        } elseif (
            $features[0].SettingData.ProfileId -ne $port.ProfileId -or $features[0].SettingData.ProfileData -ne 1
        ) {
            $feature = $features[0]
            $feature.SettingData.ProfileId = $port.ProfileId
            $feature.SettingData.ProfileData = 1
            Set-VMSwitchExtensionPortFeature -VMNetworkAdapter $found[0] -VMSwitchExtensionFeature $feature | Out-Null
            Write-Output ('set the port profile of {0}' -f $said)
        }
    }
}

if ($incomplete) { throw 'Not all of the policy is in place: see the warnings above.' }
