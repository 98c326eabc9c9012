"""What drivers promise whose machines are defined and bring their ports with them: hypervisors proper, not the lab.

See test_hypervisor.py for what every driver promises.
"""

import msgspec
import pytest

from tests.contract.hyperv_world import HYPERV, KINDS
from tests.contract.hypervisor_worlds import (
    DB,
    DB_PORTS,
    START,
    WEB,
    WEB_PORTS,
    binding,
    do,
    identities,
    lab_of,
    machine,
    make,
    power,
    run,
)
from tests.contract.libvirt_machines import LibvirtMachines
from weft.agent.hypervisors import (
    Announce,
    CarryOut,
    Define,
    HypervisorFailure,
    Prepare,
    Remove,
    Save,
    SetMacs,
    Start,
    Stop,
)
from weft.lab import libvirtd
from weft.model.records import Errand
from weft.model.values import Mac

OFF = msgspec.structs.replace(WEB, power="Off")
"""Not to be started: a driver that holds machines for their start does not hold it."""


@pytest.fixture(scope="module")
def libvirt_machines():
    if libvirtd.missing():
        pytest.skip(libvirtd.missing())
    with lab_of(LibvirtMachines) as made:
        yield made


@pytest.fixture(params=[*HYPERV, pytest.param("libvirt", marks=pytest.mark.root)])
def world(request):
    if request.param == "libvirt":
        made = request.getfixturevalue("libvirt_machines")
        made.begin()
        yield made
        made.clear()
        return
    made = KINDS[request.param]()
    yield made
    made.close()


async def state(world, host, name="web"):
    """What the driver says of one machine."""
    found = [one for one in (await world.hypervisors[host].facts()).machines if one.machine == name]
    assert len(found) <= 1
    return found[0] if found else None


def defined(world, one=WEB):
    return msgspec.structs.replace(one, hardware=world.hardware(one.machine))


def errand(kind, name, number=1, one=WEB, **more):
    return CarryOut(msgspec.structs.replace(one, errand=Errand(number, kind, name, **more)), WEB_PORTS)


async def test_a_defined_machine_reads_as_it_was_asked_for(world):
    await make(world, "host1")
    told = await state(world, "host1")
    assert (told.power, told.clustered, told.checkpoints, told.unfinished) == ("Off", False, (), False)
    assert [(one.mac, one.instance_id, one.dynamic) for one in told.adapters] == [
        (one.mac, one.instance_id, False) for one in WEB_PORTS
    ]
    assert len({one.id for one in told.adapters} - {""}) == 2
    assert told.id
    assert len({one.switch for one in told.adapters} - {""}) == 1


async def test_defining_it_again_makes_no_second(world):
    await make(world, "host1")
    before = await state(world, "host1")
    await make(world, "host1")
    assert await state(world, "host1") == before


async def test_its_id_stays_over_its_life_and_finds_it(world):
    await run(world, "host1")
    own = (await state(world, "host1")).id
    await do(world, "host1", Stop("web", own), Start(WEB, WEB_PORTS, id=own), Stop("web", own))
    assert (await state(world, "host1")).id == own
    await do(world, "host1", Remove("web", own))
    assert await state(world, "host1") is None


async def test_what_define_made_goes_with_the_files_and_only_then(world):
    await make(world, "host1")
    (disk,) = world.hardware("web").disks
    assert world.has_file("host1", disk.path)
    await do(world, "host1", Remove("web"))
    assert world.has_file("host1", disk.path)
    await make(world, "host1")
    await do(world, "host1", Remove("web", with_files=True))
    # it was there before the second machine was made
    assert world.has_file("host1", disk.path)
    world.delete_file("host1", disk.path)
    await make(world, "host1")
    await do(world, "host1", Remove("web", with_files=True))
    assert not world.has_file("host1", disk.path)


async def test_a_disk_that_there_is_nothing_to_make_of_leaves_no_machine(world):
    (disk,) = world.hardware("web").disks
    nothing = msgspec.structs.replace(world.hardware("web"), disks=(msgspec.structs.replace(disk, size_gib=0),))
    with pytest.raises(HypervisorFailure, match="web"):
        await make(world, "host1", hardware=nothing)
    assert await state(world, "host1") is None
    assert world.ports("host1") == set()


