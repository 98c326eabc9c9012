"""What hosts' hypervisors tell becomes the ledger's, and what cannot is a conflict until it is gone."""

import msgspec

from tests.cluster.control import ANN, fill, interface, machine, put
from tests.cluster.host_agent import Rack
from tests.unit.control.behind import (
    FREE,
    WEB,
    controller,
    fill_one,
    found,
    holders,
    mac_of,
    p,
    quick,
    quiet,
    rack,
    run,
    tell,
)
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.commands import Delete, Failover, RenewMac
from weft.core.commands import Path as Name
from weft.core.copy_commands import Clone, TakeCheckpoint
from weft.model.fabric import Adoption, ServerProperties
from weft.model.hypervisor import AdapterState, CheckpointState, MachineState
from weft.model.leases import MAC_SCOPE
from weft.model.resources import Ref
from weft.model.values import parse_mac
from weft.model.workload import HypervisorIdentity, VirtualMachineProperties
from weft.wire.messages import SeenMac

__all__ = ["controller", "quick", "rack"]


async def test_the_hypervisors_id_and_the_hosts_own_range_are_noted_once(controller: Controller, rack: Rack) -> None:
    assert (p(controller).hypervisor.type, p(controller).hypervisor.id) == ("libvirt", "id-a")
    rack.hosts["host1"].dynamic_range = (FREE, FREE + 255)
    await soon(lambda: controller.state.get("servers", "host1").properties.dynamic_mac_range is not None)
    before = await quiet(controller)
    rack.hosts["host1"].failures["other"] = (0, "something else is news")
    assert await quiet(controller) == before


async def test_equal_ranges_of_two_hosts_are_a_conflict_at_once(controller: Controller, rack: Rack) -> None:
    """Stories 0.13, 0.c2, 0.c3, 1.2: nobody has to ask."""
    for host in rack.hosts.values():
        host.dynamic_range = (FREE, FREE + 255)
    await soon(lambda: [kind for kind, _, _ in found(controller)] == ["rangeOverlap"])
    rack.hosts["host2"].dynamic_range = (FREE + 256, FREE + 511)
    await soon(lambda: not found(controller))


