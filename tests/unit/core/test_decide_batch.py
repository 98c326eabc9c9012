"""Batches: one transaction, references resolved whatever their order, errors that name the element."""

import copy

import pytest

from tests.unit.core.world import (
    World,
    dynamic_interface,
    provider_network,
    put_command,
    server_on,
    static_interface,
    virtual_network,
)
from weft.core.commands import Batch, Path, Put, SetPower
from weft.core.copy_commands import Clone, TakeCheckpoint
from weft.model.errors import InvalidMacAddress

PUTS = (
    put_command(
        "/weft/virtualMachines/web1",
        {
            "server": {"resourceRef": "/servers/h1"},
            "networkInterfaces": [{"resourceRef": "/networkInterfaces/n1"}],
            "powerState": "Running",
        },
    ),
    put_command("/networkInterfaces/n1", dynamic_interface()),
    put_command("/virtualNetworks/blue/subnets/web", {"addressPrefix": "10.1.1.0/24"}),
    put_command("/virtualNetworks/blue", virtual_network({})),
    put_command("/servers/h1", server_on("pa1")),
    put_command("/macPools/p1", {"startMacAddress": "020000000000", "endMacAddress": "0200000000FF"}),
    put_command("/logicalNetworks/hnvpa", provider_network()),
    put_command("/virtualNetworkManager/configuration", {"networkVirtualizationProtocol": "NVGRE"}),
)


def test_a_batch_resolves_references_whatever_their_order() -> None:
    world = World()
    decision = world.batch(*PUTS)
    assert decision.outcome == "done"
    assert [part.resource.resource_id for part in decision.parts] == [
        "web1",
        "n1",
        "web",
        "blue",
        "h1",
        "p1",
        "hnvpa",
        "configuration",
    ]
    assert {part.outcome for part in decision.parts} == {"created", "replaced"}
    assert world.state.servers_of("blue") == ["h1"]
    again = world.batch(*PUTS[:2], *PUTS[4:])
    assert (again.outcome, again.changes) == ("unchanged", ())


def test_a_batch_deletes_in_reverse_after_all_puts() -> None:
    world = World()
    world.batch(*PUTS)
    refs = ("/macPools/p1", "/virtualNetworks/blue", "/networkInterfaces/n1", "/weft/virtualMachines/web1")
    decision = world.batch(
        *(world.delete_command(ref) for ref in refs),
        world.delete_command("/virtualNetworks/blue/subnets/web"),
        put_command("/macPools/p2", {"startMacAddress": "020000000100", "endMacAddress": "0200000001FF"}),
    )
    assert [part.outcome for part in decision.parts] == ["deleted"] * 5 + ["created"]
    assert list(world.state.all("networkInterfaces")) == []


def test_deciding_a_batch_leaves_the_state_as_it_was() -> None:
    world = World()
    world.batch(*PUTS)
    before = copy.deepcopy(world.state)
    world.decide(Batch(tuple(put_command(f"/networkInterfaces/n{at}", dynamic_interface()) for at in range(5))))
    world.refuses(
        Batch(
            (PUTS[4], put_command("/networkInterfaces/n9", static_interface("101010101105", None)))[::-1]
            + (put_command("/networkInterfaces/n8", static_interface("FFFFFFFFFFFF", None)),)
        )
    )
    assert world.state == before


def test_the_first_fault_refuses_the_whole_and_is_named() -> None:
    world = World()
    world.batch(*PUTS)
    refusal = world.refuses(
        Batch(
            (
                put_command("/networkInterfaces/n2", dynamic_interface()),
                put_command("/networkInterfaces/n3", static_interface("010000000000")),
            )
        )
    )
    assert isinstance(refusal, InvalidMacAddress)
    assert refusal.position == 1
    refusal = world.refuses(
        Batch(
            (
                world.delete_command("/networkInterfaces/n1/ipConfigurations/ip1"),
                PUTS[5],
                put_command("/macPools/p1", {}),
            )
        )
    )
    assert refusal.target == "startMacAddress"
    wrong = put_command("/virtualNetworks/none/subnets/a", {"addressPrefix": "10.1.1.0/24"})
    assert world.refuses(Batch((PUTS[4], wrong))).position == 1


