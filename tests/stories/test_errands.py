"""What a host does to a machine once: checkpoint, rollback, export, rewriting, with its addresses going along."""

from typing import Any

from tests.stories.desk import Desk
from weft.model.values import parse_mac

VMS = "/weft/v1/virtualMachines"
WEB = {"resourceRef": "/virtualNetworks/blue/subnets/web"}


async def vm(desk: Desk, name: str = "web1", server: str = "host1", **more: Any) -> None:
    await desk.post(VMS, {"resourceId": name, "server": server, "networks": [{"subnet": WEB}]} | more)


def guest(desk: Desk, name: str = "web1") -> Any:
    return desk.center.guests[name]


async def renewed(desk: Desk, name: str = "web1") -> None:
    body = {"networkInterface": f"{name}-eth0", "force": True}
    await desk.act(name, "renewMac", body)


async def test_a_rollback_goes_back_on_the_host_too(desk: Desk) -> None:
    """2.1, 2.4: the checkpoint's MAC address, given up since, comes back with it, with no duplicate."""
    await desk.cluster(hosts=1)
    await vm(desk)
    before = await desk.mac("web1-eth0")
    taken = await desk.act("web1", "checkpoint", {"resourceId": "logon"})
    assert "errand" not in taken
    (checkpoint,) = guest(desk).checkpoints
    assert (checkpoint.name, checkpoint.running) == ("logon", True)
    await renewed(desk)
    assert await desk.mac("web1-eth0") != before
    assert (await desk.address(before))["state"] == "retained"
    back = await desk.act("web1", "restore", {"checkpoint": "logon"})
    assert [one["outcome"] for one in back["restore"]] == ["restored"]
    assert await desk.mac("web1-eth0") == before
    assert guest(desk).adapters[0].mac == parse_mac(before)

    async def runs() -> bool:
        return bool(guest(desk).host == "host1")

    await desk.eventually(runs)
    assert back["powerState"] == "Running"
    # nothing is held twice, and nothing that helped on the way is left
    assert [each["resourceId"] for each in (await desk.get(f"{VMS}/web1"))["properties"]["checkpoints"]] == ["logon"]


async def test_a_machine_has_the_power_of_its_checkpoint(desk: Desk) -> None:
    await desk.cluster(hosts=1)
    await vm(desk, start=False)
    await desk.act("web1", "checkpoint", {"resourceId": "clean"})
    await desk.act("web1", "start")
    assert (await desk.act("web1", "restore", {"checkpoint": "clean"}))["powerState"] == "Off"
    assert guest(desk).host == ""


async def test_what_the_host_cannot_do_leaves_all_as_it_was(desk: Desk) -> None:
    await desk.cluster(hosts=1)
    await vm(desk)
    hypervisor = desk.center.hypervisors["host1"]
    hypervisor.failing["checkpoint"] = "no space"
    error = await desk.refused("POST", f"{VMS}/web1/checkpoint", {"resourceId": "c"}, 409)
    assert "no space" in error["message"]
    found = (await desk.get(f"{VMS}/web1"))["properties"]
    assert found["checkpoints"] == []
    assert (found["errand"]["phase"], "no space" in found["errand"]["failure"]) == ("failed", True)
    del hypervisor.failing["checkpoint"]
    await desk.act("web1", "checkpoint", {"resourceId": "c"})
    await renewed(desk)
    now = await desk.mac("web1-eth0")
    for kind, method, path, body in (
        ("restore", "POST", "restore", {"checkpoint": "c"}),
        ("deleteCheckpoint", "DELETE", "checkpoints/c", None),
        ("export", "POST", "export", {"resourceId": "e", "path": "/exports"}),
    ):
        hypervisor.failing[kind.lower()] = "it hangs"
        error = await desk.refused(method, f"{VMS}/web1/{path}", body, 409)
        assert "it hangs" in error["message"]
        del hypervisor.failing[kind.lower()]
    found = (await desk.get(f"{VMS}/web1"))["properties"]
    assert [each["resourceId"] for each in found["checkpoints"]] == ["c"]
    assert (found["exports"], found["powerState"]) == ([], "Running")
    assert await desk.mac("web1-eth0") == now

    async def runs() -> bool:
        return bool(guest(desk).host == "host1")

    await desk.eventually(runs)
    # after a failed rollback it runs with what it had
    assert guest(desk).adapters[0].mac == parse_mac(now)
    assert found["errand"]["kind"] == "export" and found["errand"]["ended"].endswith("Z")
    # whoever does something with it has seen that
    assert "errand" not in await desk.act("web1", "start")


