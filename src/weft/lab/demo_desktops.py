"""The demo's step about pooled desktops: source 002's story (weft.lab.desktops) left to the hosts, with the source's
workaround, and with Weft's agents on the hosts, side by side. On fake Hyper-V hosts, whatever the demo's stage is.
"""

from weft.lab.demo_watch import See, check
from weft.lab.desktops import (
    BOOT_SECONDS,
    DESKTOPS,
    HOUR,
    MOVES,
    TASK_SECONDS,
    Lived,
    NobodyWatches,
    TheWorkaround,
    live,
)
from weft.lab.desktops_weft import weft_watches

_ROW = "{:<31}{:<14}{:<14}{}"
"""70 columns: with the demo's margin a line fits into 80."""


async def desktops_roll_back(see: See) -> None:
    """On hosts of its own: those of the stage have no part in it. Raises NotSo."""
    left = await live(NobodyWatches())
    around = await live(TheWorkaround())
    async with weft_watches() as watch:
        ours = await live(watch)
        conflicts = await watch.duplicates()
        check(not watch.starts_and_stops(), "an agent has started or stopped a machine")
    show(see, (left, around, ours))
    duplicate(left)
    storm(around)
    neither(ours)
    check(not conflicts, f"the ledger has duplicates: {conflicts}")


def show(see: See, told: tuple[Lived, Lived, Lived]) -> None:
    """Row by row what the three tellings came to."""
    see(f"on two fake Hyper-V hosts, RDS makes {', '.join(DESKTOPS)} on hv1")

    def row(label: str, *cells: object) -> None:
        see(_ROW.format(label, *cells).rstrip())

    row("", "dynamic MACs", "+ workaround", "with Weft")
    row(f"{MOVES}, when first logged on", *(one.first for one in told))
    row("moved to hv2, restarted there", *(one.moved for one in told))
    row("hv1 gives the first again to", *(", ".join(one.given_again) or "nobody" for one in told))
    row("its user logs off: rollback", *(one.rolled_back for one in told))
    row("who runs with that MAC now", *(", ".join(one.users) for one in told))
    row(f"reboots for {len(DESKTOPS)} logoffs", *(one.reboots for one in told))
    row("off the network, of an hour", *(f"{one.off_network} s" for one in told))


def duplicate(left: Lived) -> None:
    """The old way: the host that the desktop left gives its address to another machine, and the rollback meets it."""
    check(left.moved != left.first, "left to the hosts, the desktop kept its MAC address")
    check(left.given_again, "left to the hosts, its first address was not given again")
    check(left.rolled_back == left.first, f"the rollback brought {left.rolled_back}, not {left.first}")
    check(set(left.users) == {MOVES, *left.given_again}, f"{left.rolled_back} is used by {left.users}")
    check(left.off_network == HOUR, f"the duplicate lasted {left.off_network} s")


def storm(around: Lived) -> None:
    """The workaround: no duplicate, another address each time, and a reboot for each logoff."""
    check(around.users == (MOVES,), f"with the workaround {around.rolled_back} is used by {around.users}")
    check(around.rolled_back not in (around.first, around.moved), "with the workaround it kept its address")
    check(around.reboots == len(DESKTOPS), f"with the workaround there were {around.reboots} reboots")
    off = TASK_SECONDS + BOOT_SECONDS
    check(around.off_network == off, f"with the workaround it was off the network for {around.off_network} s")


def neither(ours: Lived) -> None:
    """With Weft: one address for life, nobody else's, no reboot, always on the network."""
    macs = {ours.first, ours.moved, ours.rolled_back}
    check(len(macs) == 1 and ours.first.startswith("001DD8B7"), f"with Weft it had {macs}")
    check(not ours.given_again, f"with Weft its address was given to {ours.given_again}")
    check(ours.users == (MOVES,), f"with Weft {ours.first} is used by {ours.users}")
    check(ours.reboots == 0, f"with Weft there were {ours.reboots} reboots")
    check(ours.off_network == 0, f"with Weft it was off the network for {ours.off_network} s")
    check(ours.template == ("000000000000", True), f"with Weft the template has {ours.template}")
