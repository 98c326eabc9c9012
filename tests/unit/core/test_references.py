"""What is said of a reference that finds nothing: a command that shows what there is, and that works."""

from typing import Any

import pytest

from tests.unit.core.gateway_world import GatewayWorld, l3, pool, ref, virtual_gateway
from tests.unit.core.world import World
from weft.cli.names import target_of
from weft.core.commands import BeginMove, Command, CreateMachine, NewInterface
from weft.core.copy_commands import ImportedInterface, ImportMachine

SERVERS = "weft get servers"
NOWHERE = "/servers/none"
NETWORKS = "weft get virtualNetworks or weft get logicalNetworks"
PHYSICAL = "weft get subnets --of logicalNetworks/physical"


@pytest.fixture(scope="module")
def world() -> World:
    return GatewayWorld()


def hint(world: World, message: str) -> str:
    """The command that a message ends with: one that the command line takes and the controller answers."""
    _, _, command = message.rpartition(" with ")
    for one in command.rstrip(".").split(" or "):
        words = one.split()
        assert words[:2] == ["weft", "get"], message
        target = target_of([words[2]], words[4] if "--of" in words else "")
        if target.is_child:
            assert world.state.find_ref(target.ref.rpartition("/")[0]) is not None, message
    return command.rstrip(".")


def interface(subnet: str) -> dict[str, Any]:
    configuration = {"resourceId": "ip1", "properties": {"subnet": ref(subnet)}}
    return {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": [configuration]}


def of_adapter(subnet: str) -> dict[str, Any]:
    return {"networkInterfaces": [{"resourceId": "nic1", "properties": {"logicalSubnets": [ref(subnet)]}}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/weft/clusters/c", {"servers": [ref("/servers/h1"), ref(NOWHERE)]}),
        ("/networkInterfaces/n", interface("/virtualNetworks/blue/subnets/web") | {"server": ref(NOWHERE)}),
        ("/weft/virtualMachines/m", {"server": ref(NOWHERE)}),
        ("/gateways/g", {"pool": ref("/gatewayPools/gp"), "server": ref(NOWHERE)}),
    ],
)
def test_of_a_server(world: World, path: str, body: dict[str, Any]) -> None:
    refusal = world.refused(path, body)
    assert (refusal.code, hint(world, refusal.message)) == ("InvalidResourceReference", SERVERS)
    assert f"'{NOWHERE}'" in refusal.message


@pytest.mark.parametrize("command", [CreateMachine("m", "none"), ImportMachine("m", "none"), BeginMove("vm", "none")])
def test_of_a_server_in_a_command(world: World, command: Command) -> None:
    if isinstance(command, BeginMove):
        world.put("/weft/virtualMachines/vm", {"server": ref("/servers/h1")})
    refusal = world.refuses(command)
    assert (hint(world, refusal.message), "'none'" in refusal.message) == (SERVERS, True)


def test_of_a_cluster(world: World) -> None:
    assert hint(world, world.refuses(CreateMachine("m", cluster="none")).message) == "weft get clusters"


@pytest.mark.parametrize(
    ("subnet", "command"),
    [
        ("/virtualNetworks/blue/subnets/wbe", "weft get subnets --of virtualNetworks/blue"),
        ("/VirtualNetworks/BLUE/Subnets/wbe", "weft get subnets --of virtualNetworks/blue"),
        ("/logicalNetworks/physical/subnets/no", PHYSICAL),
        ("/virtualNetworks/blue", "weft get subnets --of virtualNetworks/blue"),
        ("/virtualNetworks/bleu/subnets/web", "weft get virtualNetworks"),
        ("/logicalNetworks/no/subnets/no", "weft get logicalNetworks"),
        ("/networkInterfaces/x/ipConfigurations/y", NETWORKS),
        ("/servers/h1/subnets/web", NETWORKS),
        ("/", NETWORKS),
        ("web", NETWORKS),
    ],
)
def test_of_a_subnet(world: World, subnet: str, command: str) -> None:
    assert hint(world, world.refused("/networkInterfaces/n", interface(subnet)).message) == command
    machine = CreateMachine("m", "h1", interfaces=(NewInterface(subnet),))
    assert hint(world, world.refuses(machine).message) == command
    imported = ImportMachine("m", interfaces=(ImportedInterface(subnet=subnet),))
    assert hint(world, world.refuses(imported).message) == command
    template = {"isTemplate": True, "networks": [{"subnet": ref(subnet)}]}
    assert hint(world, world.refused("/weft/virtualMachines/t", template).message) == command
    pinned = {"adoption": {"mode": "pin", "subnets": [ref(subnet)]}}
    assert hint(world, world.refused("/servers/h1", pinned).message) == command


def of_pool(subnet: str) -> dict[str, Any]:
    return pool() | {"ipConfiguration": {"greVipSubnets": [ref(subnet)]}}


def connected(subnet: str) -> dict[str, Any]:
    return virtual_gateway("blue", l3(l3Configuration={"vlanSubnet": ref(subnet)}))


@pytest.mark.parametrize(
    ("subnet", "command"),
    [
        ("/logicalNetworks/physical/subnets/no", PHYSICAL),
        ("/logicalNetworks/no/subnets/no", "weft get logicalNetworks"),
        ("/virtualNetworks/blue/subnets/web", "weft get logicalNetworks"),
        ("/networkInterfaces/x/ipConfigurations/y", "weft get logicalNetworks"),
    ],
)
@pytest.mark.parametrize(
    ("path", "body"),
    [("/servers/h1", of_adapter), ("/gatewayPools/new", of_pool), ("/virtualGateways/v", connected)],
)
def test_of_a_logical_subnet(world: World, path: str, body: Any, subnet: str, command: str) -> None:
    refusal = world.refused(path, body(subnet))
    assert (refusal.code, hint(world, refusal.message)) == ("InvalidResourceReference", command)


def test_of_a_virtual_subnet(world: World) -> None:
    def asked(subnet: str) -> str:
        return hint(world, world.refused("/virtualGateways/v", virtual_gateway(gatewaySubnets=[ref(subnet)])).message)

    assert asked("/virtualNetworks/blue/subnets/wbe") == "weft get subnets --of virtualNetworks/blue"
    assert asked("/logicalNetworks/physical/subnets/vlan100") == "weft get virtualNetworks"


def test_a_subnet_that_is_there_and_does_not_fit_is_not_said_to_be_missing(world: World) -> None:
    refusal = world.refused("/virtualGateways/v", connected("/logicalNetworks/hnvpa/subnets/pa1"))
    assert refusal.message.endswith("outside of the provider network.")
