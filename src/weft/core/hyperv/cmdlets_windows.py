"""Rows of the table of cmdlets (weft.core.hyperv.cmdlets): what Windows PowerShell 5.1 has itself.

A row is the cmdlet and its parameters; a switch ends in `!`. Where-Object has the form with a script block only.
Start-Sleep and Invoke-Expression are left out on purpose: nothing waits by the clock, nothing makes code of data.
"""

_ASK = " WhatIf! Confirm!"
_PLACES = " Filter Include Exclude Credential"

_CORE = (
    "Where-Object FilterScript InputObject",
    "ForEach-Object Process Begin End RemainingScripts MemberName ArgumentList InputObject" + _ASK,
    "Out-Null InputObject",
    "Get-Command Name Noun Verb Module CommandType TotalCount ParameterName ParameterType ArgumentList All!"
    " ListImported! ShowCommandInfo! Syntax! FullyQualifiedModule",
    "Get-Module Name FullyQualifiedName All! ListAvailable! PSEdition Refresh! PSSession CimSession CimNamespace"
    " CimResourceUri",
)

_UTILITY = (
    "ConvertFrom-Json InputObject",
    "ConvertTo-Json InputObject Depth Compress!",
    "Select-Object Property ExcludeProperty ExpandProperty Unique! First Last Skip SkipLast Index Wait! InputObject",
    "Sort-Object Property Descending! Unique! CaseSensitive! Culture InputObject",
    "Measure-Object Property Sum! Average! Maximum! Minimum! Line! Word! Character! IgnoreWhiteSpace! InputObject",
    "Group-Object Property NoElement! AsHashTable! AsString! CaseSensitive! Culture InputObject",
    "New-Object TypeName ArgumentList Property ComObject Strict!",
    "Write-Output InputObject NoEnumerate!",
    "Write-Warning Message",
    "Write-Verbose Message",
)

_MANAGEMENT = (
    "Get-Item Path LiteralPath Force! Stream" + _PLACES,
    "Get-ChildItem Path LiteralPath Recurse! Depth Force! Name! Attributes Directory! File! Hidden! ReadOnly! System!"
    " Filter Include Exclude",
    "New-Item Path Name ItemType Value Force! Credential" + _ASK,
    "Test-Path Path LiteralPath PathType IsValid! OlderThan NewerThan" + _PLACES,
    "Remove-Item Path LiteralPath Recurse! Force! Stream" + _PLACES + _ASK,
    "Copy-Item Path LiteralPath Destination Container! Force! Recurse! PassThru! FromSession ToSession"
    + _PLACES
    + _ASK,
    "Move-Item Path LiteralPath Destination Force! PassThru!" + _PLACES + _ASK,
    "Get-Content Path LiteralPath ReadCount TotalCount Tail Force! Delimiter Wait! Raw! Encoding Stream" + _PLACES,
    "Set-Content Path LiteralPath Value PassThru! Force! NoNewline! Encoding Stream" + _PLACES + _ASK,
    "Join-Path Path ChildPath Resolve! Credential",
    "Split-Path Path LiteralPath Parent! Leaf! Qualifier! NoQualifier! Resolve! IsAbsolute! Credential",
    "Get-ItemProperty Path LiteralPath Name" + _PLACES,
    "Set-ItemProperty Path LiteralPath Name Value InputObject PassThru! Force!" + _PLACES + _ASK,
    "Remove-ItemProperty Path LiteralPath Name Force!" + _PLACES + _ASK,
    "Get-Service Name DisplayName InputObject Include Exclude ComputerName DependentServices! RequiredServices!",
    "Restart-Service Name DisplayName InputObject Include Exclude Force! PassThru!" + _ASK,
)

_DIAGNOSTICS = (
    "Get-WinEvent LogName ListLog ListProvider ProviderName Path FilterHashtable FilterXml FilterXPath MaxEvents"
    " ComputerName Credential Force! Oldest!",
)

_CIM = (
    "Get-CimInstance ClassName Namespace Filter Property Query QueryDialect InputObject ResourceUri KeyOnly! Shallow!"
    " OperationTimeoutSec CimSession ComputerName",
)

MODULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Microsoft.PowerShell.Core", _CORE),
    ("Microsoft.PowerShell.Utility", _UTILITY),
    ("Microsoft.PowerShell.Management", _MANAGEMENT),
    ("Microsoft.PowerShell.Diagnostics", _DIAGNOSTICS),
    ("CimCmdlets", _CIM),
)
