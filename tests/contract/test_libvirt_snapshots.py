"""What only the libvirt driver has: snapshots, exports and copies. Real libvirtd."""

import asyncio

import libvirt
import msgspec
import pytest

from tests.cluster.control import HandClock
from tests.contract.hypervisor_worlds import (
    DB,
    DB_PORTS,
    START,
    WEB_PORTS,
    do,
    identities,
    power,
)
from tests.contract.libvirt_by_hand import (
    errand,
    macs,
    refused,
    renewed,
    state,
    web,
    world,
    xml_of,
)
from weft.agent.hypervisors import (
    CarryOut,
    Define,
    HypervisorFailure,
    Migrate,
    Prepare,
    Remove,
    SetMacs,
    Start,
    Stop,
)
from weft.agent.libvirt.power import REVERT_SECONDS, Lives
from weft.model.hypervisor import MachineState
from weft.model.records import Errand
from weft.model.values import Mac

pytestmark = pytest.mark.root


__all__ = ["world"]


async def test_a_restore_brings_the_address_of_the_snapshot_back(world, disk):
    """Stories 2.4, 2.12: with memory it is held, so that its port is bound before the guest sends anything."""
    await do(world, "host1", Define(web(disk), WEB_PORTS), START, errand("checkpoint"), errand("checkpoint"))
    (checkpoint,) = (await state(world)).checkpoints
    assert (checkpoint.name, checkpoint.running) == ("before", True)
    assert [one.mac for one in checkpoint.adapters] == [port.mac for port in WEB_PORTS]
    await do(world, "host1", Stop("web"), SetMacs(web(), renewed(WEB_PORTS)), Start(web(), renewed(WEB_PORTS)))
    await do(world, "host1", errand("restore"))
    assert (await power(world, "host1"), world.ports("host1")) == ("Off", identities(WEB_PORTS))
    assert macs(await state(world)) == [port.mac for port in WEB_PORTS]
    await do(world, "host1", START)
    assert await power(world, "host1") == "Running"
    await do(world, "host1", errand("restore", machine=web(power="Off")))
    assert not (await state(world)).held and await power(world, "host1") == "Off"
    await do(world, "host1", errand("deleteCheckpoint"), errand("deleteCheckpoint"))
    assert (await state(world)).checkpoints == ()
    assert "it has: none" in await refused(world, errand("restore"), "no snapshot of that name")


async def test_snapshots_without_memory_are_rewritten_in_their_places(world, disk):
    new = tuple((port.instance_id, port.mac) for port in renewed(WEB_PORTS))
    await do(world, "host1", Define(web(disk), WEB_PORTS), errand("checkpoint"), errand("checkpoint", "second"))
    await do(world, "host1", errand("checkpoint", "third"))
    await do(world, "host1", errand("rewriteCheckpoint", macs=new), errand("rewriteCheckpoint", macs=new))
    found = {one.name: [adapter.mac for adapter in one.adapters] for one in (await state(world)).checkpoints}
    old = [port.mac for port in WEB_PORTS]
    assert found == {"before": [mac for _, mac in new], "second": old, "third": old}
    with world.connected("host1") as connection:
        domain = connection.lookupByName("web")
        assert domain.snapshotLookupByName("third").getParent().getName() == "second"
        assert domain.snapshotLookupByName("second").getParent().getName() == "before"
        assert domain.snapshotCurrent().getName() == "third"
    await do(world, "host1", errand("restore"))
    assert macs(await state(world)) == [mac for _, mac in new]
    await refused(world, errand("rewriteCheckpoint", macs=new[:1]), "interface ids")


async def test_a_snapshot_with_memory_is_not_rewritten(world, disk):
    new = tuple((port.instance_id, port.mac) for port in renewed(WEB_PORTS))
    await do(world, "host1", Define(web(disk), WEB_PORTS), START, errand("checkpoint"))
    await refused(world, errand("rewriteCheckpoint", macs=new), "would keep the old MAC address")
    (checkpoint,) = (await state(world)).checkpoints
    assert [one.mac for one in checkpoint.adapters] == [port.mac for port in WEB_PORTS]


