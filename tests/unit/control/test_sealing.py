"""A change or a move waits for tunnels that are to be encrypted as long as something could be lost, and says so."""

import asyncio

import msgspec
import pytest

from tests.cluster.control import ANN, put
from tests.cluster.host_agent import Host, Rack
from tests.unit.control.machines import controller, lookups, place, quick, rack
from tests.unit.control.test_readdressing import NEW, ask, change, customer, phase, sooner
from tests.waiting import soon
from weft.control.controller import Controller
from weft.control.sealing import Sealing
from weft.core.sealing import Due
from weft.model.errors import NotReady
from weft.model.fabric import ServerProperties
from weft.model.values import PackedIp, pack_ip
from weft.wire.messages import ProviderFacts

__all__ = ["controller", "quick", "rack", "sooner"]

ONE, TWO, THREE, OTHER = map(pack_ip, ("192.168.1.10", "192.168.1.11", "192.168.1.12", NEW))

Pairs = tuple[tuple[PackedIp, PackedIp], ...]


def tells(host: Host, *pairs: tuple[PackedIp, PackedIp], in_clear: Pairs = ()) -> None:
    """These of its pairs are encrypted."""
    sealed = tuple((own, tuple(to for at, to in pairs if at == own)) for own in sorted({own for own, _ in pairs}))
    host.provider = ProviderFacts(no_encryption="", in_clear=in_clear, sealed=sealed)


def of_before(host: Host, *in_clear: tuple[PackedIp, PackedIp]) -> None:
    """An agent that tells only what is not encrypted."""
    host.provider = ProviderFacts(no_encryption="", in_clear=in_clear)


async def encrypted(controller: Controller, rack: Rack) -> tuple[Host, Host, Host]:
    """a and b run on host1 and host2 in a network that is encrypted, and their hosts tell so."""
    hosts = rack.hosts["host1"], rack.hosts["host2"], rack.hosts["host3"]
    tells(hosts[0], (ONE, TWO))
    tells(hosts[1], (TWO, ONE))
    tells(hosts[2])

    def stored(name: str) -> ServerProperties:
        return controller.state.get("servers", name).properties

    await soon(lambda: all(stored(name).provider_network is not None for name in rack.hosts))
    blue = controller.state.get("virtualNetworks", "blue").properties
    subnets = tuple(
        msgspec.structs.replace(one, properties=msgspec.structs.replace(one.properties, encryption_enabled=True))
        for one in blue.subnets
    )
    await controller.submit(put("virtualNetworks", "blue", msgspec.structs.replace(blue, subnets=subnets)), ANN)
    await controller.machines.start("a", ANN)
    await controller.machines.start("b", ANN)
    return hosts


async def waits_for(controller: Controller, words: str) -> None:
    await soon(lambda: words in "; ".join(controller.readdressing.waits_for("host1")))


ENCRYPT = f"host1 and host2 to encrypt tunnels between {NEW} and 192.168.1.11"


async def test_both_ends_must_tell_the_new_pair_encrypted(controller: Controller, rack: Rack) -> None:
    one, two, _ = await encrypted(controller, rack)
    await ask(controller, NEW)
    await waits_for(controller, ENCRYPT)
    tells(one, (ONE, TWO), (OTHER, TWO))
    await asyncio.sleep(0.2)
    assert (phase(controller), lookups(controller)[customer(controller)]) == ("preparing", "192.168.1.10")
    assert controller.readdressing.waits_for("HOST1") == (ENCRYPT,)
    tells(two, (TWO, ONE), (TWO, OTHER))
    await soon(lambda: change(controller) is None)
    assert controller.readdressing.waits_for("host1") == ()


