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