async def test_a_delete_is_the_hosts_first(desk: Desk) -> None:
    await desk.cluster(hosts=1)
    await vm(desk)
    before = await desk.mac("web1-eth0")
    await desk.act("web1", "checkpoint", {"resourceId": "c"})
    await renewed(desk)
    await desk.delete(f"{VMS}/web1/checkpoints/c")
    assert guest(desk).checkpoints == []
    assert (await desk.address(before))["state"] == "cooling"


async def test_an_export_is_made_by_the_host(desk: Desk) -> None:
    await desk.cluster(hosts=1)
    await vm(desk)
    await desk.act("web1", "export", {"resourceId": "note"})
    assert guest(desk).exports == []
    await desk.act("web1", "export", {"resourceId": "e", "path": "/exports/web1"})
    assert guest(desk).exports == ["/exports/web1"]


async def test_checkpoints_that_hold_another_mac_are_listed_and_rewritten(desk: Desk) -> None:
    """Dry run first; what only they held is released."""
    await desk.cluster(hosts=1)
    await vm(desk)
    before = await desk.mac("web1-eth0")
    await desk.act("web1", "stop")
    await desk.act("web1", "checkpoint", {"resourceId": "a"})
    await desk.act("web1", "start")
    await renewed(desk)
    await desk.act("web1", "checkpoint", {"resourceId": "b"})
    now = await desk.mac("web1-eth0")
    listed = await desk.post(f"{VMS}/web1/rewriteCheckpoints", {"dryRun": True})
    (one,) = listed["properties"]["rewriteCheckpoints"]
    assert (one["checkpoint"], one["networkInterface"]) == ("a", "/networkInterfaces/web1-eth0")
    assert (parse_mac(one["from"]), parse_mac(one["to"])) == (parse_mac(before), parse_mac(now))
    assert guest(desk).checkpoints[0].adapters[0].mac == parse_mac(before)
    done = await desk.act("web1", "rewriteCheckpoints")
    assert done["rewriteCheckpoints"] == [one]
    assert {each.adapters[0].mac for each in guest(desk).checkpoints} == {parse_mac(now)}
    assert (await desk.address(before))["state"] == "cooling"
    assert (await desk.act("web1", "rewriteCheckpoints"))["rewriteCheckpoints"] == []


async def test_what_is_in_a_guests_memory_is_not_rewritten(desk: Desk) -> None:
    """Story 2.6: after a rollback the guest would go on with the old address, without a network until a restart."""
    await desk.cluster(hosts=1)
    await vm(desk)
    before = await desk.mac("web1-eth0")
    await desk.act("web1", "checkpoint", {"resourceId": "a"})
    await renewed(desk)
    listed = await desk.post(f"{VMS}/web1/rewriteCheckpoints", {"dryRun": True})
    (one,) = listed["properties"]["rewriteCheckpoints"]
    assert one["checkpoint"] == "a" and "memory" in one["left"]
    assert (await desk.act("web1", "rewriteCheckpoints"))["rewriteCheckpoints"] == []
    assert guest(desk).checkpoints[0].adapters[0].mac == parse_mac(before)
    assert (await desk.address(before))["state"] == "retained"


async def test_a_rollback_may_keep_the_addresses_of_now(desk: Desk) -> None:
    """1.7: the checkpoint is rewritten before the host goes back to it."""
    await desk.cluster(hosts=1)
    await vm(desk)
    await desk.act("web1", "checkpoint", {"resourceId": "c"})
    await renewed(desk)
    now = await desk.mac("web1-eth0")
    back = await desk.act("web1", "restore", {"checkpoint": "c", "addresses": "keep"})
    assert [one["outcome"] for one in back["restore"]] == ["kept"]
    assert await desk.mac("web1-eth0") == now
    assert guest(desk).adapters[0].mac == parse_mac(now)


