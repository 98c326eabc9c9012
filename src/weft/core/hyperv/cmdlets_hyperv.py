"""Rows of the table of cmdlets (weft.core.hyperv.cmdlets): the modules of a Hyper-V host.

A row is the cmdlet and its parameters in the order of its page; a switch ends in `!`.
"""

_REMOTE = " CimSession ComputerName Credential"
_ASK = " WhatIf! Confirm!"
_CIM = " CimSession ThrottleLimit AsJob!"

_MACHINE_CHANGE = " Name VM" + _REMOTE + " AsJob! Passthru!" + _ASK
_ADAPTER_CHANGE = " VMName VMNetworkAdapter Name" + _REMOTE + " Passthru!" + _ASK
_CHECKPOINT_CHANGE = " Name VM VMName VMSnapshot" + _REMOTE + " AsJob! Passthru!" + _ASK
_DESTINATION = (
    " Name VM CompatibilityReport DestinationHost DestinationCimSession DestinationCredential IncludeStorage!"
    " DestinationStoragePath ResourcePoolName RetainVhdCopiesOnSource! VirtualMachinePath SnapshotFilePath"
    " SmartPagingFilePath Vhds AsJob!"
)
_PORT_FEATURE = " VMName VM VMNetworkAdapter ManagementOS! ExternalPort! SwitchName VMNetworkAdapterName"

