"""`weft hyperv blank-checkpoints` on a whole controller, with agents that tell of Hyper-V hosts."""

import contextlib
import json
from collections.abc import Iterator

import pytest
from websockets.sync.client import unix_connect

from tests.unit.cli.conftest import Weft
from tests.unit.cli.hyperv_agents import Agent, listed
from tests.waiting import until
from weft.model.hypervisor import AdapterState, CheckpointState, MachineState

HOSTS = "\n---\n".join(
    f"kind: servers\nresourceId: {name}\nproperties: {{}}" for name in ("hv1", "hv2", "hv3", "other")
)
PLANNED = """\
kind: addressPlans
resourceId: plan
properties: {prefix: 00-15-5D, clusterDigits: 2, hostDigits: 1, interfaceDigits: 3}
---
kind: servers
resourceId: hv1
properties: {addressPlan: {resourceRef: /weft/addressPlans/plan}, clusterNumber: 0}
"""
DRAWN, BLANK, STATIC = AdapterState(0x00155D010007, dynamic=True), AdapterState(0, dynamic=True), AdapterState(2)


def machine(id_: str, name: str, *points: CheckpointState, own: str = "") -> MachineState:
    return MachineState(own, "Running", id=id_, name=name, adapters=(DRAWN,), checkpoints=points)


HELD = CheckpointState("C-2", "RDV 1", (DRAWN, STATIC), running=True)
HV1 = (
    machine("ID-1", "desk 1", CheckpointState("C-1", "RDV 1", (DRAWN,)), HELD),
    machine("ID-2", "desk 2", CheckpointState("C-3", "RDV 1", (BLANK,)), CheckpointState("C-4", "fixed", (STATIC,))),
)
HV2 = (
    machine("ID-3", "Pult 3", CheckpointState("C-5", "Rücksprung", (DRAWN,))),
    machine("ID-5", "desk [9]", CheckpointState("C-7", "c", (DRAWN,))),
    machine("ID-4", "web1", CheckpointState("C-6", "c", (DRAWN,)), own="web1"),
)


@pytest.fixture
def agents(weft: Weft, controller: str) -> Iterator[dict[str, Agent]]:
    assert weft("apply", "-f", "-", stdin=HOSTS).exit_code == 0
    path = controller.removeprefix("unix:")
    with contextlib.ExitStack() as stack:
        made = {}
        for name, machines in (("hv1", HV1), ("hv2", HV2)):
            socket = stack.enter_context(unix_connect(path, "ws://localhost/weft/v1/feed"))
            made[name] = Agent(socket, name, machines)
        until(lambda: len(listed(weft, "*")) == 7)
        yield made


def test_all_nodes_are_looked_at_and_nothing_is_done_unasked(weft: Weft, agents: dict[str, Agent]) -> None:
    shown = weft("hyperv", "blank-checkpoints", "*")
    assert shown.exit_code == 0, shown.output
    for words in (
        ("desk 1", "hv1", "RDV 1", "00-15-5D-01-00-07", "can be blanked"),
        ("desk 1", "00-15-5D-01-00-07, 00-00-00-00-00-02", "is left: it holds a running machine"),
        ("desk 2", "RDV 1", "nothing", "is blank"),
        ("desk 2", "fixed", "is left: its adapters are static"),
        ("Pult 3", "hv2", "Rücksprung", "can be blanked"),
        ("web1", "is left: Weft has the machine"),
    ):
        assert any(all(word in line for word in words) for line in shown.stdout.splitlines()), words
    assert "hv3 has no agent that is connected" in shown.stderr
    assert "blank 3 of them with --apply" in shown.stderr
    assert listed(weft, "*") == {
        "C-1": "possible", "C-2": "no", "C-3": "done", "C-4": "no", "C-5": "possible", "C-6": "no",
        "C-7": "possible",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (("DESK*",), {"C-1", "C-2", "C-3", "C-4", "C-7"}),
        (("{id-3}", "desk 2"), {"C-3", "C-4", "C-5"}),
        (("*", "--server", "HV2"), {"C-5", "C-6", "C-7"}),
        (("*", "--checkpoint", "rdv*"), {"C-1", "C-2", "C-3"}),
        (("desk",), set()),
        (("desk [9]",), {"C-7"}),
        (("desk [0-9]*",), set()),
    ],
)
def test_machines_are_chosen_by_id_or_pattern(
    weft: Weft, agents: dict[str, Agent], words: tuple[str, ...], ids: set[str]
) -> None:
    assert set(listed(weft, *words)) == ids


def test_an_agent_is_told_what_its_host_shall_draw_from(weft: Weft, agents: dict[str, Agent]) -> None:
    applied = weft("host", "range", "hv1", "--apply")
    assert applied.stdout == "hv1 shall draw from 00-15-5D-00-00-00 to 00-15-5D-00-00-FF\n"
    assert "weft host state hv1" in applied.stderr
    assert agents["hv1"].told().dynamic_range == (0x00155D000000, 0x00155D0000FF)
    given = ("00-15-5D-77-00-00", "00-15-5D-77-00-0F")
    assert weft("host", "range", "hv2", *given, "--apply").exit_code == 0
    assert agents["hv2"].told().dynamic_range == (0x00155D770000, 0x00155D77000F)


def test_a_hypervisor_without_such_a_range_is_refused(weft: Weft, controller: str) -> None:
    assert weft("apply", "-f", "-", stdin=PLANNED).exit_code == 0
    with unix_connect(controller.removeprefix("unix:"), "ws://localhost/weft/v1/feed") as socket:
        Agent(socket, "hv1", (), "libvirt")
        until(lambda: '"connected": true' in weft("host", "state", "hv1", "-o", "json").stdout)
        refused = weft("host", "range", "hv1", "--apply")
        assert (refused.exit_code, "runs libvirt, which has no range" in refused.stderr) == (2, True)
        shown = json.loads(weft("host", "range", "hv1", "-o", "json").stdout)
        assert shown["macRange"]["first"] == "00-15-5D-00-00-00", "what its plan gave it stays to be granted from"
        assert (shown["proposal"], shown["command"]) == (None, None)


def test_the_agents_of_all_hosts_are_asked_to_blank_what_can_be(weft: Weft, agents: dict[str, Agent]) -> None:
    assert listed(weft, "ID-1", "--apply") == {"C-1": "asked", "C-2": "no"}
    assert agents["hv1"].told().blank == (("id-1", "c-1"),)
    asked = weft("hyperv", "blank-checkpoints", "*", "--apply")
    assert (asked.exit_code, "3 are being blanked" in asked.stderr) == (0, True)
    assert agents["hv2"].told().blank == (("id-3", "c-5"), ("id-5", "c-7"))
    # what was asked for before stays
    assert listed(weft, "*")["C-1"] == "asked"