async def test_what_is_still_to_be_said_after_a_restart_of_an_agent_is_waited_for(
    controller: Controller, rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, _ = await encrypted(controller, rack)
    await two.disconnect()
    tells(one, (ONE, TWO), (OTHER, TWO))
    await ask(controller, NEW)
    await waits_for(controller, "host2, whose agent is not connected")
    tells(two)
    two.connect(controller.publisher)
    await waits_for(controller, ENCRYPT)
    tells(two, (TWO, ONE), (TWO, OTHER))
    await soon(lambda: change(controller) is None)


async def test_a_host_to_which_nothing_passes_anyhow_is_waited_for_a_while_only(
    controller: Controller, rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its driver has failed: another address of the other end may be the cure."""
    monkeypatch.setattr("weft.control.readdressing.SEALING_GRACE_S", 0.2)
    _, two, _ = await encrypted(controller, rack)
    tells(two, in_clear=((TWO, ONE),))
    await ask(controller, NEW)
    await waits_for(controller, ENCRYPT)
    await soon(lambda: change(controller) is None)


async def test_an_agent_of_before_is_waited_for_as_long_as_it_says_that_it_is_not(
    controller: Controller, rack: Rack
) -> None:
    one, two, _ = await encrypted(controller, rack)
    tells(one, (ONE, TWO), (OTHER, TWO))
    of_before(two, (TWO, OTHER))
    await ask(controller, NEW)
    await waits_for(controller, ENCRYPT)
    of_before(two)
    await soon(lambda: change(controller) is None)


async def test_a_change_that_waits_can_be_called_off(controller: Controller, rack: Rack) -> None:
    await encrypted(controller, rack)
    await ask(controller, NEW)
    await waits_for(controller, ENCRYPT)
    await ask(controller, "192.168.1.10")
    await soon(lambda: change(controller) is None)


async def test_a_machine_stays_where_it_is_until_its_destination_is_encrypted(
    controller: Controller, rack: Rack
) -> None:
    one, two, three = await encrypted(controller, rack)
    with pytest.raises(NotReady, match=r"host3 and host1 to encrypt tunnels between 192.168.1.12 and 192.168.1.10"):
        await controller.machines.migrate("a", "host3", ANN, timeout=1)
    assert place(controller) == "/servers/host1"
    moving = asyncio.create_task(controller.machines.migrate("a", "host3", ANN, timeout=30))
    tells(one, (ONE, TWO), (ONE, THREE))
    tells(three, (THREE, ONE), (THREE, TWO))
    await asyncio.sleep(0.2)
    assert place(controller) == "/servers/host1" and not moving.done()
    tells(two, (TWO, ONE), (TWO, THREE))
    await moving
    assert place(controller) == "/servers/host3"


async def test_a_machine_leaves_a_host_whose_encryption_has_failed(
    controller: Controller, rack: Rack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.control.moves.SEALING_GRACE_S", 0.2)
    one, two, three = await encrypted(controller, rack)
    tells(one, in_clear=((ONE, TWO),))
    tells(two, (TWO, THREE))
    tells(three, (THREE, TWO))
    await controller.machines.migrate("a", "host3", ANN, timeout=30)
    assert place(controller) == "/servers/host3"


async def test_what_is_due_is_looked_up_once_for_each_revision(controller: Controller, rack: Rack) -> None:
    """Hosts tell something all the time, and it costs by all of a network's hosts."""
    asked: list[int] = []

    def find() -> list[Due]:
        asked.append(controller.state.revision)
        return [Due("host1", "host2", frozenset({(ONE, TWO)}), frozenset())]

    of_before(rack.hosts["host1"], (ONE, TWO))
    sealing = Sealing(controller.publisher, controller.state, find, 60.0)
    await soon(lambda: list(sealing.lacking(0.0)) == ["host2"])
    asked.clear()
    sealing = Sealing(controller.publisher, controller.state, find, 60.0)
    for _ in range(3):
        assert list(sealing.lacking(0.0)) == ["host2"]
    assert asked == [controller.state.revision]
    await controller.machines.start("a", ANN)
    sealing.lacking(0.0)
    assert asked[1:] == [controller.state.revision] and asked[0] < asked[1]