_HYPER_V = (
    "Get-VM Name Id ClusterObject" + _REMOTE,
    "New-VM Name MemoryStartupBytes Generation BootDevice NoVHD! NewVHDPath NewVHDSizeBytes VHDPath SwitchName Path"
    " SourceGuestStatePath Version Prerelease! Experimental! GuestStateIsolationType Force! AsJob!" + _REMOTE + _ASK,
    "Set-VM Name VM GuestControlledCacheTypes LowMemoryMappedIoSpace HighMemoryMappedIoSpace ProcessorCount"
    " DynamicMemory! StaticMemory! MemoryMinimumBytes MemoryMaximumBytes MemoryStartupBytes AutomaticStartAction"
    " AutomaticStopAction AutomaticStartDelay AutomaticCriticalErrorAction AutomaticCriticalErrorActionTimeout"
    " AutomaticCheckpointsEnabled LockOnDisconnect Notes NewVMName SnapshotFileLocation SmartPagingFilePath"
    " CheckpointType Passthru! AllowUnverifiedPaths!" + _REMOTE + _ASK,
    "Start-VM" + _MACHINE_CHANGE,
    "Stop-VM Save! TurnOff! Force!" + _MACHINE_CHANGE,
    "Save-VM" + _MACHINE_CHANGE,
    "Remove-VMSavedState Name VM VMSnapshot" + _REMOTE + _ASK,
    "Suspend-VM" + _MACHINE_CHANGE,
    "Resume-VM" + _MACHINE_CHANGE,
    "Remove-VM Force!" + _MACHINE_CHANGE,
    "Rename-VM Name VM NewName Passthru!" + _REMOTE + _ASK,
    "Move-VM RemoveSourceUnmanagedVhds! Passthru!" + _DESTINATION + _REMOTE + _ASK,
    "Compare-VM Path Register! Copy! VhdDestinationPath VhdSourcePath GenerateNewId!" + _DESTINATION + _REMOTE + _ASK,
    "Export-VM Path CaptureLiveState" + _MACHINE_CHANGE,
    "Import-VM Path CompatibilityReport Register! Copy! VhdDestinationPath VirtualMachinePath SnapshotFilePath"
    " SmartPagingFilePath VhdSourcePath GenerateNewId! AsJob!" + _REMOTE + _ASK,
    "Get-VMHost" + _REMOTE,
    "Set-VMHost MaximumStorageMigrations MaximumVirtualMachineMigrations VirtualMachineMigrationAuthenticationType"
    " UseAnyNetworkForMigration VirtualMachineMigrationPerformanceOption ResourceMeteringSaveInterval"
    " VirtualHardDiskPath VirtualMachinePath MacAddressMaximum MacAddressMinimum FibreChannelWwnn"
    " FibreChannelWwpnMaximum FibreChannelWwpnMinimum NumaSpanningEnabled EnableEnhancedSessionMode Passthru!"
    + _REMOTE
    + _ASK,
    "Get-VMSwitch Name Id ResourcePoolName SwitchType" + _REMOTE,
    "Get-VMNetworkAdapter VMName VM VMSnapshot Name IsLegacy ManagementOS! SwitchName All!" + _REMOTE,
    "Add-VMNetworkAdapter VMName VM ManagementOS! SwitchName IsLegacy Name DynamicMacAddress! StaticMacAddress"
    " Passthru! ResourcePoolName DeviceNaming" + _REMOTE + _ASK,
    "Set-VMNetworkAdapter VMName VM VMNetworkAdapter ManagementOS! Name DynamicMacAddress! StaticMacAddress"
    " MacAddressSpoofing DhcpGuard RouterGuard PortMirroring IeeePriorityTag VmqWeight IovQueuePairsRequested"
    " IovInterruptModeration IovWeight IPsecOffloadMaximumSecurityAssociation MaximumBandwidth"
    " MinimumBandwidthAbsolute MinimumBandwidthWeight MandatoryFeatureId ResourcePoolName TestReplicaPoolName"
    " TestReplicaSwitchName VirtualSubnetId AllowTeaming NotMonitoredInCluster StormLimit DynamicIPAddressLimit"
    " DeviceNaming FixSpeed10G PacketDirectNumProcs PacketDirectModerationCount PacketDirectModerationInterval"
    " VrssEnabled VmmqEnabled VmmqQueuePairs Passthru!" + _REMOTE + _ASK,
    "Connect-VMNetworkAdapter SwitchName VMSwitch UseAutomaticConnection!" + _ADAPTER_CHANGE,
    "Disconnect-VMNetworkAdapter" + _ADAPTER_CHANGE,
    "Remove-VMNetworkAdapter VM ManagementOS! SwitchName" + _ADAPTER_CHANGE,
    "Get-VMNetworkAdapterVlan VMName VM VMSnapshot VMNetworkAdapter ManagementOS! VMNetworkAdapterName" + _REMOTE,
    "Set-VMNetworkAdapterVlan VMName VM VMNetworkAdapter ManagementOS! VMNetworkAdapterName Untagged! Access! VlanId"
    " Trunk! NativeVlanId AllowedVlanIdList Isolated! Community! Promiscuous! PrimaryVlanId SecondaryVlanId"
    " SecondaryVlanIdList Passthru!" + _REMOTE + _ASK,
    "Get-VMSnapshot VMName VM Id Name ParentOf ChildOf SnapshotType" + _REMOTE,
    "Checkpoint-VM SnapshotName" + _MACHINE_CHANGE,
    "Restore-VMSnapshot" + _CHECKPOINT_CHANGE,
    "Remove-VMSnapshot IncludeAllChildSnapshots!" + _CHECKPOINT_CHANGE,
    "New-VHD Path ParentPath SizeBytes Dynamic! Fixed! Differencing! SourceDisk BlockSizeBytes LogicalSectorSizeBytes"
    " PhysicalSectorSizeBytes AsJob!" + _REMOTE + _ASK,
    "Get-VHD Path VMId DiskNumber" + _REMOTE,
    "Resize-VHD Path SizeBytes ToMinimumSize! AsJob! Passthru!" + _REMOTE + _ASK,
    "Add-VMHardDiskDrive VMName VM VMDriveController ControllerType ControllerNumber ControllerLocation Path DiskNumber"
    " ResourcePoolName SupportPersistentReservations! AllowUnverifiedPaths! MaximumIOPS MinimumIOPS QoSPolicyID"
    " QoSPolicy Passthru! OverrideCacheAttributes" + _REMOTE + _ASK,
    "Get-VMHardDiskDrive VMName VM VMSnapshot VMDriveController ControllerLocation ControllerNumber ControllerType"
    + _REMOTE,
    "Set-VMProcessor VMName VM VMProcessor Count CompatibilityForMigrationEnabled"
    " CompatibilityForOlderOperatingSystemsEnabled HwThreadCountPerCore Maximum Reserve RelativeWeight"
    " MaximumCountPerNumaNode MaximumCountPerNumaSocket ResourcePoolName Perfmon EnableHostResourceProtection"
    " ExposeVirtualizationExtensions Passthru!" + _REMOTE + _ASK,
    "Set-VMMemory VMName VM VMMemory Buffer DynamicMemoryEnabled MaximumBytes StartupBytes MinimumBytes Priority"
    " MaximumAmountPerNumaNodeBytes ResourcePoolName Passthru!" + _REMOTE + _ASK,
    "Set-VMFirmware VMName VM VMFirmware BootOrder FirstBootDevice EnableSecureBoot SecureBootTemplate"
    " SecureBootTemplateId PreferredNetworkBootProtocol ConsoleMode PauseAfterBootFailure Passthru!" + _REMOTE + _ASK,
    "Get-VMSystemSwitchExtensionPortFeature FeatureName FeatureId ExtensionName SystemSwitchExtension" + _REMOTE,
    "Get-VMSwitchExtensionPortFeature FeatureName FeatureId Extension ExtensionName" + _PORT_FEATURE + _REMOTE,
    "Add-VMSwitchExtensionPortFeature VMSwitchExtensionFeature Passthru!" + _PORT_FEATURE + _REMOTE + _ASK,
    "Set-VMSwitchExtensionPortFeature VMSwitchExtensionFeature Passthru!" + _PORT_FEATURE + _REMOTE + _ASK,
)

