"""BeginErrand, EndErrand and Steps: what a host does once, and the ledger's part with it."""

from typing import Any

import pytest

from tests.unit.core.life import Life
from weft.core.commands import (
    Batch,
    BeginErrand,
    BeginMove,
    Delete,
    EndErrand,
    Failover,
    MarkMachine,
    Path,
    RemoveServer,
    SetPower,
    Steps,
)
from weft.core.copy_commands import Clone, Restore, TakeCheckpoint
from weft.core.policy import host_stream
from weft.model.records import Errand, Machine

VM = "/weft/virtualMachines/web1"
CHECKPOINT = Path("virtualMachines", "web1", (("checkpoints", "c1"),))
TAKE = Steps((TakeCheckpoint("web1", "c1"), BeginErrand("web1", "checkpoint", "c1")))


@pytest.fixture
def world() -> Life:
    return Life("Running")


def errand(world: Life) -> Any:
    return world.get(VM).properties.errand


def told(world: Life) -> Errand | None:
    """What the host of web1 is told."""
    (record,) = [one for one in host_stream(world.state, "h1").values() if isinstance(one, Machine)]
    return record.errand


def test_the_ledgers_part_and_the_errand_are_one(world: Life) -> None:
    decision = world.do(TAKE)
    assert decision.resource == world.get(VM)
    number = errand(world).number
    assert number and errand(world).phase == "asked"
    assert told(world) == Errand(number, "checkpoint", "c1")
    assert world.mac(0)[1] == ["networkInterface", "checkpoint"] or world.mac(0)[0] == "assigned"
    world.do(EndErrand("web1", number))
    assert (errand(world), told(world)) == (None, None)


def test_a_store_that_was_put_back_gives_no_number_a_second_time(world: Life) -> None:
    """Its revisions come again: a host that ended an errand of the lost ones would take the new one for done."""
    lost, again = (world.decide(TAKE).resource.properties.errand.number for _ in range(2))
    assert lost != again


def test_a_failure_stays_to_be_read_and_the_ledger_is_as_it_was(world: Life) -> None:
    before = world.addresses("web1-eth0")
    world.do(TAKE)
    number = errand(world).number
    world.do(Steps((EndErrand("web1", number, "no space"), Delete(CHECKPOINT))))
    assert (errand(world).phase, errand(world).failure, told(world)) == ("failed", "no space", None)
    assert world.state.get("checkpoints", "web1~c1") is None
    assert world.addresses("web1-eth0") == before
    world.do(TAKE)
    assert errand(world).phase == "asked"


def test_steps_are_all_or_nothing(world: Life) -> None:
    refused = Steps((TakeCheckpoint("web1", "c1"), Restore("web1", "none")))
    assert world.refuses(refused).code == "NotFound"
    assert world.state.get("checkpoints", "web1~c1") is None
    world.do(Batch((TAKE,)))
    assert world.state.get("checkpoints", "web1~c1") is not None


def test_nothing_else_is_done_to_it_meanwhile(world: Life) -> None:
    world.do(TAKE)
    number = errand(world).number
    for command in (
        SetPower("web1", "Off"),
        BeginMove("web1", "h2"),
        TakeCheckpoint("web1", "c2"),
        Restore("web1", "c1"),
        BeginErrand("web1", "export", "e"),
    ):
        refusal = world.refuses(command)
        assert refusal.code == "AnotherOperationInProgress", command
        assert "checkpoint c1" in refusal.message
    for other in (EndErrand("web1", number + 1), EndErrand("none", 1)):
        assert world.refuses(other).code in ("ErrandIsOver", "NotFound")
    world.do(EndErrand("web1", number, "no"))
    assert world.refuses(EndErrand("web1", number)).code == "ErrandIsOver"


@pytest.mark.parametrize(
    "command", [Failover("web1", "h2"), MarkMachine("web1", "deleted outside"), RemoveServer("h1", "burnt")]
)
def test_it_ends_with_its_host(world: Life, command: Any) -> None:
    world.do(TAKE)
    world.do(command)
    assert errand(world) is None


def test_a_rollback_gives_the_power_of_the_checkpoint(world: Life) -> None:
    world.do(TakeCheckpoint("web1", "c1"))
    world.do(SetPower("web1", "Off"))
    world.do(BeginErrand("web1", "restore", "c1", "id-1", power="Running", before="Off"))
    found = errand(world)
    assert (found.power_state, found.hypervisor_id) == ("Off", "id-1")
    assert world.get(VM).properties.power_state == "Running"
    asked = told(world)
    assert asked is not None and asked.id == "id-1"


def test_it_is_refused_beside_a_twin_that_runs(world: Life) -> None:
    world.do(SetPower("web1", "Off"))
    world.do(Clone("web1", "twin", "keep"))
    world.do(SetPower("twin", "Running"))
    refusal = world.refuses(BeginErrand("web1", "restore", "c1", power="Running"))
    assert refusal.code == "ActiveTwin"


def test_a_rewriting_names_what_the_interfaces_own(world: Life) -> None:
    world.do(BeginErrand("web1", "rewriteCheckpoint", "c1", "id-1"))
    interface = world.get("/networkInterfaces/web1-eth0")
    asked = told(world)
    assert asked is not None
    assert asked.macs == ((interface.instance_id, int(interface.properties.private_mac_address, 16)),)


def test_only_its_own_host_is_told(world: Life) -> None:
    world.do(BeginErrand("web1", "export", "e", path="/exports"))
    assert told(world) == Errand(errand(world).number, "export", "e", path="/exports")
    assert not [one for one in host_stream(world.state, "h2").values() if isinstance(one, Machine)]


class TestCopiesOfDisks:
    HARDWARE = {
        "cpu": 2,
        "disks": [{"path": "/vm/WEB1.qcow2", "sizeGib": 20}, {"path": "C:\\vm\\data.vhdx"}, {"path": "/iso/cd.iso"}],
    }

    def test_each_disk_has_a_name_of_its_own(self, world: Life) -> None:
        world.put(VM, self.body())
        assert world.refuses(Clone("web1", "web2")).code == "MachineIsRunning"
        world.do(SetPower("web1", "Off"))
        world.do(Clone("web1", "web2"))
        made = world.get("/weft/virtualMachines/web2").properties.hardware
        assert made.cpu == 2
        assert [(disk.path, disk.size_gib, disk.source) for disk in made.disks] == [
            ("/vm/web2.qcow2", 0, "/vm/WEB1.qcow2"),
            ("C:\\vm\\web2-data.vhdx", 0, "C:\\vm\\data.vhdx"),
            ("/iso/cd.iso", 0, ""),
        ]

    def test_a_template_has_none(self, world: Life) -> None:
        world.put(VM, self.body())
        world.do(Clone("web1", "gold", is_template=True))
        assert world.get("/weft/virtualMachines/gold").properties.hardware is None

    def body(self) -> dict[str, Any]:
        return {
            "server": {"resourceRef": "/servers/h1"},
            "networkInterfaces": [{"resourceRef": "/networkInterfaces/web1-eth0"}],
            "hardware": self.HARDWARE,
        }
