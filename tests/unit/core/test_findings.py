"""What a host tells of a machine and the record cannot follow, from both."""

from typing import Any

import msgspec
import pytest

from tests.unit.core.life import WEB, Life
from weft.core.behind import arrival, host_notes, machine_notes
from weft.core.commands import NoteSeen, RenewMac, Seen
from weft.core.conflicts import Conflict, conflicts, joined
from weft.core.copy_commands import Clone
from weft.core.findings import elsewhere_findings, machine_findings, port_ref, stranger_findings
from weft.core.guest_adapters import fitted, interfaces_of
from weft.core.host_facts import NoteCheckpoints, NoteHost, NoteMachine, NoteMacs
from weft.core.kin import kin_of
from weft.core.strangers import adoption_of, pinned, reports_dynamic, twin_policy_of
from weft.model.errors import Invalid, InvalidReference
from weft.model.hypervisor import AdapterState, CheckpointState, HypervisorState, MachineState
from weft.model.values import parse_mac

OTHER = parse_mac("00-15-5D-00-00-07")


@pytest.fixture
def world() -> Life:
    return Life()


def mac(world: Life, name: str = "web1-eth0") -> int:
    return int(world.get(f"/networkInterfaces/{name}").properties.private_mac_address, 16)


def told(name: str = "web1", power: str = "Running", *adapters: AdapterState, **more: Any) -> MachineState:
    return MachineState(name, power, id=f"id-{name}", adapters=adapters, **more)


def said(found: list[Any]) -> list[tuple[str, str, str]]:
    """Kind, the last two digits of the address, and who should give way."""
    return [(one.kind, one.address[-2:], one.holders[-1].rpartition("/")[2]) for one in found]


# -- ours


def test_a_machine_as_its_record_says_is_no_finding(world: Life) -> None:
    world.power("web1", "Running")
    assert machine_findings(world.state, "h1", told("web1", "Running", AdapterState(mac(world)))) == []
    assert machine_findings(world.state, "h1", told("nobody", "Running", AdapterState(7))) == []
    assert machine_findings(world.state, "h1", told("web1", "Off", AdapterState(7), awaited=True)) == []
    assert machine_findings(world.state, "h1", told("web1", "Off", AdapterState(7, dynamic=True))) == []


def test_an_address_that_another_runs_with_is_a_twin_and_one_that_it_only_has_is_drift(world: Life) -> None:
    world.power("web1", "Running")
    world.interface("web2-eth0")
    world.machine("web2", "h1", "Running", "web2-eth0")
    state = told("web1", "Running", AdapterState(mac(world, "web2-eth0")))
    [twin] = machine_findings(world.state, "h1", state)
    assert said([twin]) == [("activeTwin", "01", "web1-eth0")] and twin.l2_domain == WEB
    assert (twin.command, twin.holders[0]) == ("weft vm stop web1", "/networkInterfaces/web2-eth0")
    world.power("web2", "Off")
    [drift] = machine_findings(world.state, "h1", state)
    assert said([drift]) == [("drift", "01", "web1-eth0")]
    assert "which /networkInterfaces/web2-eth0 has" in drift.remedy and "02-00-00-00-00-00" in drift.remedy
    [free] = machine_findings(world.state, "h1", told("web1", "Running", AdapterState(OTHER)))
    assert "with this address; its interface" in free.remedy, "until the ledger follows"


def test_a_machine_started_beside_its_twin_is_one(world: Life) -> None:
    world.do(Clone("web1", "web2", addresses="keep"))
    world.power("web2", "Running")
    state = told("web1", "Running", AdapterState(mac(world)))
    assert said(machine_findings(world.state, "h1", state)) == [("activeTwin", "00", "web1-eth0")]
    world.power("web2", "Off")
    assert machine_findings(world.state, "h1", state) == []


def test_a_port_seen_elsewhere_is_a_twin_and_on_its_own_host_it_is_the_machine(world: Life) -> None:
    world.power("web1", "Running")
    state = told("web1", "Running", AdapterState(OTHER))
    world.do(NoteSeen("h1", (Seen(OTHER, "vnet1"),)))
    assert [one.kind for one in machine_findings(world.state, "H1", state)] == ["drift"]
    world.do(NoteSeen("h2", (Seen(OTHER, "vnet1"),)))
    assert [one.kind for one in machine_findings(world.state, "H1", state)] == ["activeTwin"]


