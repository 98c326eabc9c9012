"""The commands that carry a remedy out, for the machine's own hypervisor, ready to paste. Pure text.

Names come from somebody's inventory: every one is quoted for the shell that will read it.
"""

import re

from weft.core.audit.survey import HYPERV_OUI, Bounds, Guest, Nic, Site, Survey
from weft.core.cmdlets import powershell, set_vm_host
from weft.model.values import mac_colons, mac_dashes, mac_digits

_SPARE_FIRST = 0x025700000000
"""Where proposed addresses begin: locally administered, SLAP quadrant AAI (IEEE 802c), free of every reserved block."""
_VMWARE_FIRST, _VMWARE_LAST = 0x005056000000, 0x0050563FFFFF
"""What vSphere keeps for addresses that are set by hand; others it may refuse."""
_PLAN_WIDTH = 0x1000
"""Room of a proposed host range: sixteen times what a host has by itself."""
_POWERSHELL_WILDCARDS = re.compile(r"([`*?\[\]])")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9@%+=:,./_-]+")


class Spares:
    """Addresses and ranges that nothing in the inventory has, each proposed once."""

    def __init__(self, found: Survey) -> None:
        self._found = found
        self._taken = {nic.mac for nic in found.captured}
        self._next = _SPARE_FIRST
        self._next_vmware = _VMWARE_FIRST
        self._range = (HYPERV_OUI << 24) + 0xF00000

    def mac(self, nic: Nic) -> int:
        """An address for an interface, of the block that its hypervisor takes as long as that has one."""
        if nic.guest.site.type == "vmware":
            mac = self._spare(self._next_vmware)
            self._next_vmware = mac + 1
            if mac <= _VMWARE_LAST:
                return mac
        mac = self._spare(self._next)
        self._next = mac + 1
        return mac

    def _spare(self, mac: int) -> int:
        """The first from there on that nobody has. Costs by what the inventory names, however large a pool is."""
        pools = self._found.pool_ranges
        while True:
            if pools.holding(mac):
                mac = pools.beyond(mac)
            elif mac in self._found.by_mac or mac in self._taken:
                mac += 1
            else:
                return mac

    def bounds(self) -> Bounds | None:
        """A range for a host; None if the block that Hyper-V draws from has no room of that size."""
        while self._range >> 24 == HYPERV_OUI:
            first, last = self._range, self._range + _PLAN_WIDTH - 1
            self._range += _PLAN_WIDTH
            if not self.is_taken(first, last):
                return first, last
        return None

    def is_taken(self, first: int, last: int) -> bool:
        """Whether a host's range or a pool has some of it."""
        return self._found.ranges.touching(first, last) or self._found.pool_ranges.touching(first, last)


def _pattern(name: str) -> str:
    """A machine's or checkpoint's name: -Name takes patterns, and `*` would stop every machine."""
    return powershell(_POWERSHELL_WILDCARDS.sub(r"`\1", name))


def shell(text: str) -> str:
    """A name as a word of a POSIX shell."""
    return text if _PLAIN_WORD.fullmatch(text) else "'" + text.replace("'", "'\"'\"'") + "'"


def change_mac(nic: Nic, mac: int) -> tuple[str, ...]:
    """Give an interface another address for good. A running machine is stopped for it: no hypervisor can do without."""
    site, name = nic.guest.site, nic.guest.name
    twice = sum(other.mac == nic.mac for other in nic.guest.nics) > 1
    if site.type == "vmware":
        return _with_powercli(nic, mac, twice)
    if site.is_hyperv and site.managed_by == "scvmm":
        return _with_vmm(nic, mac, twice)
    if site.is_hyperv:
        machine = f"{_on(site)}-Name {_pattern(name)}"
        first = " | Select-Object -First 1" if twice else ""
        change = f"Get-VM {machine} | {_adapters_with(nic.mac)}{first} | "
        return _stopped(nic.guest, machine, f"{change}Set-VMNetworkAdapter -StaticMacAddress '{mac_dashes(mac)}'")
    if site.type == "libvirt":
        return (f"{_virsh(site)} edit {shell(name)}",) if twice else _with_virsh(nic, mac)
    return ("weft import INVENTORY", f"weft vm renew-mac {shell(name)} --mac {mac_dashes(mac)}")


def _adapters_with(mac: int) -> str:
    return f"Get-VMNetworkAdapter | Where-Object MacAddress -eq '{mac_digits(mac)}'"


def _stopped(guest: Guest, which: str, change: str) -> tuple[str, ...]:
    return (f"Stop-VM {which}", change, f"Start-VM {which}") if guest.running else (change,)


