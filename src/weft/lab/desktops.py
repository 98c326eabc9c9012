"""Source 002's story, lived on two fake Hyper-V hosts: pooled desktops of Remote Desktop Services, one of which moves,
and whose users log off. The same acts each time; what differs is who watches over the addresses.

Used by the demo's step and its test. Time is the fake's: it passes when an act takes some, and never by a stopwatch.
"""

import msgspec

from weft.fakes.hyperv.cmdlets.table import cmdlets_of
from weft.fakes.hyperv.event_log import CHECKPOINT_APPLIED
from weft.fakes.hyperv.machine import Nic, Vm
from weft.fakes.hyperv.people import Console, DesktopPool
from weft.fakes.hyperv.powershell.run import run
from weft.lab.hyperv_hosts import HyperVHosts
from weft.model.values import Mac, mac_digits
from weft.sim.hyperv import RUNNING

HV1, HV2 = "hv1", "hv2"
DESKTOPS = ("desk1", "desk2", "desk3")
MOVES = DESKTOPS[0]
"""The one that does not stay on its first host."""
RANGE = 8
"""Addresses that each host draws from. A real one has 256; that many machines more change nothing but the time."""
HOUR = 3600
TASK_SECONDS, BOOT_SECONDS = 2, 20
"""Until the scheduled task of the workaround acts, and until the desktop is up; the source has 15 to 30 s for both."""
BLANK = "Get-VM | Get-VMSnapshot | Get-VMNetworkAdapter | Set-VMNetworkAdapter -DynamicMacAddress"
"""The workaround's line, for every machine of a host."""


class Lived(msgspec.Struct, frozen=True):
    """What one telling of the story came to. MAC addresses as Hyper-V shows them."""

    first: str
    """MAC address of the desktop that moves, when its first user has logged on."""
    moved: str
    """After its move and a restart."""
    given_again: tuple[str, ...]
    """Machines that its first host gave the first address to, afterwards."""
    rolled_back: str
    """After its user has logged off."""
    users: tuple[str, ...]
    """Machines that run with that address then."""
    reboots: int
    """Of all desktops, because of the logoffs."""
    off_network: int
    """Seconds of the hour after the logoffs in which the desktop that moved could not be reached."""
    template: tuple[str, bool]
    """The template's address, and whether it is dynamic."""


class Watch:
    """Over the addresses of one datacenter. `off` counts the seconds that each desktop was off the network."""

    def __init__(self) -> None:
        self.hosts = HyperVHosts()
        self.center = self.hosts.center
        self.off = dict.fromkeys(DESKTOPS, 0)
        for name, ipv4 in ((HV1, "192.168.1.10"), (HV2, "192.168.1.20")):
            host = self.hosts.add(name, ipv4)
            host.set_range(host.range.first, Mac(host.range.first + RANGE - 1))
        self.console = self.hosts.console(HV1)
        self.pool = DesktopPool(self.console, self.console.create("gold"))

    async def settled(self) -> None:
        """Nothing is left to do after what people did."""
        return

    async def checkpoints_taken(self) -> None:
        """Those that the desktops are rolled back to have just been taken."""
        return

    async def logged_off(self) -> None:
        """All desktops have just been rolled back."""
        return

    def is_served(self, vm: Vm) -> bool:
        """Does its host's network carry what it sends, as far as that is more than a switch without trouble?"""
        return True

    def vm(self, name: str) -> Vm:
        return self.pool.desktops[name]

    def users(self, mac: int) -> tuple[str, ...]:
        """Machines that run with an address, anywhere."""
        machines = [vm for host in self.center.hosts.values() for vm in host.vms if vm.power == RUNNING]
        return tuple(sorted(vm.name for vm in machines for nic in vm.nics if nic.mac == mac))

    def is_off(self, name: str) -> bool:
        """Nobody can rely on reaching it: it does not run, its address changed or met another while it ran, or it
        shares its address."""
        vm = self.vm(name)
        return (
            vm.power != RUNNING or nic_of(vm).cut_off or len(self.users(nic_of(vm).mac)) > 1 or not self.is_served(vm)
        )

    def pass_time(self, seconds: int) -> None:
        for name in DESKTOPS:
            self.off[name] += seconds * self.is_off(name)
        self.center.pass_time(seconds)


class NobodyWatches(Watch):
    """Addresses are left to the hosts."""


class TheWorkaround(Watch):
    """The source's: checkpoints hold no address, and a task on every host restarts what was rolled back."""

    async def checkpoints_taken(self) -> None:
        for host in self.center.hosts.values():
            run(BLANK, {}, cmdlets_of(host))

    async def logged_off(self) -> None:
        self.pass_time(TASK_SECONDS)
        for name, host in self.center.hosts.items():
            for event in host.log.events:
                vm = host.vm(dict(event.values).get("VmId", "")) if event.id == CHECKPOINT_APPLIED else None
                if vm is not None:
                    Console(self.center, name).stop(vm)
        booting = [vm for name in DESKTOPS if (vm := self.vm(name)).power != RUNNING]
        self.pass_time(BOOT_SECONDS)
        for vm in booting:
            host, _ = self.center.find(vm.id) or (self.console.host, vm)
            host.start(vm)


def nic_of(vm: Vm) -> Nic:
    """A desktop has one adapter."""
    (nic,) = vm.nics
    return nic


def mac_of(vm: Vm) -> str:
    return mac_digits(nic_of(vm).mac)


async def live(watch: Watch) -> Lived:
    """The acts of Remote Desktop Services and of people."""
    pool, desktop = watch.pool, watch.pool.make(MOVES)
    for name in DESKTOPS[1:]:
        pool.make(name)
    await watch.settled()
    for name in DESKTOPS:
        pool.log_on_first(name)
    await watch.checkpoints_taken()
    await watch.settled()
    first = nic_of(desktop).mac
    pool.move(MOVES, HV2)
    await watch.settled()
    there = Console(watch.center, HV2)
    there.stop(desktop)
    there.start(desktop)
    await watch.settled()
    moved = mac_of(desktop)
    given_again = _start_others(watch, first)
    await watch.settled()
    before = sum(watch.vm(name).power_ons for name in DESKTOPS)
    began, watch.off = watch.center.clock, dict.fromkeys(DESKTOPS, 0)
    for name in DESKTOPS:
        pool.log_off(name)
    await watch.logged_off()
    await watch.settled()
    watch.pass_time(int(HOUR - (watch.center.clock - began)))
    return Lived(
        mac_digits(first),
        moved,
        given_again,
        mac_of(desktop),
        watch.users(nic_of(desktop).mac),
        sum(watch.vm(name).power_ons for name in DESKTOPS) - before,
        watch.off[MOVES],
        (mac_of(pool.template), nic_of(pool.template).dynamic),
    )


def _start_others(watch: Watch, first: int) -> tuple[str, ...]:
    """People start new machines on the first host, until its range has been gone through once; those that get the
    address which the desktop had there."""
    made = []
    for number in range(1, RANGE - len(DESKTOPS) + 2):
        vm = watch.console.create(f"new{number}")
        watch.console.start(vm)
        made.append(vm)
    return tuple(vm.name for vm in made if nic_of(vm).mac == first)