def test_a_dynamic_adapter_and_one_too_many_are_drift(world: Life) -> None:
    world.power("web1", "Running")
    adapters = (AdapterState(mac(world), dynamic=True), AdapterState(OTHER, id="nic2"), AdapterState(0))
    found = machine_findings(world.state, "h1", told("web1", "Running", *adapters))
    assert said(found) == [("drift", "00", "web1-eth0"), ("drift", "07", "web1")]
    assert "nic2" in found[1].remedy and found[1].command == ""
    waiting = world.put("/networkInterfaces/w", {"privateMacAllocationMethod": "Dynamic", "strategy": "hostRange"})
    assert waiting.resource.properties.private_mac_address is None
    world.machine("w", None, "Off", "w")
    [drift] = machine_findings(world.state, "h1", told("w", "Running", AdapterState(OTHER)))
    assert "its interface has none" in drift.remedy and drift.l2_domain == ""


def test_a_checkpoint_that_would_bring_another_address_back_is_drift(world: Life) -> None:
    state = told("web1", "Off", checkpoints=(CheckpointState("c1", "one", (AdapterState(mac(world)),)),))
    assert machine_findings(world.state, "h1", state) == [], "not noted yet"
    world.do(NoteCheckpoints("web1", "h1", state.checkpoints))
    assert machine_findings(world.state, "h1", state) == []
    world.do(RenewMac("web1", "web1-eth0"))
    [drift] = machine_findings(world.state, "h1", state)
    assert drift.command == "weft vm rewrite-checkpoints web1 --dry-run"
    assert drift.holders == ("/networkInterfaces/web1-eth0", "/weft/virtualMachines/web1/checkpoints/one")
    (checkpoint,) = state.checkpoints
    memory = msgspec.structs.replace(state, checkpoints=(msgspec.structs.replace(checkpoint, running=True),))
    [drift] = machine_findings(world.state, "h1", memory)
    assert drift.command == "weft vm restore web1 one --dry-run" and "rewrite" not in drift.remedy


def test_a_machine_that_runs_elsewhere_too_is_a_twin(world: Life) -> None:
    [twin] = elsewhere_findings(world.state, "h2", told("web1"))
    assert twin.command == "weft vm failover web1 --to h2 --fenced" and "by its record on h1" in twin.remedy
    assert elsewhere_findings(world.state, "h2", told("web1", "Off")) == []
    assert elsewhere_findings(world.state, "h2", told("nobody")) == []
    assert elsewhere_findings(world.state, "H1", told("web1")) == [], "its record has come here meanwhile"
    world.put("/networkInterfaces/w", {"privateMacAllocationMethod": "Dynamic", "strategy": "hostRange"})
    world.machine("w", None, "Off", "w")
    assert elsewhere_findings(world.state, "h2", told("w")) == [], "it has no address to be a twin with"


# -- strangers


def test_what_a_stranger_took_along_is_foreign(world: Life) -> None:
    instance = world.get("/networkInterfaces/web1-eth0").instance_id
    stranger = MachineState("", "Off", id="V1", name="copy of web1", adapters=(AdapterState(mac(world), instance),))
    found = stranger_findings(world.state, "h2", stranger, True)
    assert [one.kind for one in found] == ["foreign", "foreign"]
    assert "weft vm import NAME --to h2 --existing V1 --addresses new" in found[1].command
    assert {one.holders for one in found} == {("/networkInterfaces/web1-eth0", "/servers/h2/machines/copy-of-web1.V1")}
    running = MachineState("", "Running", id="V1", adapters=(AdapterState(mac(world)), AdapterState(0, "unknown")))
    assert stranger_findings(world.state, "h2", running, True) == [], "that is seen on the switches"
    assert port_ref("h2", running, 1) == "/servers/h2/ports/V1.V1.1"


def test_a_stranger_that_runs_with_an_address_of_ours_is_called_by_its_name(world: Life) -> None:
    adapters = (AdapterState(mac(world), name="vnet20", switch="br-int"),)
    stranger = MachineState("", "Running", id="V1", name="copy of web1", adapters=adapters)
    world.do(NoteSeen("h2", (Seen(mac(world), "copy-of-web1.V1", "br-int"),)))
    (found,) = stranger_findings(world.state, "h2", stranger, True)
    (noted,) = conflicts(world.state)
    assert found.remedy.startswith("copy of web1 on h2 has it, and is none of ours")
    assert found.command.startswith("weft vm renew-mac web1 ")
    assert (found.kind, found.address, found.holders) == (noted.kind, noted.address, noted.holders)
    assert joined([noted], [found]) == [found], "said once"
    assert joined([noted], []) == [noted]
    copied = Conflict("foreign", found.address, "", found.holders, "it took the interface id along too", "")
    assert joined([noted], [found, copied]) == [found, copied]


def test_a_strangers_dynamic_address_is_reported_or_not(world: Life) -> None:
    stranger = MachineState("", "Off", id="V1", name="pc", adapters=(AdapterState(0, dynamic=True),))
    assert [one.kind for one in stranger_findings(world.state, "h2", stranger, True)] == ["drift"]
    assert stranger_findings(world.state, "h2", stranger, False) == []