async def test_power_by_another_hand_is_followed(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host1"]
    host.change("a", "Running")
    await soon(lambda: p(controller).power_state == "Running" and not host.by_hand)
    host.change("a", "Saved")
    await soon(lambda: p(controller).power_state == "Saved")
    host.change("a", "Off")
    await soon(lambda: p(controller).power_state == "Off")
    before = await quiet(controller)
    assert host.machines["a"] == "Off" and await quiet(controller) == before


async def test_a_start_beside_an_active_twin_is_a_conflict_until_the_twin_stops(
    controller: Controller, rack: Rack
) -> None:
    await controller.submit(Clone("a", "b", addresses="keep", server="host2"), ANN)
    await run(controller, "b")
    host = rack.hosts["host1"]
    host.change("a", "Running")
    tell(host, adapters=(AdapterState(mac_of(controller)),))
    await soon(lambda: found(controller))
    [(kind, _, who)] = found(controller)
    assert (kind, who) == ("activeTwin", ("/networkInterfaces/b-eth0", "/networkInterfaces/a-eth0"))
    assert [one.kind for one in controller.conflicts("A")] == ["activeTwin"]
    assert p(controller).power_state == "Off"
    await controller.machines.stop("b", ANN)
    await soon(lambda: p(controller).power_state == "Running" and not found(controller))


async def test_an_unannounced_rollback_gets_the_retained_address_back(controller: Controller, rack: Rack) -> None:
    """Stories 2.4, 2.6, 2.7: no duplicate, no reboot."""
    old = mac_of(controller)
    await controller.submit(TakeCheckpoint("a", "clean"), ANN)
    await controller.submit(RenewMac("a", "a-eth0"), ANN)
    new = mac_of(controller)
    await run(controller)
    tell(rack.hosts["host1"], adapters=(AdapterState(old),))
    await soon(lambda: mac_of(controller) == old)
    assert holders(controller, old) == ["/networkInterfaces/a-eth0", "/weft/virtualMachines/a/checkpoints/clean"]
    assert holders(controller, new) == [] and p(controller).power_state == "Running" and not found(controller)
    event = controller.history(MAC_SCOPE, old)[-1]
    assert (event.reason, event.actor) == ("rollback seen on host1", "agent of host1")
    before = await quiet(controller)
    assert await quiet(controller) == before


async def test_a_machine_that_was_as_its_record_says_is_looked_at_when_the_record_changes(
    controller: Controller, rack: Rack
) -> None:
    """Its host has nothing new to say of it."""
    await run(controller)
    old, host = mac_of(controller), rack.hosts["host1"]
    points = (CheckpointState("p1", "before", (AdapterState(old),)),)
    tell(host, adapters=(AdapterState(old),), checkpoints=points)
    await soon(lambda: controller.state.owned("checkpoints", "a"))
    await quiet(controller)
    await controller.submit(Delete(Name("virtualMachines", "a", (("checkpoints", "before"),))), ANN)
    assert not controller.state.owned("checkpoints", "a")
    await soon(lambda: controller.state.owned("checkpoints", "a"))
    await quiet(controller)
    await controller.submit(RenewMac("a", "a-eth0", force=True), ANN)
    assert mac_of(controller) != old
    await soon(lambda: mac_of(controller) == old)


async def test_a_rollback_to_an_address_that_another_has_is_a_conflict_and_changes_nothing(
    controller: Controller, rack: Rack
) -> None:
    await fill(controller, interface("c-eth0"), machine("c", "host2", "c-eth0"))
    own, other = mac_of(controller), mac_of(controller, "c-eth0")
    await run(controller)
    await run(controller, "c")
    tell(rack.hosts["host1"], adapters=(AdapterState(other),))
    await soon(lambda: found(controller))
    [conflict] = controller.conflicts("a")
    assert (conflict.kind, conflict.command) == ("activeTwin", "weft vm stop a")
    assert conflict.holders == ("/networkInterfaces/c-eth0", "/networkInterfaces/a-eth0")
    assert mac_of(controller) == own and [one.kind for one in controller.conflicts("c")] == ["activeTwin"]
    await controller.machines.stop("c", ANN)
    await soon(lambda: [one.kind for one in controller.conflicts("a")] == ["drift"])
    await controller.submit(Delete(Name("virtualMachines", "c")), ANN)
    await controller.submit(Delete(Name("networkInterfaces", "c-eth0")), ANN)
    await soon(lambda: mac_of(controller) == other and not found(controller))


async def test_a_dynamic_adapter_of_a_running_machine_is_drift_until_it_is_static(
    controller: Controller, rack: Rack
) -> None:
    await run(controller)
    tell(rack.hosts["host1"], adapters=(AdapterState(mac_of(controller), dynamic=True),))
    await soon(lambda: [kind for kind, _, _ in found(controller)] == ["drift"])
    tell(rack.hosts["host1"], adapters=(AdapterState(mac_of(controller)),))
    await soon(lambda: not found(controller))


async def test_checkpoints_of_the_host_hold_what_they_name_until_they_go(controller: Controller, rack: Rack) -> None:
    """Story 2.8: by id, whatever the name."""
    host, own = rack.hosts["host1"], mac_of(controller)
    one = CheckpointState("cp-1", "Vor dem Update (17. März)", (AdapterState(own),))
    two = CheckpointState("cp-2", one.name, (AdapterState(FREE),))
    tell(host, adapters=(AdapterState(own),), checkpoints=(one, two))
    await soon(lambda: len(controller.state.owned("checkpoints", "a")) == 2)
    [first, second] = controller.state.owned("checkpoints", "a")
    assert first.resource_id == "a~Vor-dem-Update-17.-Marz" and second.resource_id.startswith(first.resource_id)
    assert holders(controller, FREE) == [f"/weft/virtualMachines/a/checkpoints/{second.resource_id[2:]}"]
    await soon(lambda: controller.conflicts("a"))
    [conflict] = controller.conflicts("a")
    assert (conflict.kind, conflict.holders[-1]) == ("drift", holders(controller, FREE)[0])
    assert conflict.command == "weft vm rewrite-checkpoints a --dry-run"
    before = await quiet(controller)
    assert await quiet(controller) == before, "noted once"
    rewritten = CheckpointState("cp-2", "renamed", (AdapterState(own),))
    tell(host, adapters=(AdapterState(own),), checkpoints=(one, rewritten))
    await soon(lambda: not holders(controller, FREE) and not found(controller))
    tell(host, adapters=(AdapterState(own),))
    await soon(lambda: not controller.state.owned("checkpoints", "a"))
    assert holders(controller, own) == ["/networkInterfaces/a-eth0"]


async def test_a_checkpoint_that_weft_made_is_known_on_its_host_by_name(controller: Controller, rack: Rack) -> None:
    await controller.submit(TakeCheckpoint("a", "Clean"), ANN)
    adapters = (AdapterState(mac_of(controller)),)
    tell(rack.hosts["host1"], adapters=adapters, checkpoints=(CheckpointState("cp-1", "clean", adapters),))
    await soon(lambda: controller.state.owned("checkpoints", "a")[0].properties.hypervisor_id == "cp-1")
    assert len(controller.state.owned("checkpoints", "a")) == 1
    await controller.submit(TakeCheckpoint("a", "ledger-only"), ANN)
    tell(rack.hosts["host1"], adapters=adapters)
    await soon(lambda: [one.resource_id for one in controller.state.owned("checkpoints", "a")] == ["a~ledger-only"])


async def test_a_machine_that_another_hand_moved_is_bound_where_it_is(controller: Controller, rack: Rack) -> None:
    await run(controller)
    one, two = rack.hosts["host1"], rack.hosts["host2"]
    two.states["id-a"] = MachineState("", "Running", adapters=(AdapterState(mac_of(controller)),))
    await soon(lambda: found(controller))
    [conflict] = controller.conflicts("a")
    assert conflict.kind == "activeTwin" and conflict.command == "weft vm failover a --to host2 --fenced"
    del one.states["id-a"], one.machines["a"]
    one.gone.add("a")
    two.machines["a"] = "Running"
    await soon(lambda: p(controller).server.resource_ref == "/servers/host2")
    await soon(lambda: p(controller).power_state == "Running" and not found(controller) and not p(controller).inactive)


async def test_what_an_arrival_sends_is_itself_and_what_another_there_sends_is_a_twin(
    controller: Controller, rack: Rack
) -> None:
    await run(controller)
    one, two = rack.hosts["host1"], rack.hosts["host2"]
    two.seen = (SeenMac(mac_of(controller), "vnet1", "br-int"),)
    await soon(lambda: "/servers/host2/ports/vnet1" in holders(controller, mac_of(controller)))
    del one.states["id-a"], one.machines["a"]
    one.gone.add("a")
    adapters = (AdapterState(mac_of(controller)),)
    two.states["id-s"] = MachineState("", "Running", adapters=adapters)
    two.states["id-a"] = MachineState("", "Running", adapters=adapters)
    two.machines["a"] = "Running"
    before = await quiet(controller)
    assert p(controller).server.resource_ref == "/servers/host1" and before
    del two.states["id-s"]
    await soon(lambda: p(controller).server.resource_ref == "/servers/host2")


async def test_a_machine_of_a_dead_host_that_came_up_elsewhere_is_bound_there(
    controller: Controller, rack: Rack
) -> None:
    await run(controller)
    await rack.hosts["host1"].disconnect()
    rack.hosts["host2"].machines["a"] = "Running"
    rack.hosts["host2"].states["id-a"] = MachineState("", "Running", clustered=True)
    await soon(lambda: p(controller).server.resource_ref == "/servers/host2")
    assert p(controller).power_state == "Running"


async def test_what_a_failover_took_from_a_host_is_not_brought_back_by_its_last_words(
    controller: Controller, rack: Rack
) -> None:
    await run(controller)
    one, two = rack.hosts["host1"], rack.hosts["host2"]
    one.stuck = two.stuck = True
    await controller.submit(Failover("a", "host2"), ANN)
    await quiet(controller)
    assert one.machines["a"] == "Running" and p(controller).server.resource_ref == "/servers/host2"
    assert not found(controller)


async def test_a_failover_cluster_is_believed_where_the_old_host_says_nothing(
    controller: Controller, rack: Rack
) -> None:
    await run(controller)
    rack.hosts["host1"].states = None
    two = rack.hosts["host2"]
    two.states["id-a"] = MachineState("", "Running")
    await quiet(controller)
    assert p(controller).server.resource_ref == "/servers/host1", "it may run there"
    two.states["id-a"] = MachineState("", "Running", clustered=True)
    await soon(lambda: p(controller).server.resource_ref == "/servers/host2")


async def test_what_copies_took_along_is_foreign_until_they_give_it_up(controller: Controller, rack: Rack) -> None:
    own = mac_of(controller)
    instance = controller.state.get("networkInterfaces", "a-eth0").instance_id
    host = rack.hosts["host2"]
    host.states["id-copy"] = MachineState("", "Off", name="copy", adapters=(AdapterState(FREE, instance),))
    await soon(lambda: found(controller))
    [(kind, address, who)] = found(controller)
    assert (kind, address, who) == (
        "foreign",
        "05-07",
        ("/networkInterfaces/a-eth0", "/servers/host2/machines/copy.id-copy"),
    )
    host.states["id-copy"] = MachineState("", "Off", name="copy", adapters=(AdapterState(own),))
    await soon(lambda: [address for _, address, _ in found(controller)] != ["05-07"])
    assert [kind for kind, _, _ in found(controller)] == ["foreign"]
    assert [one.kind for one in controller.conflicts("a")] == ["foreign"]
    del host.states["id-copy"]
    await soon(lambda: not found(controller))


async def test_what_strangers_send_is_foreign_where_no_switch_shows_it(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host2"]
    adapters = (AdapterState(FREE, switch="vSwitch"),)
    host.states["id-s"] = MachineState("", "Running", name="Büro PC", adapters=adapters)
    await soon(lambda: holders(controller, FREE) == ["/servers/host2/ports/Buro-PC.id-s"])
    host.states["id-s"] = MachineState("", "Running", name="Büro PC", adapters=(AdapterState(FREE),))
    await soon(lambda: not holders(controller, FREE))


async def test_a_strangers_port_is_called_by_its_machine_also_while_its_hypervisor_says_nothing(
    controller: Controller, rack: Rack
) -> None:
    host, own = rack.hosts["host2"], mac_of(controller)
    adapters = (AdapterState(own, name="vnet20", switch="br-int"),)
    host.states["id-s"] = MachineState("", "Running", name="copy", adapters=adapters)
    host.seen = (SeenMac(own, "vnet20", "br-int"), SeenMac(FREE, "vnet20", "br-int"))
    await soon(lambda: holders(controller, own)[1:] == ["/servers/host2/ports/copy.id-s"])
    assert holders(controller, FREE) == ["/servers/host2/ports/vnet20"], "another address on it is not the adapter's"
    await soon(lambda: [one.remedy.partition(" has it")[0] for one in controller.conflicts()] == ["copy on host2"])
    states, host.states = host.states, None
    before = await quiet(controller)
    assert holders(controller, own)[1:] == ["/servers/host2/ports/copy.id-s"]
    host.states = states | {"id-s": MachineState("", "Off", name="copy", adapters=adapters)}
    host.seen = ()
    await soon(lambda: len(holders(controller, own)) == 1)
    assert await quiet(controller) > before
    assert [one.holders[1] for one in controller.conflicts()] == ["/servers/host2/machines/copy.id-s"]


async def test_a_stranger_that_is_off_has_its_address_and_does_not_use_it(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host2"]
    stopped = MachineState("", "Off", name="pc", adapters=(AdapterState(FREE, switch="br0"),))
    host.states["id-s"] = stopped
    await soon(lambda: holders(controller, FREE) == ["/servers/host2/machines/pc.id-s"])
    host.states["id-s"] = msgspec.structs.replace(stopped, power="Running")
    await soon(lambda: holders(controller, FREE) == ["/servers/host2/ports/pc.id-s"])


async def test_strangers_with_dynamic_addresses_are_named_or_pinned_while_they_are_off(
    controller: Controller, rack: Rack
) -> None:
    """Story 2.5: the template is left alone."""
    host = rack.hosts["host1"]
    host.dynamic_range = (FREE, FREE + 255)
    await fill(controller, put("virtualMachines", "gold", template("id-gold")))
    host.states["id-gold"] = MachineState("", "Off", name="gold", adapters=(AdapterState(0, dynamic=True),))
    host.states["id-t"] = MachineState("", "Off", name="tmpl-1", adapters=(AdapterState(0, dynamic=True),))
    host.states["id-1"] = MachineState("", "Off", name="desk 1", adapters=(AdapterState(0, dynamic=True),))
    host.states["id-2"] = MachineState("", "Running", name="desk 2", adapters=(AdapterState(FREE, dynamic=True),))
    await soon(lambda: [kind for kind, _, _ in found(controller)] == ["drift"] * 3)
    adoption = Adoption(mode="pin", subnets=(Ref(WEB),), exceptions=("tmpl-*",))
    await controller.submit(put("servers", "host1", ServerProperties(adoption=adoption)), ANN)
    await soon(lambda: controller.state.get("virtualMachines", "desk-1") is not None)
    assert (p(controller, "desk-1").hypervisor.id, p(controller, "desk-1").power_state) == ("id-1", "Off")
    assert mac_of(controller, "desk-1-eth0") >= int(parse_mac("00-1D-D8-B7-1C-00"))
    host.states["id-2"] = MachineState("", "Off", name="desk 2", adapters=(AdapterState(FREE, dynamic=True),))
    await soon(lambda: controller.state.get("virtualMachines", "desk-2") is not None)
    assert mac_of(controller, "desk-2-eth0") != FREE, "its host could draw it again"
    await quiet(controller)
    assert {one.resource_id for one in controller.state.all("virtualMachines")} == {"a", "gold", "desk-1", "desk-2"}


def template(own: str):
    return VirtualMachineProperties(is_template=True, hypervisor=HypervisorIdentity(type="hyperv", id=own))


async def test_many_rollbacks_are_one_batch(controller: Controller, rack: Rack) -> None:
    """Story 2.12."""
    host = rack.hosts["host1"]
    for number in range(50):
        name = f"d{number}"
        await fill_one(controller, name)
        host.machines[name] = "Off"
        tell(host, f"id-{name}", name, adapters=(AdapterState(mac_of(controller, f"{name}-eth0")),))
    for number in range(50):
        host.change(f"d{number}", "Running")
    await soon(lambda: all(p(controller, f"d{number}").power_state == "Running" for number in range(50)))
    await quiet(controller)
    before = controller.state.revision
    told = dict(host.states)
    for number in range(50):
        told[f"id-d{number}"] = MachineState(f"d{number}", "Off", adapters=(AdapterState(FREE + number),))
    host.states = told
    await soon(lambda: all(mac_of(controller, f"d{number}-eth0") == FREE + number for number in range(50)))
    assert await quiet(controller) - before <= 3