async def test_a_machine_that_is_off_gets_other_macs(world):
    await make(world, "host1")
    others = tuple(msgspec.structs.replace(one, mac=Mac(0x001DD8B71CF0 + place)) for place, one in enumerate(WEB_PORTS))
    await do(world, "host1", SetMacs(machine("web", *others), others))
    told = await state(world, "host1")
    assert [(one.mac, one.dynamic) for one in told.adapters] == [(one.mac, False) for one in others]
    await do(world, "host1", Prepare(machine("web", *others), others), Start(machine("web", *others), others))
    assert world.ports("host1") == identities(others)


async def test_one_adapter_where_two_were_meant_is_an_error(world):
    await make(world, "host1", DB, DB_PORTS)
    two = (*DB_PORTS, binding("db", 4))
    with pytest.raises(HypervisorFailure, match="db"):
        await do(world, "host1", SetMacs(machine("db", *two), two))
    assert [one.mac for one in (await state(world, "host1", "db")).adapters] == [DB_PORTS[0].mac]


async def test_a_saved_machine_resumes(world):
    await run(world, "host1")
    await do(world, "host1", Save("web"), Save("web"))
    assert await power(world, "host1") == "Saved"
    await do(world, "host1", Prepare(WEB, WEB_PORTS), START)
    assert await power(world, "host1") == "Running"


async def test_a_saved_machine_that_is_stopped_starts_anew(world):
    await run(world, "host1")
    await do(world, "host1", Save("web"), Stop("web"), Stop("web"))
    assert await power(world, "host1") == "Off"


async def test_a_checkpoint_is_made_once_and_applied(world):
    await make(world, "host1")
    await do(world, "host1", errand("checkpoint", "before"), errand("checkpoint", "before"))
    (taken,) = (await state(world, "host1")).checkpoints
    assert taken.name == "before"
    assert [one.mac for one in taken.adapters] == [one.mac for one in WEB_PORTS]
    others = tuple(msgspec.structs.replace(one, mac=Mac(0x001DD8B71CF0 + place)) for place, one in enumerate(WEB_PORTS))
    await do(world, "host1", SetMacs(machine("web", *others), others))
    await do(world, "host1", errand("restore", "before", 2, id=taken.id))
    assert [one.mac for one in (await state(world, "host1")).adapters] == [one.mac for one in WEB_PORTS]


@pytest.mark.parametrize("with_memory", [False, True], ids=["cold", "warm"])
async def test_a_restore_that_was_announced_is_carried_out_once_whoever_dies_meanwhile(world, with_memory):
    await (run if with_memory else make)(world, "host1")
    await do(world, "host1", errand("checkpoint", "before"), Stop("web"))
    (taken,) = (await state(world, "host1")).checkpoints
    back = errand("restore", "before", 77, OFF, id=taken.id)
    again = msgspec.structs.replace(back, again=True)
    announce = Announce(back.machine)
    others = tuple(msgspec.structs.replace(one, mac=Mac(0x001DD8B71CF0 + place)) for place, one in enumerate(WEB_PORTS))
    renewed = SetMacs(machine("web", *others), others)

    async def macs():
        return [one.mac for one in (await state(world, "host1")).adapters]

    # its agent died before
    await do(world, "host1", renewed, announce, announce, again)
    assert await macs() == [one.mac for one in WEB_PORTS]
    # ... or afterwards
    await do(world, "host1", Stop("web"), renewed, again)
    assert await macs() == [one.mac for one in others]
    assert await power(world, "host1") == "Off"
    # the announcement of another restore is no word about this one
    await do(world, "host1", Announce(errand("restore", "before", 78, OFF).machine), again)
    assert await macs() == [one.mac for one in others]
    assert (await state(world, "host1")).machine == "web"


async def test_a_rewritten_checkpoint_brings_back_what_was_written(world):
    await make(world, "host1", OFF)
    await do(world, "host1", errand("checkpoint", "before"))
    (taken,) = (await state(world, "host1")).checkpoints
    macs = tuple((one.instance_id, Mac(0x001DD8B71CF0 + place)) for place, one in enumerate(WEB_PORTS))
    await do(world, "host1", errand("rewriteCheckpoint", "before", 2, id=taken.id, macs=macs))
    (taken,) = (await state(world, "host1")).checkpoints
    assert [(one.mac, one.dynamic) for one in taken.adapters] == [(mac, False) for _, mac in macs]
    assert [one.mac for one in (await state(world, "host1")).adapters] == [one.mac for one in WEB_PORTS]
    await do(world, "host1", errand("restore", "before", 3, id=taken.id))
    assert [one.mac for one in (await state(world, "host1")).adapters] == [mac for _, mac in macs]