def server(world: Life, **properties: Any) -> None:
    old = world.get("/servers/h1").properties
    body = {"providerAddresses": list(old.provider_addresses), **properties}
    world.put("/servers/h1", body)


def test_policies_are_read_in_any_case_and_checked(world: Life) -> None:
    assert twin_policy_of(world.state, "h1") == twin_policy_of(world.state, "nobody") == "report"
    assert adoption_of(world.state, "nobody").mode == "report"
    subnet = {"resourceRef": WEB.upper()}
    server(world, twinPolicy="STOP", adoption={"mode": "PIN", "subnets": [subnet], "exceptions": ["gold*"]})
    assert twin_policy_of(world.state, "H1") == "stop"
    adoption = adoption_of(world.state, "h1")
    assert (adoption.mode, adoption.subnets[0].resource_ref, adoption.exceptions) == ("pin", WEB, ("gold*",))
    gold = MachineState("", "Off", id="V1", name="GOLD-1")
    assert not reports_dynamic(world.state, "h1", gold) and reports_dynamic(world.state, "h2", gold)
    for wrong, target in (
        ({"twinPolicy": "kill"}, "twinPolicy"),
        ({"adoption": {"mode": "steal"}}, "adoption.mode"),
        ({"adoption": {"mode": "pin"}}, "adoption.subnets"),
        ({"adoption": {"exceptions": [""]}}, "adoption.exceptions"),
        ({"adoption": {"subnets": [{"resourceRef": "/virtualNetworks/blue/subnets/none"}]}}, "adoption.subnets"),
    ):
        refusal = world.refused("/servers/h1", wrong)
        assert isinstance(refusal, Invalid | InvalidReference) and refusal.target == target


RANGE = (OTHER, OTHER + 7)
"""Which the record does not have."""


def test_a_stranger_is_pinned_while_it_is_off(world: Life) -> None:
    subnets = [{"resourceRef": WEB}]
    server(world, adoption={"mode": "pin", "subnets": subnets, "exceptions": ["gold"]})
    macs = (AdapterState(0, dynamic=True), AdapterState(OTHER, dynamic=True), AdapterState(OTHER + 8))
    desk = MachineState("", "Off", id="V1", name="web1", adapters=macs)
    taken = pinned(world.state, "h1", "hyperv", desk, RANGE)
    assert taken is not None and taken.name.startswith("web1-"), "another has its name"
    assert [one.mac_address for one in taken.interfaces] == ["", "", "00-15-5D-00-00-0F"]
    assert (taken.server, taken.hypervisor.type, taken.hypervisor.id) == ("h1", "hyperv", "V1")
    world.do(taken)
    assert world.get(f"/weft/virtualMachines/{taken.name}").properties.hypervisor.id == "V1"
    for one in (
        MachineState("", "Running", id="V2", adapters=macs),
        MachineState("", "Off", id="V2", adapters=macs[2:]),
        MachineState("", "Off", id="V2", name="Gold", adapters=macs),
        MachineState("", "Off", id="V2", adapters=macs, awaited=True),
    ):
        assert pinned(world.state, "h1", "hyperv", one, RANGE) is None
    assert pinned(world.state, "h2", "hyperv", desk, RANGE) is None
    server(world, adoption={"mode": "pin", "subnets": subnets})
    kept = pinned(world.state, "h1", "hyperv", MachineState("", "Off", id="V3", adapters=macs[1:]), None)
    assert kept.name == "V3" and kept.interfaces[0].mac_address == "00-15-5D-00-00-07", "its range is not known"


# -- which is which


def test_adapters_are_fitted_by_interface_id_then_by_address_then_by_order(world: Life) -> None:
    world.second()
    world.second("web1-eth2")
    every = interfaces_of(world.state, world.get("/weft/virtualMachines/web1"))
    ids = [one.instance_id for one in every]

    def fit(*adapters: AdapterState) -> list[int]:
        """Places of the adapters, in the order of the interfaces; -1 for none."""
        pairs = {one.resource_id: adapters.index(adapter) for one, adapter in fitted(every, adapters)}
        return [pairs.get(one.resource_id, -1) for one in every]

    assert fit(AdapterState(1, ids[2]), AdapterState(2), AdapterState(mac(world))) == [2, 1, 0]
    assert fit(AdapterState(1), AdapterState(2), AdapterState(3)) == [0, 1, 2]
    assert fit(AdapterState(1), AdapterState(2)) == [-1, -1, -1]
    copied = (AdapterState(1, ids[0]), AdapterState(mac(world), ids[0]))
    assert fit(*copied) == [1, -1, -1], "a copied interface id names none of both"