async def test_an_export_is_whole_and_a_copy_has_an_identity_of_its_own(world, disk, tmp_path):
    await do(world, "host1", Define(web(disk), WEB_PORTS), START)
    out = errand("export", "out", path=str(tmp_path / "exports" / "out"))
    await refused(world, out, "it runs: stop it")
    await do(world, "host1", Stop("web"), out, out)
    assert sorted(path.name for path in (tmp_path / "exports" / "out").iterdir()) == ["domain.xml", "web.qcow2"]
    assert "urn:weft:machine" not in (tmp_path / "exports" / "out" / "domain.xml").read_text()
    assert [path.name for path in (tmp_path / "exports").iterdir()] == ["out"]
    source = (await state(world)).id
    copy = msgspec.structs.replace(DB, errand=Errand(9, "copy", source))
    with pytest.raises(HypervisorFailure, match="2 adapters and 1 network"):
        await do(world, "host1", CarryOut(copy, DB_PORTS))
    assert not (tmp_path / "db.qcow2").exists()
    ports = tuple(
        msgspec.structs.replace(port, instance_id=f"{port.instance_id[:-2]}f{place}", mac=Mac(port.mac + 0x40))
        for place, port in enumerate(WEB_PORTS)
    )
    await do(world, "host1", CarryOut(copy, ports), CarryOut(copy, ports))
    made = await state(world, "db")
    assert (made.machine, made.power, made.id != source) == ("db", "Off", True)
    assert {(one.instance_id, one.mac) for one in made.adapters} == identities(ports)
    assert str(tmp_path / "db.qcow2") in xml_of(world, "db") and disk.path not in xml_of(world, "db")
    (tmp_path / "db.qcow2").unlink()  # as if its agent had died before
    await do(world, "host1", CarryOut(copy, ports))
    assert (tmp_path / "db.qcow2").stat().st_size == (tmp_path / "web.qcow2").stat().st_size
    await do(world, "host1", Remove("db", with_files=True))
    assert not (tmp_path / "db.qcow2").exists() and (tmp_path / "web.qcow2").exists()


async def test_a_revert_behind_our_back_is_no_stop_in_between(world, disk):
    """libvirt stops the domain and starts it anew; whoever believed it off would stop it for good."""
    await do(world, "host1", Define(web(disk), WEB_PORTS), START, errand("checkpoint"))
    await do(world, "host1", Stop("web"), SetMacs(web(), renewed(WEB_PORTS)), Start(web(), renewed(WEB_PORTS)))
    assert await power(world, "host1") == "Running"
    seen = []

    async def watch():
        async for _ in world.hypervisors["host1"].events():
            # as the agent does of a machine that runs and whose ports have gone
            await do(world, "host1", Prepare(web(), renewed(WEB_PORTS)))
            seen.append(await state(world))

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0)
    with world.connected("host1") as connection:
        domain = connection.lookupByName("web")
        await asyncio.to_thread(lambda: domain.revertToSnapshot(domain.snapshotLookupByName("before"), 0))
    async with asyncio.timeout(30):
        while not seen or macs(seen[-1]) != [port.mac for port in WEB_PORTS]:
            await asyncio.sleep(0.05)
    watching.cancel()
    assert {one.power for one in seen} == {"Running"}
    assert world.ports("host1") == identities(WEB_PORTS)


def test_a_revert_that_never_tells_its_end_is_over_after_a_while():
    clock = HandClock()
    lives = Lives(clock.monotonic)
    running, off = (MachineState("web", power, id="id") for power in ("Running", "Off"))
    assert lives.tell(running) == running
    lives.happened("id", libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT)
    clock.pass_s(REVERT_SECONDS - 1)
    assert lives.tell(off) == running
    clock.pass_s(1)
    assert lives.tell(off) == off
    lives.settle("id")


async def test_snapshots_go_along_with_a_machine_that_moves(world, disk):
    """libvirt itself moves no domain that has some."""
    await do(world, "host1", Define(web(disk), WEB_PORTS), errand("checkpoint"), errand("checkpoint", "second"), START)
    before = (await state(world)).checkpoints
    with pytest.raises(HypervisorFailure):
        await do(world, "host1", Migrate("web", "host9", "192.168.2.99"))
    assert {one.name for one in (await state(world)).checkpoints} == {"before", "second"}
    assert "urn:weft:snapshots" not in xml_of(world), "it stays, and so do they"
    await do(world, "host2", Prepare(web(disk, power="Incoming"), WEB_PORTS))
    await do(world, "host1", Migrate("web", "host2"))
    assert set((await state(world, host="host2")).checkpoints) == set(before), "from the first moment on"
    async with asyncio.timeout(30):
        while True:
            with world.connected("host2") as connection:
                domain = connection.lookupByName("web")
                if len(domain.snapshotListNames()) == 2 and "urn:weft:snapshots" not in domain.XMLDesc(2):
                    break
            assert set((await state(world, host="host2")).checkpoints) == set(before)
            await asyncio.sleep(0.1)
    with world.connected("host2") as connection:
        assert connection.lookupByName("web").snapshotCurrent().getName() == "second"
