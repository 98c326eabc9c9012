"""Provider addresses that change while machines run: make before break, whoever is slow, away or dies."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.cluster.control import ANN, FailingStore, open_in, put
from tests.cluster.host_agent import Rack
from tests.unit.control.machines import controller, lookups, quick, rack, with_both
from tests.waiting import soon
from weft.control.controller import Controller
from weft.core.changes import Commit
from weft.core.policy import network_stream
from weft.model.errors import StoreUnavailable
from weft.model.fabric import ServerProperties
from weft.model.records import PortBinding, ProviderAddress, TunnelEndpoint
from weft.model.values import ip_text, pack_ip
from weft.wire.messages import Facts, HolderFact, Problem, ProviderFacts

__all__ = ["controller", "quick", "rack"]

OLD, NEW = "192.168.1.10", "192.168.1.77"


@pytest.fixture(autouse=True)
def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.control.readdressing.RECHECK_S", 0.02)


def change(controller: Controller):
    return controller.state.get("servers", "host1").properties.provider_address_change


def phase(controller: Controller) -> str:
    return change(controller).phase if change(controller) is not None else ""


async def ask(controller: Controller, *addresses: str) -> None:
    await controller.submit(put("servers", "host1", ServerProperties(provider_addresses=addresses)), ANN)


def customer(controller: Controller, name: str = "a") -> str:
    own = controller.state.get("networkInterfaces", f"{name}-eth0").properties.ip_configurations[0].properties
    return own.private_ip_address


def told(host) -> list[str]:
    return sorted(ip_text(one.address) for one in host.records(ProviderAddress))


def accepted(controller: Controller) -> set[str]:
    rdid = controller.state.get("virtualNetworks", "blue").properties.routing_domain_number
    records = network_stream(controller.state, rdid).values()
    return {ip_text(one.provider_address) for one in records if isinstance(one, TunnelEndpoint)}


async def test_the_new_address_is_told_before_it_is_used_and_the_old_one_goes_last(
    controller: Controller, rack: Rack
) -> None:
    await controller.machines.start("a", ANN)
    await controller.machines.start("b", ANN)
    seen: list[tuple[str, str, bool, bool]] = []
    committed = controller.writer.on_commit

    def note(commit: Commit) -> None:
        reached = lookups(controller)[customer(controller)]
        seen.append((phase(controller), reached, OLD in accepted(controller), NEW in accepted(controller)))
        committed(commit)

    controller.writer.on_commit = note
    await ask(controller, NEW)
    await soon(lambda: change(controller) is None)
    await soon(lambda: told(rack.hosts["host1"]) == [NEW])
    assert seen == [
        ("preparing", OLD, True, True),
        ("switched", NEW, True, True),
        ("", NEW, False, True),
    ]
    (port,) = rack.hosts["host1"].records(PortBinding)
    assert ip_text(port.provider_address) == NEW


async def test_whom_it_waits_for_is_said_with_what_that_host_says_itself(controller: Controller, rack: Rack) -> None:
    host = rack.hosts["host1"]
    host.gate.clear()
    await ask(controller, NEW)
    await soon(lambda: controller.readdressing.waits_for("host1") == ("host1 to apply it",))
    host.say(Facts(problems=(Problem("PolicyConfigurationFailure", f"provider address {NEW} is another's already"),)))
    words = f"host1 to apply it (provider address {NEW} is another's already)"
    await soon(lambda: controller.readdressing.waits_for("host1") == (words,))
    host.gate.set()
    await soon(lambda: change(controller) is None)


async def test_no_step_is_taken_before_a_slow_peer_has_acked(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    await controller.machines.start("b", ANN)
    peer = rack.hosts["host2"]
    peer.gate.clear()
    await ask(controller, NEW)
    await soon(lambda: told(rack.hosts["host1"]) == [OLD, NEW])
    await asyncio.sleep(0.3)
    assert (phase(controller), lookups(controller)[customer(controller)]) == ("preparing", OLD)
    peer.gate.set()
    await soon(lambda: change(controller) is None)
    assert told(peer) != []


async def test_a_peer_that_is_away_is_waited_for_since_its_packets_still_flow(
    controller: Controller, rack: Rack, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await controller.machines.start("a", ANN)
    await controller.machines.start("b", ANN)
    monkeypatch.setattr("weft.control.readdressing.TELL_EVERY_S", 0.1)
    await rack.hosts["host2"].disconnect()
    await ask(controller, NEW)
    await soon(lambda: "the provider addresses of host1, preparing, wait for host2" in caplog.text)
    assert phase(controller) == "preparing"
    rack.hosts["host2"].connect(controller.publisher)
    await soon(lambda: change(controller) is None)


async def test_a_host_that_is_no_peer_any_more_is_not_waited_for(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    await controller.machines.start("b", ANN)
    await rack.hosts["host2"].disconnect()
    await ask(controller, NEW)
    await controller.machines.failover("b", "host3", True, ANN)
    await soon(lambda: change(controller) is None)


@pytest.mark.parametrize("at", ["preparing", "switched"])
async def test_a_controller_that_dies_in_between_goes_on_where_it_was(tmp_path: Path, at: str) -> None:
    first = await with_both(tmp_path)
    async with Rack("host1", "host2", "host3") as rack:
        rack.connect(first.publisher)
        async with first.running():
            await first.machines.start("a", ANN)
            await first.machines.start("b", ANN)
            rack.hosts["host2"].gate.clear()
            await ask(first, NEW)
            if at == "switched":
                committed = first.writer.on_commit

                def stop_there(commit: Commit) -> None:
                    committed(commit)
                    if phase(first) == "switched":
                        rack.hosts["host2"].gate.clear()

                first.writer.on_commit = stop_there
                rack.hosts["host2"].gate.set()
            await soon(lambda: phase(first) == at)
        for host in rack.hosts.values():
            await host.disconnect()
            host.gate.set()
        first.close()
        again = open_in(tmp_path)
        assert phase(again) == at
        async with again.running():
            rack.connect(again.publisher)
            await soon(lambda: change(again) is None)
            await soon(lambda: told(rack.hosts["host1"]) == [NEW])
        again.close()


async def test_a_store_that_fails_for_a_while_delays_it(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    store = FailingStore(controller.writer._store)
    controller.writer._store = store
    await ask(controller, NEW)
    store.fails = True
    with pytest.raises(StoreUnavailable):
        await ask(controller, NEW, "192.168.1.78")
    await asyncio.sleep(0.2)
    assert phase(controller) == "preparing"
    store.fails = False
    await soon(lambda: change(controller) is None)


async def test_a_policy_that_changes_while_machines_run_goes_the_same_way(controller: Controller, rack: Rack) -> None:
    await controller.machines.start("a", ANN)
    before = controller.state.get("logicalNetworks", "hnvpa").properties
    policy = msgspec.structs.replace(before, provider_address_policy="perVirtualSubnet")
    await controller.submit(put("logicalNetworks", "hnvpa", policy), ANN)
    assert phase(controller) == "preparing" and lookups(controller)[customer(controller)] == OLD
    await soon(lambda: change(controller) is None)
    assert lookups(controller)[customer(controller)] not in (OLD, NEW)
    await soon(lambda: len(told(rack.hosts["host1"])) == 2)
    await controller.submit(put("logicalNetworks", "hnvpa", before), ANN)
    await soon(lambda: told(rack.hosts["host1"]) == [OLD])
    assert lookups(controller)[customer(controller)] == OLD


async def kept_off(controller: Controller, rack: Rack) -> tuple[str, tuple[str, ...]]:
    """One of several leaves, and the virtual subnet would fall to one that another machine took since. Answers it, and
    those that stay."""
    await controller.machines.start("a", ANN)
    several = ServerProperties(provider_address_policy="several", provider_address_count=3)
    await controller.submit(put("servers", "host1", several), ANN)
    await soon(lambda: change(controller) is None)
    used, host = lookups(controller)[customer(controller)], rack.hosts["host1"]
    stay = tuple(one for one in told(host) if one != used)
    host.gate.clear()
    fewer = ServerProperties(provider_address_policy="several", provider_address_count=2, provider_addresses=stay)
    await controller.submit(put("servers", "host1", fewer), ANN)
    others = tuple(HolderFact(pack_ip(one), "02-AA-00-00-00-07", used=False) for one in stay)
    host.say(Facts(provider=ProviderFacts(holders=others)))
    host.gate.set()
    await soon(lambda: any("02-AA-00-00-00-07" in one for one in controller.readdressing.waits_for("host1")))
    (words,) = controller.readdressing.waits_for("host1")
    assert words.startswith("Machines in /virtualNetworks/blue/subnets/web on 'host1' would reach no other host")
    assert (phase(controller), lookups(controller)[customer(controller)]) == ("preparing", used)
    return used, stay


async def test_it_is_not_switched_to_what_another_machine_has_meanwhile(controller: Controller, rack: Rack) -> None:
    _, stay = await kept_off(controller, rack)
    rack.hosts["host1"].say(Facts())
    await soon(lambda: change(controller) is None)
    assert lookups(controller)[customer(controller)] in stay


async def test_another_change_does_not_wait_in_the_words_of_the_one_before(controller: Controller, rack: Rack) -> None:
    used, stay = await kept_off(controller, rack)
    rack.hosts["host1"].gate.clear()
    other = ServerProperties(
        provider_address_policy="several", provider_address_count=2, provider_addresses=(stay[0], used)
    )
    await controller.submit(put("servers", "host1", other), ANN)
    await soon(lambda: controller.readdressing.waits_for("host1") == ("host1 to apply it",))
    rack.hosts["host1"].gate.set()