def test_a_machine_is_known_by_its_agents_name_then_by_id_then_by_its_mark(world: Life) -> None:
    world.machine("web2", "h2", "Off")
    one = MachineState("web2", "Off", id="V1")
    assert kin_of(world.state, "h1", one, "web1").resource_id == "web1"
    assert kin_of(world.state, "h1", one).resource_id == "web2"
    world.do(NoteMachine("web1", "h1", "", "hyperv", "v1"))
    assert kin_of(world.state, "h1", one).resource_id == "web1"
    world.do(NoteMachine("web2", "h2", "", "hyperv", "V1"))
    assert kin_of(world.state, "h2", one).resource_id == "web2", "the one of this server before others"
    assert kin_of(world.state, "h2", MachineState("web2", "Off", id="V9")) is None, "its record knows another id"
    assert kin_of(world.state, "h2", MachineState("", "Off")) is None
    world.delete("/weft/virtualMachines/web2")
    assert kin_of(world.state, "h2", one).resource_id == "web1"


# -- what is to be noted


def test_nothing_is_noted_that_is_on_record(world: Life) -> None:
    own = AdapterState(mac(world))
    state = told("web1", "Off", own)
    assert list(machine_notes(world.state, "h1", "hyperv", state, False)) == [
        NoteMachine("web1", "h1", "", "hyperv", "id-web1")
    ]
    world.do(NoteMachine("web1", "h1", "", "hyperv", "id-web1"))
    assert list(machine_notes(world.state, "h1", "hyperv", state, False)) == []
    assert list(machine_notes(world.state, "h1", "lab", MachineState("web1", "Off", id="web1"), False)) == []
    assert list(machine_notes(world.state, "h1", "lab", told("nobody"), True)) == []
    assert list(machine_notes(world.state, "h1", "lab", told(awaited=True), True)) == []
    unnamed = told("web1", "Off", checkpoints=(CheckpointState("", "one"),))
    assert list(machine_notes(world.state, "h1", "lab", unnamed, False)) == [], "without an id it would be made anew"
    changed = told("web1", "Running", AdapterState(OTHER))
    assert list(machine_notes(world.state, "h1", "hyperv", changed, True)) == [
        NoteMacs("web1", "h1", changed.adapters),
        NoteMachine("web1", "h1", "Running"),
    ]
    assert list(machine_notes(world.state, "h1", "hyperv", changed, False)) == [], "it is on its way to Off"
    off = told("web1", "Off", AdapterState(OTHER))
    assert list(machine_notes(world.state, "h1", "hyperv", off, True)) == [], "it gets its own again"
    saved = told("web1", "Saved", AdapterState(OTHER))
    assert list(machine_notes(world.state, "h1", "hyperv", saved, True)) == [
        NoteMacs("web1", "h1", saved.adapters),
        NoteMachine("web1", "h1", "Saved"),
    ]


def test_checkpoints_are_noted_where_they_differ(world: Life) -> None:
    world.do(NoteMachine("web1", "h1", "", "hyperv", "id-web1"))
    state = told("web1", "Off", checkpoints=(CheckpointState("C1", "one", (AdapterState(mac(world)),)),))
    [note] = machine_notes(world.state, "h1", "hyperv", state, False)
    assert note == NoteCheckpoints("web1", "h1", state.checkpoints)
    world.do(note)
    assert list(machine_notes(world.state, "h1", "hyperv", state, False)) == []
    for adapters in ((AdapterState(OTHER),), (AdapterState(0),)):
        other = told("web1", "Off", checkpoints=(CheckpointState("c1", "one", adapters),))
        [note] = machine_notes(world.state, "h1", "hyperv", other, False)
        world.do(note)
        assert list(machine_notes(world.state, "h1", "hyperv", other, False)) == []
    assert [type(one) for one in machine_notes(world.state, "h1", "hyperv", told("web1", "Off"), False)] == [
        NoteCheckpoints
    ]


def test_a_hosts_range_is_noted_where_it_differs(world: Life) -> None:
    drawing = HypervisorState(dynamic_range=(OTHER, OTHER + 7))
    [note] = host_notes(world.state, "H1", drawing)
    assert note == NoteHost("h1", (OTHER, OTHER + 7))
    world.do(note)
    assert list(host_notes(world.state, "h1", drawing)) == []
    assert list(host_notes(world.state, "h1", HypervisorState())) == [], "it says nothing"
    assert list(host_notes(world.state, "nobody", drawing)) == []


def test_an_arrival_names_what_it_is(world: Life) -> None:
    assert arrival("h2", "hyperv", told("web1")) == NoteMachine("web1", "h2", "Running", "hyperv", "id-web1")
    assert arrival("h2", "lab", MachineState("web1", "Off", id="web1")) == NoteMachine("web1", "h2", "Off")
