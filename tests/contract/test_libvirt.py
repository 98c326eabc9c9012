"""What only the libvirt driver has: marks, strangers, disks and pauses. Real libvirtd."""

import asyncio
import concurrent.futures
import os
import threading

import msgspec
import pytest

from tests.contract.hypervisor_worlds import (
    START,
    SUBNETS,
    WEB,
    WEB_PORTS,
    do,
    identities,
    power,
    run,
)
from tests.contract.libvirt_by_hand import (
    STRANGER,
    define_by_hand,
    link,
    macs,
    refused,
    renewed,
    state,
    web,
    world,
    xml_of,
)
from weft.agent.hypervisors import (
    Define,
    Disconnect,
    HypervisorFailure,
    Prepare,
    Reconnect,
    Remove,
    Save,
    SetMacs,
    SetRange,
    Start,
    Stop,
)
from weft.lab import libvirtd
from weft.model.hypervisor import Disk, Hardware

pytestmark = pytest.mark.root


__all__ = ["world"]


async def test_facts_have_all_of_the_host(world, disk):
    define_by_hand(world, STRANGER.format("theirs", ""))
    await do(world, "host1", Define(web(disk), WEB_PORTS))
    facts = await world.hypervisors["host1"].facts()
    assert {(one.name, one.machine) for one in facts.machines} == {("web", "web"), ("theirs", "")}
    assert "br-int" in facts.switches and facts.boot and facts.dynamic_range is None
    mine = await state(world)
    assert (mine.power, mine.held, len(mine.id)) == ("Off", False, 36)
    assert {(one.instance_id, one.mac, one.switch, one.dynamic) for one in mine.adapters} == {
        (port.instance_id, port.mac, "br-int", False) for port in WEB_PORTS
    }


async def test_the_switch_says_which_machine_a_port_is_of_by_the_name_that_the_machine_tells(world):
    """By that the port of a machine is known that was taken in while it runs."""
    await run(world, "host1")
    mine = await state(world)
    told = {(one.name, one.mac, mine.id) for one in mine.adapters}
    assert len(told) == 2 and told == world.port_owners("host1")


async def test_a_mark_that_was_copied_along_does_not_count(world):
    await do(world, "host1", Define(web(), WEB_PORTS))
    own = (await state(world)).id
    copied = xml_of(world).replace("<name>web<", "<name>copy<").replace(f"<uuid>{own}", "<uuid>" + own[:-1] + "f")
    define_by_hand(world, copied)
    assert ((await state(world, "copy")).machine, (await state(world)).machine) == ("", "web")
    await do(world, "host1", Remove("web"))
    assert {one.name for one in (await world.hypervisors["host1"].facts()).machines} == {"copy"}
    # by its id neither: it bears no mark that counts
    await do(world, "host1", Remove("web", (await state(world, "copy")).id))
    assert (await state(world, "copy")).machine == ""


async def test_a_stranger_of_that_name_is_in_the_way(world):
    define_by_hand(world, STRANGER.format("web", ""))
    await refused(world, Define(web(), WEB_PORTS), "web on host1: a machine of that name is there that is not Weft's")


