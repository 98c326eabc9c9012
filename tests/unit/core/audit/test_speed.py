"""An audit is linear in its inventory: a hundred thousand machines in under ten seconds."""

import time

from msgspec.structs import replace

from tests.unit.core.audit.synthetic import datacenter
from weft.core.audit.report import audit
from weft.model.inventory import Inventory


def test_twenty_thousand_machines_take_a_fifth_of_ten_seconds() -> None:
    """Of this process alone: what else the machine does is not the audit's."""
    inventory = datacenter(20_000)
    began = time.process_time()
    report = audit(inventory)
    assert time.process_time() - began < 2.0
    assert report.summary.machines == 20_000
    assert report.summary.critical > 0


def test_a_thousand_equal_ranges_and_one_address_everywhere_stay_linear() -> None:
    """What makes a quadratic search slow: every host overlaps every other, every machine clashes with every other."""
    inventory = datacenter(5_000)
    bounds, same = inventory.hosts[0].dynamic_mac_range, inventory.machines[0].interfaces
    hosts = tuple(replace(each, dynamic_mac_range=bounds) for each in inventory.hosts)
    machines = tuple(replace(each, interfaces=same, checkpoints=()) for each in inventory.machines)
    began = time.process_time()
    audit(Inventory(hosts=hosts, machines=machines))
    assert time.process_time() - began < 2.0
