"""Scripts about the host itself: where its dynamic MAC addresses come from. Pure.

What is set here concerns addresses that are drawn from now on; machines keep what they have.
"""

from weft.core.hyperv.script import PROLOGUE, Script

SET_RANGE = Script(
    "set-range",
    PROLOGUE
    + """
Set-VMHost -MacAddressMinimum $arguments.first -MacAddressMaximum $arguments.last
$back = Get-VMHost
if (($back.MacAddressMinimum -ne $arguments.first) -or ($back.MacAddressMaximum -ne $arguments.last)) {
    throw ('Set-VMHost: the range is {0} to {1} after {2} to {3} was set' -f
        $back.MacAddressMinimum, $back.MacAddressMaximum, $arguments.first, $arguments.last)
}
[pscustomobject]@{
    first = [string]$back.MacAddressMinimum
    last = [string]$back.MacAddressMaximum
} | ConvertTo-Json -Depth 8 -Compress
""",
)
"""{first, last}, both in twelve digits."""

FORGET_RANGE = Script(
    "forget-range",
    PROLOGUE
    + r"""
$key = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization'
$found = Get-ItemProperty -LiteralPath $key
if ($null -ne $found.MinimumMacAddress) {
    Remove-ItemProperty -LiteralPath $key -Name 'MinimumMacAddress'
}
if ($null -ne $found.MaximumMacAddress) {
    Remove-ItemProperty -LiteralPath $key -Name 'MaximumMacAddress'
}
Restart-Service -Name 'vmms'
$back = Get-VMHost
[pscustomobject]@{
    first = [string]$back.MacAddressMinimum
    last = [string]$back.MacAddressMaximum
} | ConvertTo-Json -Depth 8 -Compress
""",
)
"""{}: a host that was made from an image works its range out anew, from an IP address of its own. The management
service starts anew; machines run on."""