async def test_disks_are_made_and_only_those_are_deleted(world, disk, tmp_path):
    theirs = tmp_path / "theirs.raw"
    theirs.write_bytes(bytes(1 << 20))
    copy = Disk(str(tmp_path / "copy.raw"), source=str(theirs))
    await do(world, "host1", Define(web(disk, Disk(str(theirs)), copy), WEB_PORTS))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.raw", "theirs.raw", "web.qcow2"]
    await do(world, "host1", START, Remove("web"))
    assert (tmp_path / "web.qcow2").exists(), "it is gone from here, not deleted"
    await do(world, "host1", Define(web(copy, disk, Disk(str(tmp_path / "new.qcow2"), 1)), WEB_PORTS))
    await do(world, "host1", Remove("web", with_files=True), Remove("web", with_files=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.raw", "theirs.raw", "web.qcow2"]


@pytest.mark.parametrize(
    ("disks", "words"),
    [
        ([Disk("{}/none.qcow2")], "none.qcow2 is not there"),
        ([Disk("{}/a.qcow2", 1), Disk("{}/none/b.qcow2", 1)], "there is no folder"),
        ([Disk("{}/a.qcow2", 1, "{}/large.raw")], "a.qcow2 is to have 1 GiB, and its source /.*/large.raw has 2: ask"),
        ([Disk("{}/a.qcow2", 1), Disk("{}/b.qcow2", source="{}/bad.raw"), Disk("{}/c.qcow2", 9999999999)], "qemu-img"),
    ],
)
async def test_a_definition_that_fails_leaves_nothing(world, tmp_path, disks, words):
    (tmp_path / "bad.raw").write_bytes(b"")
    with (tmp_path / "large.raw").open("wb") as large:
        large.truncate((1 << 30) + 4096)
    there = [msgspec.structs.replace(one, **_under(tmp_path, one)) for one in disks]
    await refused(world, Define(web(*there), WEB_PORTS), words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.raw", "large.raw"]
    assert (await world.hypervisors["host1"].facts()).machines == ()


async def test_a_machine_that_goes_while_its_disks_are_made_leaves_none(world, tmp_path):
    """Another hand undefines it: nothing would know any more that the disk is its own."""
    source, copy = tmp_path / "pipe.raw", tmp_path / "web.raw"
    os.mkfifo(source)
    asked = Define(web(Disk(str(copy), source=str(source))), WEB_PORTS)
    making = asyncio.create_task(refused(world, asked, "another hand deleted it while its disks were made"))
    with await asyncio.to_thread(source.open, "wb") as pipe:  # it is open when the disk is being copied
        with world.connected("host1") as connection:
            connection.lookupByName("web").undefine()
        pipe.write(bytes(4096))
    await making
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.raw"]


async def test_another_machines_disk_is_known_by_whatever_name(world, disk, tmp_path):
    """A link, the file below a snapshot, and one that is not there just now."""
    base, link, gone = tmp_path / "base.qcow2", tmp_path / "link.qcow2", tmp_path / "gone.raw"
    for file in (base, link.with_name("real.qcow2")):
        file.write_bytes(b"")
    link.symlink_to("real.qcow2")
    above = f"<source file='{disk.path}'/><backingStore type='file'><format type='raw'/><source file='{base}'/>"
    one = f"<disk type='file'>{above}<backingStore/></backingStore><target dev='vda'/></disk>"
    more = [f"<disk type='file'><source file='{path}'/>{{}}</disk>" for path in (link.with_name("real.qcow2"), gone)]
    both = "".join(text.format(f"<target dev='vd{dev}'/>") for text, dev in zip(more, "bc", strict=True))
    define_by_hand(world, STRANGER.format("theirs", f"<devices>{one}{both}</devices>"))
    for path in (base, link, gone, tmp_path / ".." / tmp_path.name / "gone.raw"):
        await refused(world, Define(web(Disk(str(path), 1)), WEB_PORTS), "is in use by machine theirs of this host")
    assert not gone.exists()
    assert [one.name for one in (await world.hypervisors["host1"].facts()).machines] == ["theirs"]


async def test_what_an_agent_left_half_made_is_told_and_made_to_the_end(world, disk, tmp_path):
    """Killed while it copied a disk: the domain as it was then, with nothing of the disk but what was copied."""
    source, copy = tmp_path / "pipe.raw", tmp_path / "web.raw"
    os.mkfifo(source)
    making = asyncio.create_task(do(world, "host1", Define(web(Disk(str(copy), source=str(source))), WEB_PORTS)))
    with await asyncio.to_thread(source.open, "wb") as pipe:
        assert (await state(world)).unfinished
        left = xml_of(world)
        pipe.write(bytes(4096))
    await making
    assert not (await state(world)).unfinished
    with world.connected("host1") as connection:
        connection.lookupByName("web").undefine()
    define_by_hand(world, left)
    copy.rename(copy.with_name("web.raw.weft-new"))
    source.unlink()
    source.write_bytes(b"whole" * 1024)
    assert (await state(world)).unfinished
    await do(world, "host1", Define(web(Disk(str(copy), source=str(source))), WEB_PORTS))
    assert not (await state(world)).unfinished and copy.read_bytes() == source.read_bytes()
    copy.unlink()
    await do(world, "host1", Define(web(Disk(str(copy), source=str(source))), WEB_PORTS))
    assert not copy.exists(), "another hand took it from a machine that was whole"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"switch": "br-nope"}, "no bridge br-nope of Open vSwitch \\(there: br-int, br-phy\\): name one of those"),
        ({"kernel": "/nope"}, "hardware.kernel /nope is no file of this host: put it there"),
        ({"kernel": __file__, "initrd": "/nope"}, "hardware.initrd /nope is no file"),
        (
            {"memory_mib": 12 << 20},
            "12582912 MiB of memory are asked for, and the host has [0-9]+ in all: ask for less",
        ),
        ({"cpu": 2048}, "2048 processors are asked for, and its QEMU gives a machine [0-9]+ at most"),
        ({"generation": 1}, "hardware.generation 1 is Hyper-V's"),
        ({"path": "/srv/vms"}, "hardware.path is Hyper-V's"),
    ],
    ids=["switch", "kernel", "initrd", "memory", "cpu", "generation", "path"],
)
async def test_what_the_host_cannot_give_is_said_before_anything_is_made(world, disk, asked, words):
    hardware = Hardware(**{"memory_mib": 32, "disks": (disk,)} | asked)
    said = await refused(world, Define(msgspec.structs.replace(WEB, hardware=hardware), WEB_PORTS), words)
    assert said.startswith("Define of web on host1: ")
    assert (await world.hypervisors["host1"].facts()).machines == () and not os.path.exists(disk.path)