def test_elements_of_a_batch_are_unique_against_each_other() -> None:
    world = World()
    world.batch(*PUTS)
    two = tuple(put_command(f"/networkInterfaces/x{at}", static_interface("101010101105")) for at in range(2))
    assert world.refuses(Batch(two)).code == "PrivateMacAddressInUse"


def test_only_puts_and_deletes_of_known_kinds_make_a_batch() -> None:
    world = World()
    assert world.refuses(Batch((SetPower("a", "Off"),))).code == "InvalidParameterValue"
    unknown = put_command("/macPools/p1", {})
    unknown = type(unknown)(type(unknown.path)("loadBalancers", "g"), unknown.document)
    assert world.refuses(Batch((unknown,))).code == "NotFound"
    assert world.batch().outcome == "unchanged"


@pytest.mark.parametrize("count", [300])
def test_a_large_batch_grants_each_its_own_addresses(count: int) -> None:
    world = World()
    world.batch(*PUTS[1:])
    refusal = world.refuses(
        Batch(tuple(put_command(f"/networkInterfaces/x{at}", dynamic_interface()) for at in range(count)))
    )
    assert refusal.code in ("MacPoolIsFull", "SubnetIsFull")
    decision = world.batch(*(put_command(f"/networkInterfaces/x{at}", dynamic_interface()) for at in range(200)))
    macs = {part.resource.properties.private_mac_address for part in decision.parts}
    assert len(macs) == 200


def test_a_change_that_cannot_be_applied_leaves_nothing_of_its_command() -> None:
    world = World()
    world.batch(*PUTS)
    # a pool that counts an address which no lease has stands for a fault of ours in the middle of a command
    world.state.addresses.pools["/macpools/p1"].by_state["assigned"].take(1)
    before = copy.deepcopy(world.state)
    for command in (PUTS[1], Batch((PUTS[6], PUTS[1]))):
        with pytest.raises(ValueError):
            world.do(another(command))
        assert world.state == before


def another(command: Put | Batch) -> Put | Batch:
    """The same for an interface of another name."""
    if isinstance(command, Batch):
        return Batch(tuple(another(one) for one in command.commands))
    if command.path.kind != "networkInterfaces":
        return command
    return Put(Path(command.path.kind, "n9"), command.document)


def test_actions_come_after_all_puts_in_the_order_given_and_before_all_deletes() -> None:
    world = World()
    decision = world.batch(
        World.delete_command("/weft/virtualMachines/web1/checkpoints/c1"),
        Clone("web1", "web2"),
        TakeCheckpoint("web2", "c2"),
        TakeCheckpoint("web1", "c1"),
        Clone("web2", "web3"),
        World.delete_command("/weft/virtualMachines/web2"),
        *PUTS,
    )
    assert [part.outcome for part in decision.parts[:6]] == ["deleted", "created", "done", "done", "created", "deleted"]
    assert {one.resource_id for one in world.state.all("virtualMachines")} == {"web1", "web3"}
    assert not list(world.state.all("checkpoints"))
    refusal = world.refuses(Batch((Clone("web4", "web5"), Clone("web1", "web4"))))
    assert (refusal.code, refusal.position) == ("NotFound", 0)


def test_a_machine_goes_with_its_checkpoint_in_one_batch() -> None:
    world = World()
    world.batch(*PUTS, TakeCheckpoint("web1", "c1"))
    before = copy.deepcopy(world.state)
    command = Batch(
        (
            World.delete_command("/weft/virtualMachines/web1"),
            World.delete_command("/weft/virtualMachines/web1/checkpoints/c1"),
            World.delete_command("/networkInterfaces/n1"),
        )
    )
    assert [part.outcome for part in world.decide(command).parts] == ["deleted"] * 3
    assert world.state == before
