"""RenewMac, and what a PUT may not do to a MAC address."""

import pytest

from tests.unit.core.life import Life, events
from tests.unit.core.world import dynamic_interface, static_interface
from weft.core.changes import LeaseChange
from weft.core.commands import BeginMove, MarkMachine, RenewMac
from weft.core.copy_commands import Clone, TakeCheckpoint

ETH0 = "/networkInterfaces/web1-eth0"


@pytest.fixture
def world() -> Life:
    return Life()


def test_a_fresh_address_is_granted_and_the_old_one_cools(world: Life) -> None:
    decision = world.do(RenewMac("web1", "WEB1-eth0"))
    assert decision.resource == world.get("/weft/virtualMachines/web1")
    assert events(decision) == [("granted", "web1", "h1"), ("released", "web1", "h1")]
    (report,) = decision.report
    assert (report.before, report.after, report.outcome) == (
        "02-00-00-00-00-00 10.1.1.2",
        "02-00-00-00-00-01 10.1.1.2",
        "renewed",
    )
    assert world.addresses("web1-eth0") == "01 10.1.1.2"
    assert world.mac(0) == ("cooling", ["web1-eth0"])
    assert world.put(ETH0, dynamic_interface()).outcome == "unchanged"


def test_the_history_of_the_old_one_says_which_came_instead(world: Life) -> None:
    decision = world.do(RenewMac("web1", "web1-eth0"))
    assert "renewed: /networkInterfaces/web1-eth0 has 02-00-00-00-00-01 now" in [
        one.reason for one in decision.changes if isinstance(one, LeaseChange)
    ]


def test_the_address_asked_for_is_taken(world: Life) -> None:
    world.do(RenewMac("web1", ETH0, "0c-00-00-00-00-07"))
    assert world.addresses("web1-eth0") == "07 10.1.1.2"
    decision = world.do(RenewMac("web1", ETH0, "0C0000000007"))
    assert (decision.outcome, decision.report[0].outcome) == ("unchanged", "kept")
    assert world.put(ETH0, dynamic_interface()).outcome == "unchanged"
    # as if Weft had picked it: nobody else may have it, in no domain
    world.network("red")
    refusal = world.refused(
        "/networkInterfaces/r", static_interface("0C0000000007", "/virtualNetworks/red/subnets/web")
    )
    assert refusal.code == "PrivateMacAddressInUse"


@pytest.mark.parametrize(
    ("command", "code", "target"),
    [
        (RenewMac("none", "web1-eth0"), "NotFound", "/weft/virtualMachines/none"),
        (RenewMac("web1", "other"), "InvalidResourceReference", "networkInterface"),
        (RenewMac("web1", ETH0, "nonsense"), "InvalidPrivateMacAddress", "macAddress"),
        (RenewMac("web1", ETH0, "FF-FF-FF-FF-FF-FF"), "InvalidPrivateMacAddress", None),
        (RenewMac("web1", ETH0, "020000000001"), "PrivateMacAddressInUse", "privateMacAddress"),
    ],
)
def test_a_wrong_renewal_is_refused(world: Life, command: RenewMac, code: str, target: str | None) -> None:
    world.interface("other")
    refusal = world.refuses(command)
    assert (refusal.code, refusal.target) == (code, target)


def test_a_running_machine_is_renewed_by_force_only(world: Life) -> None:
    world.power("web1", "Running")
    assert world.refuses(RenewMac("web1", ETH0)).code == "MachineIsRunning"
    world.do(RenewMac("web1", ETH0, force=True))
    assert world.addresses("web1-eth0") == "01 10.1.1.2"
    world.do(BeginMove("web1", "h2"))
    assert world.refuses(RenewMac("web1", ETH0, force=True)).code == "AnotherOperationInProgress"
    world.do(Clone("web1", "gold", is_template=True))
    assert world.refuses(RenewMac("gold", ETH0)).code == "MachineIsTemplate"


def test_a_checkpoint_keeps_the_old_address_for_its_machine(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    assert events(world.do(RenewMac("web1", ETH0)))[1][0] == "retained"
    assert world.mac(0) == ("retained", ["c1"])
    world.interface("other")
    world.machine("db1", "h1", "Off", "other")
    assert world.refuses(RenewMac("db1", "other", "020000000000")).code == "PrivateMacAddressInUse"
    world.do(RenewMac("web1", ETH0, "020000000000"))
    assert world.mac(0) == ("assigned", ["c1", "web1-eth0"])


def test_a_static_interface_goes_on_as_static(world: Life) -> None:
    world.put("/networkInterfaces/s", static_interface("0C0000000001"))
    world.machine("db1", "h1", "Off", "s")
    refusal = world.refused("/networkInterfaces/s", static_interface("0C0000000002"))
    assert (refusal.code, "renewMac" in refusal.message) == ("PrivateMacAddressCannotBeUpdated", True)
    world.do(RenewMac("db1", "s", "0C0000000002"))
    assert world.put("/networkInterfaces/s", static_interface("0C0000000002")).outcome == "unchanged"
    world.do(RenewMac("db1", "s"))
    assert world.addresses("s").startswith("01 ")
    assert world.put("/networkInterfaces/s", static_interface("020000000001")).outcome == "unchanged"
    world.machine("db1", "h1", "Off")
    world.put("/networkInterfaces/s", static_interface("0C0000000003"))
    assert world.mac(1)[0] == "cooling"


def test_an_inactive_holder_stays_inactive(world: Life) -> None:
    world.do(MarkMachine("web1", "gone"))
    world.do(RenewMac("web1", ETH0))
    assert world.inactive("web1-eth0") == {1000.0}


def test_an_interface_that_had_none_gets_its_first(world: Life) -> None:
    world.host_range()
    world.put("/networkInterfaces/w", dynamic_interface(strategy="hostRange"))
    world.machine("db1", None, "Off", "w")
    assert world.refuses(RenewMac("db1", "w", "FFFFFFFFFFFF")).code == "InvalidPrivateMacAddress"
    world.do(RenewMac("db1", "w", "0C0000000001"))
    assert world.addresses("w").startswith("01 ")
    assert world.refuses(RenewMac("db1", "w")).code == "NoHostRange"
    world.machine("db1", "h1", "Off", "w")
    world.do(RenewMac("db1", "w"))
    assert world.get("/networkInterfaces/w").properties.private_mac_address == "02555D030000"


def test_a_put_of_another_method_points_at_the_renewal_too(world: Life) -> None:
    refusal = world.refused(ETH0, static_interface("020000000077"))
    assert (refusal.code, "renewMac" in refusal.message) == ("PrivateMacAllocationMethodCannotBeUpdated", True)