async def test_an_errand_is_done_once_whoever_dies(desk: Desk) -> None:
    """The agent is away when it is asked for, then the controller dies: it is done when both are back, once."""
    await desk.cluster(hosts=1)
    await vm(desk)
    hypervisor = desk.center.hypervisors["host1"]
    hypervisor.verb_seconds = 0.2
    asking = desk.background("POST", f"{VMS}/web1/checkpoint", {"resourceId": "c"})

    async def asked() -> bool:
        return "errand" in (await desk.get(f"{VMS}/web1"))["properties"]

    await desk.eventually(asked)
    await desk.kill_agent("host1")
    await desk.restart()
    asking.cancel()
    await desk.start_agent("host1")

    async def done() -> bool:
        return not await asked()

    await desk.eventually(done)
    hypervisor.verb_seconds = 0.0
    assert [one.name for one in guest(desk).checkpoints] == ["c"]
    await desk.kill_agent("host1")
    await desk.start_agent("host1")
    await desk.eventually(lambda: desk.applied("host1"))
    assert [one.name for one in guest(desk).checkpoints] == ["c"]


async def test_many_rollbacks_are_one_transaction(desk: Desk) -> None:
    """All hosts are asked in one revision; each ends by itself, and one that fails is named and is as it was."""
    await desk.cluster(hosts=2)
    names = [f"vm{n}" for n in range(20)]
    for at, name in enumerate(names):
        await vm(desk, name, f"host{1 + at % 2}")
        await desk.act(name, "checkpoint", {"resourceId": "logon"})
    moved = {name: await desk.mac(f"{name}-eth0") for name in names}
    for name in names:
        await renewed(desk, name)
    desk.center.hypervisors["host2"].failing["restore"] = "no such file"
    first = int((await desk.get("/readyz"))["revision"])
    requests = [{"method": "POST", "path": f"{VMS}/{name}/restore", "body": {"checkpoint": "logon"}} for name in names]
    answer = await desk.post("/weft/v1/batch", {"atomic": True, "requests": requests})
    assert [one["status"] for one in answer["responses"]] == [200] * len(names)
    numbers = {one["body"]["properties"]["errand"]["number"] for one in answer["responses"]}
    assert len(numbers) == len(names)
    for name in names:
        known = await desk.address(moved[name])
        assert first + 1 in [event["revision"] for event in known["history"]]

    async def over() -> bool:
        found = (await desk.get(VMS))["value"]
        return all((each["properties"].get("errand") or {}).get("phase") != "asked" for each in found)

    await desk.eventually(over)
    found = {each["resourceId"]: each["properties"] for each in (await desk.get(VMS))["value"]}
    failed = {name for name, p in found.items() if (p.get("errand") or {}).get("phase") == "failed"}
    assert failed == set(names[1::2])
    for name in names:
        assert (await desk.mac(f"{name}-eth0") == moved[name]) is (name not in failed)


async def test_a_clone_has_copies_of_the_disks(desk: Desk) -> None:
    """1.6, 1.7: its own MAC address when it is made, not when it boots; its host copies the disks."""
    await desk.cluster(hosts=1)
    await vm(desk, disks=[{"path": "/vm/web1.qcow2", "sizeGib": 20}])
    error = await desk.refused("POST", f"{VMS}/web1/clone", {"resourceId": "web2"}, 409)
    assert error["code"] == "MachineIsRunning"
    await desk.act("web1", "stop")
    copy = await desk.act("web1", "clone", {"resourceId": "web2"})
    assert copy["hardware"]["disks"] == [{"path": "/vm/web2.qcow2", "sizeGib": 0, "source": "/vm/web1.qcow2"}]
    assert await desk.mac("web2-eth0") != await desk.mac("web1-eth0")

    async def defined() -> bool:
        return "web2" in desk.center.guests

    await desk.eventually(defined)
    assert desk.center.hypervisors["host1"].shelf.files == {"/vm/web1.qcow2", "/vm/web2.qcow2"}
    assert guest(desk, "web2").adapters[0].mac == parse_mac(await desk.mac("web2-eth0"))


async def test_a_machine_that_never_booted_has_an_address(desk: Desk) -> None:
    """1.4, 1.5: the controller chooses, when the machine is made; its adapter shows no zeros."""
    await desk.cluster(hosts=1)
    await vm(desk, start=False)
    assert guest(desk).adapters[0].mac == parse_mac(await desk.mac("web1-eth0"))
    assert (await desk.counts())["assigned"] == 1


async def test_a_saved_machine_is_resumed(desk: Desk) -> None:
    await desk.cluster(hosts=1)
    await vm(desk)
    before = await desk.mac("web1-eth0")
    assert (await desk.act("web1", "save"))["powerState"] == "Saved"
    assert guest(desk).saved
    assert (await desk.act("web1", "start"))["powerState"] == "Running"
    assert (await desk.mac("web1-eth0"), guest(desk).saved) == (before, False)
