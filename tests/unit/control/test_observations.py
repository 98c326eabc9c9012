"""What agents see becomes the ledger's: foreign addresses, machines deleted and brought back by another hand."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.cluster.control import ANN, FailingStore, fill, interface, machine, open_in, put
from tests.cluster.host_agent import Rack
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.commands import Actor, Delete, NoteSeen
from weft.core.commands import Path as Name
from weft.model.leases import MAC_SCOPE
from weft.model.values import parse_mac
from weft.wire.messages import SeenMac

STRANGER = int(parse_mac("00-1D-D8-B7-F0-01"))
"""In the pool, given to nobody."""
ROUND_S = 0.02


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.observations.EVERY_S", ROUND_S)
    monkeypatch.setattr("weft.control.waits.RECHECK_S", 0.02)


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    opened = open_in(tmp_path)
    await fill(opened, interface("a-eth0"), machine("a", "host1", "a-eth0"))
    async with opened.running():
        yield opened
    opened.close()


@pytest.fixture
async def rack(controller: Controller) -> AsyncIterator[Rack]:
    async with Rack("host1", "host2") as made:
        made.connect(controller.publisher)
        yield made


def ports(controller: Controller, mac: int = STRANGER) -> list[str]:
    lease = controller.state.lease(MAC_SCOPE, mac)
    return [holder.ref for holder in lease.holders if holder.kind == "port"] if lease is not None else []


def state(controller: Controller, mac: int = STRANGER) -> str:
    lease = controller.state.lease(MAC_SCOPE, mac)
    return "free" if lease is None else lease.state


def inactive(controller: Controller) -> str:
    return controller.state.get("virtualMachines", "a").properties.inactive


def mac_of(controller: Controller) -> int:
    return int(parse_mac(controller.state.get("networkInterfaces", "a-eth0").properties.private_mac_address))


async def quiet(controller: Controller) -> int:
    """Long enough for several rounds; the revision afterwards."""
    await asyncio.sleep(0.2)
    return controller.state.revision


def submitted(controller: Controller) -> list[object]:
    """What the writer is asked for from now on."""
    submit, asked = controller.writer.submit, []

    async def noting(command: object, *more: object) -> object:
        asked.append(command)
        return await submit(command, *more)

    controller.writer.submit = noting
    return asked


async def test_a_foreign_address_is_noted_and_goes(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host1"]
    host.seen = (SeenMac(STRANGER, "vnet3", "br-ex", 7),)
    await soon(lambda: state(controller) == "foreign")
    assert ports(controller) == ["/servers/host1/ports/vnet3"]
    assert controller.history(MAC_SCOPE, STRANGER)[-1].actor == "agent of host1"
    before = await quiet(controller)
    asked = submitted(controller)
    host.failures["other"] = (0, "something else is news")
    assert await quiet(controller) == before and asked == [], "noted once"
    host.seen = ()
    await soon(lambda: state(controller) == "cooling")


async def test_what_is_said_again_and_again_is_taken_in_once_a_round(controller: Controller, rack: Rack) -> None:
    before = await quiet(controller)
    host, now = rack.hosts["host1"], asyncio.get_running_loop().time
    began = now()
    for number in range(50):
        host.seen = (SeenMac(STRANGER + number, "vnet3", "br-ex"),)
        await asyncio.sleep(0.002)
    rounds = (now() - began) / ROUND_S + 2  # one was begun before, and one takes in what was said last
    assert await quiet(controller) - before <= rounds


async def test_nothing_is_unseen_by_an_agent_that_goes_or_has_not_looked_yet(
    controller: Controller, rack: Rack
) -> None:
    host = rack.hosts["host1"]
    host.seen = (SeenMac(STRANGER, "vnet3", "br-ex"),)
    await soon(lambda: state(controller) == "foreign")
    before = controller.state.revision
    await host.disconnect()
    assert await quiet(controller) == before
    seen, host.seen, host.looked = host.seen, (), False
    host.connect(controller.publisher)
    assert await quiet(controller) == before
    host.seen, host.looked = seen, True
    assert await quiet(controller) == before


async def test_a_restarted_controller_knows_what_was_noted_and_what_goes_meanwhile(tmp_path: Path) -> None:
    first = open_in(tmp_path)
    await fill(first)
    async with Rack("host1") as rack:
        rack.connect(first.publisher)
        host = rack.hosts["host1"]
        host.seen = (SeenMac(STRANGER, "vnet3", "br-ex"), SeenMac(STRANGER + 1, "vnet4", "br-ex"))
        async with first.running():
            await soon(lambda: state(first) == "foreign")
            await host.disconnect()
        first.close()
        host.seen = host.seen[:1]
        second = open_in(tmp_path)
        async with second.running():
            rack.connect(second.publisher)
            await soon(lambda: state(second, STRANGER + 1) == "cooling")
            assert ports(second) == ["/servers/host1/ports/vnet3"]
        second.close()


async def test_what_is_seen_means_something_else_once_its_owner_gives_it_up(controller: Controller, rack: Rack) -> None:
    mac = mac_of(controller)
    rack.hosts["host2"].seen = (SeenMac(mac, "eth1", "br-ex", 0, True),)
    await quiet(controller)
    assert ports(controller, mac) == [], "frames of ours, learnt elsewhere"
    for kind, name in (("virtualMachines", "a"), ("networkInterfaces", "a-eth0")):
        await controller.submit(Delete(Name(kind, name)), ANN)
    await quiet(controller)
    assert state(controller, mac) == "cooling"
    controller._ledger._clock.pass_s(4000)
    await controller._clockwork.tick()
    await soon(lambda: ports(controller, mac) == ["/servers/host2/ports/eth1"])


async def test_what_the_store_did_not_take_is_taken_later(controller: Controller, rack: Rack) -> None:
    store = FailingStore(controller._store)
    controller.writer._store, store.fails = store, True
    rack.hosts["host1"].seen = (SeenMac(STRANGER, "vnet3", "br-ex"),)
    await quiet(controller)
    assert state(controller) == "free"
    store.fails = False
    await soon(lambda: state(controller) == "foreign")


async def test_a_machine_deleted_outside_is_marked_and_brought_back(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host1"]
    await controller.machines.start("a", ANN)
    controller._ledger._clock.pass_s(60)
    host.delete_outside("a")
    await soon(lambda: inactive(controller) == "deleted outside on host1")
    lease = controller.state.lease(MAC_SCOPE, mac_of(controller))
    assert lease.state == "assigned" and lease.holders[0].inactive
    assert controller.state.get("virtualMachines", "a").properties.power_state == "Off"
    before = await quiet(controller)
    assert await quiet(controller) == before, "marked once"
    host.gone.clear()
    assert await quiet(controller) == before, "nobody says that it is there"
    host.bring_back("a")
    await soon(lambda: inactive(controller) == "")
    assert not controller.state.lease(MAC_SCOPE, mac_of(controller)).holders[0].inactive


async def test_a_machine_that_was_never_made_is_not_missed(controller: Controller, rack: Rack) -> None:
    before = await quiet(controller)
    assert await quiet(controller) == before
    assert inactive(controller) == ""


async def test_what_was_deleted_while_the_controller_was_away_is_marked_at_its_return(tmp_path: Path) -> None:
    first = open_in(tmp_path)
    await fill(first, interface("a-eth0"), machine("a", "host1", "a-eth0"))
    async with Rack("host1") as rack:
        rack.connect(first.publisher)
        async with first.running():
            await first.machines.start("a", ANN)
            await rack.hosts["host1"].disconnect()
        first.close()
        rack.hosts["host1"].delete_outside("a")
        second = open_in(tmp_path)
        async with second.running():
            rack.connect(second.publisher)
            await soon(lambda: inactive(second) == "deleted outside on host1")
        second.close()


async def test_facts_of_a_host_that_is_behind_say_nothing_of_machines(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host1"]
    await controller.machines.start("a", ANN)
    host.gate.clear()
    await controller.submit(interface("b-eth0"), ANN)
    await controller.submit(machine("b", "host1", "b-eth0"), ANN)
    host.delete_outside("a")
    await quiet(controller)
    assert inactive(controller) == ""
    host.gate.set()
    await soon(lambda: inactive(controller) == "deleted outside on host1")


async def test_a_machine_on_the_move_is_not_missed(
    controller: Controller, rack: Rack, caplog: pytest.LogCaptureFixture
) -> None:
    source = rack.hosts["host1"]
    await controller.machines.start("a", ANN)
    rack.hosts["host2"].gate.clear()
    moving = asyncio.create_task(controller.machines.migrate("a", "host2", ANN))
    await soon(lambda: controller.state.get("virtualMachines", "a").properties.move is not None)
    source.gone.add("a")
    await quiet(controller)
    assert inactive(controller) == "" and "deleted outside" not in caplog.text
    source.gone.clear()
    rack.hosts["host2"].gate.set()
    await moving


async def test_a_round_asks_for_what_changed_alone(controller: Controller, rack: Rack) -> None:
    hosts = rack.hosts
    asked = submitted(controller)
    for host in hosts.values():
        host.seen = tuple(SeenMac(STRANGER + number, "eth1", "br-ex", 0, True) for number in range(50))
    await soon(lambda: state(controller, STRANGER + 49) == "foreign")
    assert await quiet(controller) == await quiet(controller)
    assert sorted(command.server for command in asked) == ["host1", "host2"], "the first sight is nobody else's news"
    (at,) = ports(controller)
    one, other = ("host1", "host2") if "host1" in at else ("host2", "host1")
    asked.clear()
    hosts[one].seen = hosts[one].seen[1:]
    await soon(lambda: ports(controller) == [f"/servers/{other}/ports/eth1"])
    await quiet(controller)
    assert {command.only for command in asked} == {frozenset({STRANGER})}
    assert all(len(command.seen) <= 1 for command in asked) and len(asked) <= 4


async def test_who_has_not_looked_yet_has_nothing_to_say(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host1"]
    host.looked, host.seen = False, (SeenMac(STRANGER, "vnet3", "br-ex"),)
    await quiet(controller)
    assert state(controller) == "free"


async def test_what_a_server_sees_is_looked_at_again_when_its_networks_change(
    controller: Controller, rack: Rack
) -> None:
    rack.hosts["host1"].seen = (SeenMac(STRANGER, "vnet3", "br-ex"),)
    await soon(lambda: state(controller) == "foreign")
    asked = submitted(controller)
    server = controller.state.get("servers", "host1")
    changed = msgspec.structs.replace(server.properties, vendor="Contoso")
    await controller.submit(put("servers", "host1", changed), ANN)
    await quiet(controller)
    assert [command.server for command in asked if isinstance(command, NoteSeen)] == ["host1"]


async def test_a_machine_that_an_action_is_at_is_not_missed_before_that_ends(
    controller: Controller, rack: Rack
) -> None:
    rack.hosts["host1"].gone.add("a")
    starting = asyncio.create_task(controller.machines.start("a", ANN, timeout=1.5))
    await quiet(controller)
    assert inactive(controller) == "" and not starting.done()
    await asyncio.gather(starting, return_exceptions=True)
    await soon(lambda: inactive(controller) == "deleted outside on host1")


async def test_what_could_not_be_noted_is_tried_again_and_holds_up_no_other_host(
    controller: Controller, rack: Rack, caplog: pytest.LogCaptureFixture
) -> None:
    submit, broken = controller.writer.submit, [True]

    async def odd(command: object, actor: Actor, *more: object) -> object:
        if broken and actor.name == "agent of host1" and isinstance(command, NoteSeen):
            raise RuntimeError("a bug")
        return await submit(command, actor, *more)

    controller.writer.submit = odd
    rack.hosts["host1"].seen = (SeenMac(STRANGER, "eth9"),)
    rack.hosts["host2"].seen = (SeenMac(STRANGER + 1, "eth9"),)
    await soon(lambda: bool(ports(controller, STRANGER + 1)))
    await quiet(controller)
    assert (ports(controller), caplog.text.count("a bug")) == ([], 2), "once, with its traceback"
    broken.clear()
    await soon(lambda: bool(ports(controller)))