_LOOKUP = " CustomerAddress VirtualSubnetID MACAddress ProviderAddress CustomerID Context Rule VMName UseVmMACAddress"
_CUSTOMER_ROUTE = " RoutingDomainID VirtualSubnetID DestinationPrefix NextHop Metric"
_PROVIDER = " ProviderAddress InterfaceIndex PrefixLength VlanID MACAddress"
_PROVIDER_ROUTE = " InterfaceIndex DestinationPrefix NextHop Metric"

_NETWNV = (
    "Get-NetVirtualizationLookupRecord Type Unusable Unsynchronized" + _LOOKUP + _CIM,
    "New-NetVirtualizationLookupRecord Type" + _LOOKUP + _CIM,
    "Set-NetVirtualizationLookupRecord InputObject PassThru!" + _LOOKUP + _CIM,
    "Remove-NetVirtualizationLookupRecord Type Unusable Unsynchronized InputObject PassThru!" + _LOOKUP + _CIM,
    "Get-NetVirtualizationCustomerRoute" + _CUSTOMER_ROUTE + _CIM,
    "New-NetVirtualizationCustomerRoute" + _CUSTOMER_ROUTE + _CIM,
    "Set-NetVirtualizationCustomerRoute InputObject PassThru!" + _CUSTOMER_ROUTE + _CIM,
    "Remove-NetVirtualizationCustomerRoute InputObject PassThru!" + _CUSTOMER_ROUTE + _CIM,
    "Get-NetVirtualizationProviderAddress AddressState ManagedByCluster" + _PROVIDER + _CIM,
    "New-NetVirtualizationProviderAddress" + _PROVIDER + _CIM,
    "Set-NetVirtualizationProviderAddress AddressState InputObject PassThru!" + _PROVIDER + _CIM,
    "Remove-NetVirtualizationProviderAddress AddressState ManagedByCluster InputObject PassThru!" + _PROVIDER + _CIM,
    "Get-NetVirtualizationProviderRoute" + _PROVIDER_ROUTE + _CIM,
    "New-NetVirtualizationProviderRoute" + _PROVIDER_ROUTE + _CIM,
    "Set-NetVirtualizationProviderRoute InputObject PassThru!" + _PROVIDER_ROUTE + _CIM,
    "Remove-NetVirtualizationProviderRoute InputObject PassThru!" + _PROVIDER_ROUTE + _CIM,
    "Get-NetVirtualizationGlobal" + _CIM,
    "Set-NetVirtualizationGlobal InputObject UseExternalRouter PassThru!" + _CIM,
)

_NETADAPTER = (
    "Get-NetAdapter Name InterfaceDescription InterfaceIndex IncludeHidden! Physical!" + _CIM,
    "Get-NetAdapterBinding Name InterfaceDescription ComponentID DisplayName IncludeHidden! AllBindings!" + _CIM,
    "Enable-NetAdapterBinding Name InterfaceDescription InputObject ComponentID DisplayName IncludeHidden!"
    " AllBindings! PassThru!" + _CIM + _ASK,
)

# A machine leaves its cluster with Remove-ClusterGroup -VMId: the module has no cmdlet named for it.
_FAILOVER_CLUSTERS = (
    "Get-Cluster Name Domain",
    "Get-ClusterNode Name InputObject Cluster",
    "Get-ClusterGroup Name VMId InputObject Cluster",
    "Get-ClusterResource Name VMId InputObject Cluster",
    "Add-ClusterVirtualMachineRole Name VMName VirtualMachine VMId InputObject Cluster",
    "Move-ClusterVirtualMachineRole Name Node Cancel! MigrationType IgnoreLocked! VMId Wait InputObject Cluster",
    "Remove-ClusterGroup Name VMId Force! RemoveResources! InputObject Cluster" + _ASK,
)

MODULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Hyper-V", _HYPER_V),
    ("NetWNV", _NETWNV),
    ("NetAdapter", _NETADAPTER),
    ("FailoverClusters", _FAILOVER_CLUSTERS),
)