async def test_a_machine_may_be_on_another_bridge_of_the_host(world):
    hardware = Hardware(memory_mib=32, switch="br-phy")
    await do(world, "host1", Define(msgspec.structs.replace(WEB, hardware=hardware), WEB_PORTS))
    assert {one.switch for one in (await state(world)).adapters} == {"br-phy"}


def _under(folder, one):
    return {"path": one.path.format(folder), "source": one.source.format(folder)}


async def test_a_machine_that_is_defined_anew_keeps_the_id_that_its_record_names(world):
    again = web(hypervisor_id="0D5F0000-0000-4000-8000-000000000001")
    await do(world, "host1", Define(again, WEB_PORTS))
    assert (await state(world)).id == again.hypervisor_id.lower()


async def test_addresses_are_set_while_it_is_off(world):
    await do(world, "host1", Define(web(), WEB_PORTS), SetMacs(web(), renewed(WEB_PORTS)))
    assert macs(await state(world)) == [port.mac for port in renewed(WEB_PORTS)]
    await refused(world, SetMacs(web(), WEB_PORTS[:1]), "it has 2 adapters and 1 network interfaces")
    await do(world, "host1", Start(web(), renewed(WEB_PORTS), SUBNETS))
    await refused(world, SetMacs(web(), WEB_PORTS), "it runs or is saved")
    assert world.ports("host1") == identities(renewed(WEB_PORTS))


async def test_one_that_is_held_for_its_start_starts_with_the_address_that_it_has_by_then(world):
    await do(world, "host1", Define(web(), WEB_PORTS), Prepare(web(), WEB_PORTS))
    assert (await state(world)).held
    await do(world, "host1", Prepare(web(), renewed(WEB_PORTS), mtu=1450))
    assert world.ports("host1") == identities(renewed(WEB_PORTS))
    assert "<mtu size='1450'/>" in xml_of(world)
    await do(world, "host1", Stop("web"))
    assert not (await state(world)).held and world.ports("host1") == set()


async def test_a_machine_that_somebody_pauses_runs_still(world):
    await do(world, "host1", Define(web(), WEB_PORTS), Prepare(web(), WEB_PORTS))
    assert await power(world, "host1") == "Off"
    await do(world, "host1", START)
    with world.connected("host1") as connection:
        connection.lookupByName("web").suspend()
    assert await power(world, "host1") == "Running"
    world.hypervisors["host1"] = world.driver("host1")
    assert await power(world, "host1") == "Running", "an agent that starts afresh knows it too"


async def test_a_saved_machine_is_started_where_it_was(world):
    await do(world, "host1", Define(web(), WEB_PORTS), START, Save("web"), Save("web"))
    assert (await power(world, "host1"), world.ports("host1")) == ("Saved", set())
    await do(world, "host1", Prepare(web(), WEB_PORTS))
    assert await power(world, "host1") == "Off"
    await do(world, "host1", START)
    assert await power(world, "host1") == "Running"