def _with_powercli(nic: Nic, mac: int, twice: bool) -> tuple[str, ...]:
    guest = nic.guest
    host = f"Get-VMHost -Name {_pattern(guest.site.name)} | " if guest.site.name else ""
    machine = f"{host}Get-VM -Name {_pattern(guest.name)}"
    first = " | Select-Object -First 1" if twice else ""
    change = (
        f"{machine} | Get-NetworkAdapter | Where-Object MacAddress -eq '{mac_colons(nic.mac)}'{first} | "
        f"Set-NetworkAdapter -MacAddress '{mac_colons(mac)}' -Confirm:$false"
    )
    if not guest.running:
        return (change,)
    # the guest answers before the machine is off
    off = f"while (({machine}).PowerState -ne 'PoweredOff') {{ Start-Sleep 1 }}"
    return f"{machine} | Stop-VMGuest -Confirm:$false", off, change, f"{machine} | Start-VM"


def _with_vmm(nic: Nic, mac: int, twice: bool) -> tuple[str, ...]:
    """By VMM, which would find out late about what is changed behind it."""
    guest = nic.guest
    own = guest.machine.id
    which = f"| Where-Object VMId -eq {powershell(own)}" if own else f"-Name {powershell(guest.name)}"
    machine = f"Get-SCVirtualMachine {which}"
    first = " | Select-Object -First 1" if twice else ""
    change = (
        f"{machine} | Get-SCVirtualNetworkAdapter | Where-Object MACAddress -eq '{mac_colons(nic.mac)}'{first} | "
        f"Set-SCVirtualNetworkAdapter -MACAddressType Static -MACAddress '{mac_colons(mac)}'"
    )
    if not guest.running:
        return (change,)
    return f"{machine} | Stop-SCVirtualMachine -Shutdown", change, f"{machine} | Start-SCVirtualMachine"


def _on(site: Site) -> str:
    return f"-ComputerName {powershell(site.name)} " if site.name else ""


def _with_virsh(nic: Nic, mac: int) -> tuple[str, ...]:
    """All but the address stays as it is: model, VLAN, filters, whatever the interface is connected to."""
    virsh, name = _virsh(nic.guest.site), shell(nic.guest.name)
    dump = f"{virsh} dumpxml --inactive --security-info {name}"
    define = f"{dump} | {_replaced(nic.mac, mac)} | {virsh} define /dev/stdin"
    if not nic.guest.running:
        return (define,)
    # shutdown answers before the machine is off
    off = f"until {virsh} domstate {name} | grep -q 'shut off'; do sleep 1; done"
    return define, f"{virsh} shutdown {name}", off, f"{virsh} start {name}"


def _replaced(old: int, new: int) -> str:
    return f"sed s/{mac_colons(old)}/{mac_colons(new)}/"


def _virsh(site: Site) -> str:
    return f"virsh -c {shell(f'qemu+ssh://{site.name}/system')}" if site.name else "virsh"


def correct_checkpoint(nic: Nic, present: int) -> tuple[str, ...]:
    """Let a checkpoint bring back the interface's present address; without one (0), let the host draw another."""
    site, name = nic.guest.site, nic.guest.name
    if site.is_hyperv:
        address = f"-StaticMacAddress '{mac_dashes(present)}'" if present else "-DynamicMacAddress"
        return (
            f"Get-VM {_on(site)}-Name {_pattern(name)} | Get-VMSnapshot -Name {_pattern(nic.checkpoint)} | "
            f"{_adapters_with(nic.mac)} | Set-VMNetworkAdapter {address}",
        )
    if site.type == "libvirt":
        return _snapshot_again(nic, present) if present else ()
    return ("weft import INVENTORY",)


def _snapshot_again(nic: Nic, present: int) -> tuple[str, ...]:
    """snapshot-edit refuses another address, so the record of the snapshot is made anew; its contents stay."""
    virsh, name, snapshot = _virsh(nic.guest.site), shell(nic.guest.name), shell(nic.checkpoint)
    changed = _replaced(nic.mac, present)
    return (
        f"{virsh} snapshot-dumpxml --security-info {name} {snapshot} | {changed} > snapshot.xml",
        f"{virsh} snapshot-delete {name} {snapshot} --metadata",
        f"{virsh} snapshot-create {name} snapshot.xml --redefine",
    )


def change_range(site: Site, bounds: Bounds | None) -> tuple[str, ...]:
    """Let a host draw from another range. Machines keep what they have until they are next turned on."""
    if bounds is None or not site.is_hyperv:
        return ()
    return (set_vm_host(site.name, *bounds),)
