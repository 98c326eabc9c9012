"""What people are told to run on a Hyper-V host, as text. Called by conflicts, the audit and the command line."""

import re

from weft.model.values import mac_digits

_QUOTES = re.compile("(['\u2018\u2019\u201a\u201b])")
"""PowerShell ends a quoted string at any of them."""

REGISTRY_VALUES = (
    r"MinimumMacAddress and MaximumMacAddress (HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization)"
)
"""Where a Hyper-V host keeps its range: made once, of the address that the host had then; an image carries it along."""
_KEY = r"HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Virtualization"


def powershell(text: str) -> str:
    """A name as a PowerShell literal."""
    return "'" + _QUOTES.sub(r"\1\1", text) + "'"


def set_vm_host(host: str, first: int, last: int) -> str:
    """Let a host draw from a range, both ends included; `host` empty for the one that it is run on."""
    on = f"-ComputerName {powershell(host)} " if host else ""
    return f"Set-VMHost {on}-MacAddressMinimum {mac_digits(first)} -MacAddressMaximum {mac_digits(last)}"


def forget_range() -> tuple[str, ...]:
    """Let a Hyper-V host make its range anew of its present address: to be run on the host itself."""
    return (
        f"Remove-ItemProperty '{_KEY}' -Name MinimumMacAddress, MaximumMacAddress",
        rf"Remove-ItemProperty '{_KEY}\Worker' -Name CurrentMacAddress -ErrorAction SilentlyContinue",
        "Restart-Service vmms",
    )