async def test_a_machine_is_taken_off_the_network_while_it_runs(world):
    await do(world, "host1", Define(web(), WEB_PORTS), START)
    await do(world, "host1", Disconnect((await state(world)).id), Disconnect((await state(world)).id))
    with world.connected("host1") as connection:
        assert connection.lookupByName("web").XMLDesc(0).count("<link state='down'/>") == 2
    assert await power(world, "host1") == "Running"


async def test_what_was_disconnected_comes_back_and_what_another_hand_pulled_does_not(world):
    await do(world, "host1", Define(web(), WEB_PORTS), START)
    own = (await state(world)).id
    link(world, 0, "down")
    await do(world, "host1", Reconnect(own))
    assert [one.switch for one in (await state(world)).adapters] == ["", "br-int"]
    await do(world, "host1", Disconnect(own))
    world.hypervisors["host1"] = world.driver("host1")  # an agent that starts afresh knows whose work it is
    mine = await state(world)
    assert (mine.isolated, [one.switch for one in mine.adapters]) == (True, ["", ""])
    await do(world, "host1", Reconnect(own), Reconnect(own))
    mine = await state(world)
    assert (mine.isolated, [one.switch for one in mine.adapters]) == (False, ["", "br-int"])
    await do(world, "host1", Disconnect(own), Stop("web"))
    assert not (await state(world)).isolated, "its next start begins with all cables"
    await do(world, "host1", Reconnect(own), START)
    mine = await state(world)
    assert (mine.isolated, [one.switch for one in mine.adapters]) == (False, ["br-int", "br-int"])


async def test_what_libvirt_has_not_is_refused(world):
    await refused(world, SetRange(1, 2), "libvirt has no such thing")
    await refused(world, Save("web"), "libvirt knows no such machine")
    await refused(world, Prepare(WEB, WEB_PORTS), "no hardware to define it from")


async def test_a_destination_that_cannot_take_the_machine_says_so(world, tmp_path):
    coming = web(Disk(str(tmp_path / "none.qcow2"), 1), power="Incoming")
    await refused(world, Prepare(coming, WEB_PORTS), "it cannot come: .*none.qcow2 is not here")
    assert (await world.hypervisors["host1"].facts()).machines == ()


async def test_a_libvirtd_that_dies_is_told_and_its_machines_run_on(world):
    from weft.lab import hosts
    from weft.lab.processes import kill

    await do(world, "host1", Define(web(), WEB_PORTS), START)
    kill(world.lab.host("host1").libvirtd)
    with pytest.raises(HypervisorFailure, match="libvirt on host1"):
        await world.hypervisors["host1"].facts()
    hosts.start_libvirtd(world.lab, world.lab.host("host1"))
    assert await power(world, "host1") == "Running"
    assert world.ports("host1") == identities(WEB_PORTS)


async def test_a_lab_tells_its_machines_while_one_comes_and_goes(world):
    """`weft lab status` while a machine leaves for another host."""
    await do(world, "host1", Define(web(), WEB_PORTS), START)
    told, done = [], threading.Event()

    def look():
        while not done.is_set():
            told.append(libvirtd.machines(world.daemon("host1")))

    with world.connected("host1") as connection, concurrent.futures.ThreadPoolExecutor(1) as looking:
        watched = looking.submit(look)
        for _ in range(200):
            connection.defineXML(STRANGER.format("stranger", "")).undefine()
        done.set()
        watched.result()
    assert {name: {one[name] for one in told if name in one} for name in ("web", "stranger")} == {
        "web": {True},
        "stranger": {False},
    }
    assert any("stranger" not in one for one in told)


async def test_a_start_behind_our_back_is_not_taken_for_one_of_ours(world):
    await do(world, "host1", Define(web(), WEB_PORTS))
    with world.connected("host1") as connection:
        connection.lookupByName("web").createWithFlags(1)
    assert ((await state(world)).power, (await state(world)).held) == ("Off", False)
    await do(world, "host1", START)
    assert await power(world, "host1") == "Running"
