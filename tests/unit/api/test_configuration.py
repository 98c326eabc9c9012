"""configurationState in the first seconds after a controller began: a host that is on its way back is no outage."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cluster.control import ANN, HandClock, fill, interface, machine, open_in
from tests.cluster.host_agent import Rack
from tests.unit.core.test_ways_out import world
from tests.waiting import soon
from weft.api.configuration import Configuration
from weft.control.controller import Controller
from weft.control.fact_tables import FactTables
from weft.control.hosts import RESUME_S, HostView
from weft.core.commands import SetPower
from weft.model.values import Rdid, pack_ip
from weft.wire.messages import SERVER_WARNING, Facts, GatewayFact, Problem


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def rack() -> AsyncIterator[Rack]:
    async with Rack("host1") as made:
        yield made


@pytest.fixture
async def restarted(tmp_path: Path, clock: HandClock, rack: Rack) -> AsyncIterator[Controller]:
    """A controller whose host1, which an earlier run knew, is not back yet."""
    first = open_in(tmp_path, clock)
    await fill(first, interface("a-eth0"), machine("a", "host1", "a-eth0"))
    async with first.running():
        rack.connect(first.publisher)
        await rack.hosts["host1"].disconnect()
    first.close()
    second = open_in(tmp_path, clock)
    async with second.running():
        yield second
    second.close()


def said(controller: Controller, kind: str, name: str) -> tuple[str, list[str]]:
    configuration = Configuration(controller.state, controller.host, lambda: controller.now().wall)
    found: Any = configuration.of(kind, controller.state.get(kind, name))
    return found["status"], [each["code"] for each in found.get("detailedInfo", found.get("hostErrors"))]


PLACES = [("servers", "host1"), ("networkInterfaces", "a-eth0")]
AWAY = ["HostNotConnectedToController"]


@pytest.mark.parametrize(("kind", "name"), PLACES)
async def test_a_host_that_is_not_back_yet_is_in_progress(
    restarted: Controller, clock: HandClock, kind: str, name: str
) -> None:
    assert said(restarted, kind, name) == ("InProgress", AWAY)
    assert said(restarted, "virtualNetworks", "blue") == ("InProgress", [])
    clock.pass_s(RESUME_S)
    assert said(restarted, kind, name) == ("Failure", AWAY)
    configuration = Configuration(restarted.state, restarted.host, clock.wall)
    blue: Any = configuration.of("virtualNetworks", restarted.state.get("virtualNetworks", "blue"))
    assert blue["status"] == "Failure" and len(blue["hostErrors"]) == 1


@pytest.mark.parametrize(("kind", "name"), PLACES)
async def test_a_host_that_came_back_and_went_again_fails(
    restarted: Controller, rack: Rack, kind: str, name: str
) -> None:
    rack.connect(restarted.publisher)
    await rack.hosts["host1"].disconnect()
    assert said(restarted, kind, name) == ("Failure", AWAY)


async def test_what_the_hypervisor_refuses_is_said_for_as_long_as_it_does(restarted: Controller, rack: Rack) -> None:
    host = rack.hosts["host1"]
    rack.connect(restarted.publisher)
    places = [("virtualMachines", "a"), ("networkInterfaces", "a-eth0")]
    await soon(lambda: [said(restarted, *place)[0] for place in places] == ["Success"] * 2)
    host.refuses = "no memory"
    # as after a crash between the intent and the host's answer: nobody waits for it, nobody takes it back
    await restarted.submit(SetPower("a", "Running"), ANN)
    await soon(lambda: said(restarted, *places[0])[0] == "Failure")
    configuration = Configuration(restarted.state, restarted.host, lambda: restarted.now().wall)
    for kind, name in places:
        found: Any = configuration.of(kind, restarted.state.get(kind, name))
        told = [each for each in found["detailedInfo"] if each["message"] == "no memory"]
        assert (found["status"], [each["code"] for each in told]) == ("Failure", ["PolicyConfigurationFailure"])
    blue: Any = configuration.of("virtualNetworks", restarted.state.get("virtualNetworks", "blue"))
    assert len(blue["virtualNetworkInterfaceErrors"]) == 1
    await restarted.submit(machine("b", "host1"), ANN)
    assert said(restarted, "virtualMachines", "b")[0] != "Failure"
    host.refuses = ""
    await soon(lambda: [said(restarted, *place) for place in places] == [("Success", [])] * 2)


async def test_a_host_that_tunnels_do_not_reach_is_a_warning_of_the_server_alone(restarted: Controller) -> None:
    """What runs on the server is as it should be: a host that died must not turn all that its neighbours have red."""
    facts = Facts(problems=(Problem(SERVER_WARNING, "GRE blocked"),))
    view = msgspec.structs.replace(restarted.host("host1"), facts=facts, connected=True, returning=False, lag=0)
    configuration = Configuration(restarted.state, lambda _: view, lambda: restarted.now().wall)
    statuses: dict[str, Any] = {kind: configuration.of(kind, restarted.state.get(kind, name)) for kind, name in PLACES}
    assert statuses["servers"]["status"] == "Warning"
    assert [one["message"] for one in statuses["servers"]["detailedInfo"]] == ["GRE blocked"]
    assert statuses["networkInterfaces"]["status"] == "Success"
    broken = Facts(problems=(*facts.problems, Problem("PolicyConfigurationFailure", "the switch does not answer")))
    view = msgspec.structs.replace(view, facts=broken)
    found: Any = configuration.of("servers", restarted.state.get("servers", "host1"))
    assert found["status"] == "Failure" and len(found["detailedInfo"]) == 2


def test_a_virtual_gateway_without_a_living_gateway_says_no_gateway() -> None:
    made = world()
    one, two = (pack_ip(f"192.168.1.3{number}") for number in (1, 2))
    network = made.state.get("virtualNetworks", "blue")
    assert network is not None
    rdid = Rdid(network.properties.routing_domain_number)
    facts = {"gw1": Facts(carries=(rdid,)), "gw2": Facts()}

    def told(**alive: bool) -> Any:
        facts["host1"] = Facts(gateways=(GatewayFact(one, alive["gw1"]), GatewayFact(two, alive["gw2"])))
        of = Configuration(made.state, lambda name: view(name, facts.get(name)), lambda: 0.0)
        return of.of("virtualGateways", made.state.get("virtualGateways", "blue"))

    assert told(gw1=True, gw2=True)["activeGateway"] == "g1"
    for alive, words in (
        ({"gw1": False, "gw2": True}, "no gateway: none of g2 carries it yet."),
        ({"gw1": False, "gw2": False}, "no gateway: none of g1, g2 answers the hosts of the network."),
    ):
        found = told(**alive)
        assert (found["status"], found["activeGateway"]) == ("Failure", "")
        assert [each["message"] for each in found["detailedInfo"]] == [words]


def view(name: str, facts: Facts | None) -> HostView:
    known = facts is not None
    told = facts or Facts()
    return HostView(name, known, known, "", 1, 0, told, FactTables(told))
