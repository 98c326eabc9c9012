"""An audit is linear in its inventory: four times the machines are some four times the work.

Work is counted in calls, not in seconds, so that what else the machine does is no part of it; `python -m weft.bench
AUDIT` has the seconds.
"""

import sys
from types import FrameType
from typing import Any

from msgspec.structs import replace

from tests.unit.core.audit.synthetic import datacenter
from weft.core.audit.report import audit
from weft.model.inventory import Inventory


def work(inventory: Inventory) -> int:
    """Functions called, Python's own ones too."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        audit(inventory)
    finally:
        sys.setprofile(before)
    return calls


def test_four_times_the_machines_are_four_times_the_work() -> None:
    assert work(datacenter(4_000)) < 5 * work(datacenter(1_000))


def test_equal_ranges_and_one_address_everywhere_stay_linear() -> None:
    """What makes a quadratic search slow: every host overlaps every other, every machine clashes with every other."""

    def worst(machines: int) -> Inventory:
        inventory = datacenter(machines)
        bounds, same = inventory.hosts[0].dynamic_mac_range, inventory.machines[0].interfaces
        hosts = tuple(replace(each, dynamic_mac_range=bounds) for each in inventory.hosts)
        alike = tuple(replace(each, interfaces=same, checkpoints=()) for each in inventory.machines)
        return Inventory(hosts=hosts, machines=alike)

    assert work(worst(4_000)) < 5 * work(worst(1_000))