async def test_a_deleted_checkpoint_is_gone_and_deleting_it_again_is_done(world):
    await make(world, "host1")
    await do(world, "host1", errand("checkpoint", "before"))
    await do(world, "host1", errand("deleteCheckpoint", "before", 2), errand("deleteCheckpoint", "before", 2))
    assert (await state(world, "host1")).checkpoints == ()


async def test_a_checkpoint_that_is_not_there_cannot_be_applied(world):
    await make(world, "host1")
    with pytest.raises(HypervisorFailure, match="web"):
        await do(world, "host1", errand("restore", "never"))


async def test_a_copy_has_its_own_addresses_and_no_checkpoints(world):
    await make(world, "host1", OFF)
    await do(world, "host1", errand("checkpoint", "before"))
    source = await state(world, "host1")
    ports = (binding("copy", 7), binding("copy", 8))
    made_of = machine("copy", *ports, hardware=world.hardware("copy"))
    copy = msgspec.structs.replace(made_of, power="Off", errand=Errand(2, "copy", source.id))
    await do(world, "host1", CarryOut(copy, ports), CarryOut(copy, ports))
    told = await state(world, "host1", "copy")
    assert not told.unfinished
    assert told.id != source.id
    assert (told.power, told.checkpoints) == ("Off", ())
    assert [(one.mac, one.instance_id, one.dynamic) for one in told.adapters] == [
        (one.mac, one.instance_id, False) for one in ports
    ]
    assert await state(world, "host1") == source
    await do(world, "host1", Prepare(copy, ports), Start(copy, ports))
    assert (await power(world, "host1"), await power(world, "host1", "copy")) == ("Off", "Running")


async def test_a_stranger_is_told_and_touched_by_nobody(world):
    own = await world.stranger("host1", "somebody's")
    await make(world, "host1")
    (told,) = (one for one in (await world.hypervisors["host1"].facts()).machines if one.id == own)
    assert (told.machine, told.name) == ("", "somebody's")
    await do(world, "host1", Remove("somebody's"), Stop("somebody's"))
    assert any(one.id == own for one in (await world.hypervisors["host1"].facts()).machines)


async def test_a_renamed_machine_is_the_same(world):
    await make(world, "host1", OFF)
    before = await state(world, "host1")
    await world.rename("host1", "web", 'the "shop" $x')
    told = await state(world, "host1")
    assert (told.id, told.name) == (before.id, 'the "shop" $x')
    await do(world, "host1", START)
    assert await power(world, "host1") == "Running"


async def test_a_machine_of_which_the_mark_was_copied_is_a_stranger(world):
    await make(world, "host1")
    before = await state(world, "host1")
    await world.clone("host1", "web", "web-clone")
    facts = await world.hypervisors["host1"].facts()
    assert [(one.id, one.name) for one in facts.machines if one.machine == "web"] == [(before.id, before.name)]
    assert any(one.name == "web-clone" and one.machine == "" for one in facts.machines)


async def test_what_cannot_be_started_is_not_taken_for_started(world):
    with pytest.raises(HypervisorFailure, match="web"):
        await do(world, "host1", Start(WEB, WEB_PORTS, id="5eed0000-0000-4000-8000-00000000dead"))
    with pytest.raises(HypervisorFailure, match="web"):
        await do(world, "host1", Define(WEB, WEB_PORTS))
    assert await state(world, "host1") is None


async def test_another_machines_disk_is_not_taken(world):
    """Whether it runs or is off, or has it only below its checkpoints."""
    await make(world, "host1")
    (disk,) = world.hardware("web").disks
    shared = msgspec.structs.replace(world.hardware("db"), disks=(msgspec.structs.replace(disk, size_gib=0),))
    for steps in ([], [errand("checkpoint", "clean", one=OFF)], [Prepare(WEB, WEB_PORTS), START]):
        await do(world, "host1", *steps)
        with pytest.raises(HypervisorFailure, match="is in use by machine .*web of this host") as refused:
            await make(world, "host1", DB, DB_PORTS, shared)
        assert "host1" in str(refused.value) and "Define of " in str(refused.value)
        assert await state(world, "host1", "db") is None
    await do(world, "host1", Stop("web"), Remove("web"))
    await make(world, "host1", DB, DB_PORTS, shared)
