"""Source 000: a machine made as a whole, on a hypervisor that defines machines; nothing is left of what fails."""

import asyncio
from typing import Any

import pytest

from tests.stories.desk import Desk
from weft.agent.hypervisors import Define, Start
from weft.model.values import parse_mac

VMS = "/weft/v1/virtualMachines"
WEB = {"resourceRef": "/virtualNetworks/blue/subnets/web"}
DISK = {"path": "/vm/web1.qcow2", "sizeGib": 20}


def body(name: str = "web1", server: str = "host1", **more: Any) -> dict[str, Any]:
    asked = {"resourceId": name, "server": server, "cpu": 4, "memoryMiB": 4096, "disks": [DISK]}
    return asked | {"networks": [{"subnet": WEB}]} | more


async def nothing_is_left(desk: Desk, name: str = "web1") -> None:
    """No machine, no interface, no address in use, on the ledger or on a host."""
    await desk.missing(f"{VMS}/{name}")
    assert (await desk.get("/networking/v1/networkInterfaces"))["value"] == []
    assert set(await desk.counts()) <= {"free", "cooling"}
    assert name not in desk.center.guests
    assert not any(hypervisor.shelf.files for hypervisor in desk.center.hypervisors.values())


async def test_a_machine_is_made_in_one_call(desk: Desk) -> None:
    """0.8, 0.15: granted, defined, compared, bound and started; no dummy adapter, no start to learn an address."""
    await desk.cluster()
    made = (await desk.post(VMS, body()))["properties"]
    assert made["powerState"] == "Running"
    assert "creation" not in made
    guest = desk.center.guests["web1"]
    assert guest.host == "host1"
    assert guest.adapters[0].mac == parse_mac(await desk.mac("web1-eth0"))
    assert made["hypervisor"] == {"type": "fake", "id": "id-of-web1"}
    assert desk.center.hypervisors["host1"].shelf.files == {"/vm/web1.qcow2"}
    await desk.post(VMS, body("web2", "host2"))
    assert await desk.answers("web1", await desk.ip("web2-eth0")) == ["web2"]


async def test_it_starts_only_when_its_port_is_bound(desk: Desk) -> None:
    """0.17 to 0.19: the order on the host is define, bind, start, and each waits for what the one before it shows."""
    await desk.cluster(hosts=1)
    await desk.post(VMS, body(start=False))
    hypervisor = desk.center.hypervisors["host1"]
    assert [type(verb) for verb in hypervisor.carried_out] == [Define]
    assert desk.center.guests["web1"].host == ""
    await desk.act("web1", "start")
    started = [verb for verb in hypervisor.carried_out if isinstance(verb, Start)]
    assert [port.mac for port in started[0].ports] == [parse_mac(await desk.mac("web1-eth0"))]


async def test_what_the_hypervisor_made_of_it_is_read_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.7: an adapter with another MAC address than was set is an error, not a success."""
    monkeypatch.setattr("weft.control.creations.STEP_TIMEOUT_S", 0.5)
    await desk.cluster(hosts=1)
    desk.center.hypervisors["host1"].draws = [parse_mac("00-15-5D-00-00-01")]
    error = await desk.refused("POST", VMS, body(), 409)
    assert "has 00-15-5D-00-00-01 instead of 00-1D-D8-B7-1C-00" in error["message"]
    await nothing_is_left(desk)


@pytest.mark.parametrize("step", ["define", "start"])
async def test_a_half_made_machine_goes_as_a_whole(desk: Desk, step: str) -> None:
    """0.16: its host fails at a step; machine, interfaces, addresses and disks are given back, and a retry makes it."""
    await desk.cluster(hosts=1)
    hypervisor = desk.center.hypervisors["host1"]
    hypervisor.failing[step] = "no memory"
    error = await desk.refused("POST", VMS, body(), 409)
    assert error["message"].endswith(": no memory. Nothing of it is left.")
    await nothing_is_left(desk)
    del hypervisor.failing[step]
    assert (await desk.post(VMS, body()))["properties"]["powerState"] == "Running"


@pytest.mark.parametrize("start", [False, True])
async def test_it_is_made_when_its_host_is_done_with_it(desk: Desk, start: bool) -> None:
    """0.16: it is on its host's list while its disk is copied still; if that fails, it was never made."""
    await desk.cluster(hosts=1)
    hypervisor = desk.center.hypervisors["host1"]
    hypervisor.disks_whole = asyncio.Event()
    asking = desk.background("POST", VMS, body(start=start))

    async def listed() -> bool:
        told = await desk.get("/weft/v1/servers/host1/machines")
        return [one["name"] for one in told["value"]] == ["web1"]

    await desk.eventually(listed)
    assert (await desk.get(f"{VMS}/web1"))["properties"]["creation"]["phase"] == "defining"
    hypervisor.failing["disks"] = "no space is left"
    hypervisor.disks_whole.set()
    answer = await asking
    assert answer.status_code == 409
    assert "no space is left" in answer.text and "Nothing of it is left" in answer.text
    await nothing_is_left(desk)


@pytest.mark.parametrize("start", [False, True])
async def test_a_disk_whose_agent_died_while_it_was_copied_is_made_before_the_machine_counts(
    desk: Desk, start: bool
) -> None:
    """0.16: the next agent sees that it was not made to the end, and goes on with it."""
    await desk.cluster(hosts=1)
    hypervisor = desk.center.hypervisors["host1"]
    hypervisor.disks_whole = asyncio.Event()
    asking = desk.background("POST", VMS, body(start=start))

    async def begun() -> bool:
        return hypervisor.shelf.unfinished == {"web1"}

    async def told() -> bool:
        state = await desk.get("/weft/v1/servers/host1/machines")
        return await desk.applied("host1") and [one["name"] for one in state["value"]] == ["web1"]

    await desk.eventually(begun)
    await desk.kill_agent("host1")
    await desk.start_agent("host1")
    await desk.eventually(told)
    assert (await desk.get(f"{VMS}/web1"))["properties"]["creation"]["phase"] == "defining"
    hypervisor.disks_whole.set()
    assert (await asking).status_code == 201
    assert hypervisor.shelf.unfinished == set() and hypervisor.shelf.made["web1"] == {DISK["path"]}


async def test_a_second_time_answers_what_is_there(desk: Desk) -> None:
    """0.22: the same command is idempotent; another under its name is refused."""
    await desk.cluster(hosts=1)
    first, beside = await asyncio.gather(desk.post(VMS, body()), desk.post(VMS, body()))
    assert beside["instanceId"] == first["instanceId"]
    again = await desk.post(VMS, body())
    assert again["instanceId"] == first["instanceId"]
    assert (await desk.counts())["assigned"] == 1
    error = await desk.refused("POST", VMS, body(cpu=8), 409)
    assert error["code"] == "AlreadyExists"


async def test_each_adapter_has_a_port_of_its_own(desk: Desk) -> None:
    """0.21: two adapters, each bound to its own interface, in the order asked for."""
    await desk.cluster(hosts=1)
    red = {"resourceRef": "/virtualNetworks/red/subnets/web"}
    await desk.post(VMS, body(networks=[{"subnet": WEB}, {"subnet": red, "privateIPAddress": "10.1.1.77"}]))
    adapters = desk.center.guests["web1"].adapters
    nics = [await desk.get(f"/networking/v1/networkInterfaces/web1-eth{n}") for n in (0, 1)]
    assert [one.instance_id for one in adapters] == [nic["instanceId"] for nic in nics]
    assert len({one.mac for one in adapters}) == 2
    assert await desk.ip("web1-eth1") == "10.1.1.77"


async def test_a_mac_address_is_one_in_any_notation(desk: Desk) -> None:
    """0.20"""
    await desk.cluster(hosts=1)
    await desk.post(VMS, body(networks=[{"subnet": WEB, "privateMacAddress": "001d.d8b7.1cff"}]))
    assert await desk.mac("web1-eth0") == "001DD8B71CFF"
    assert desk.center.guests["web1"].adapters[0].mac == parse_mac("00:1D:D8:B7:1C:FF")


async def test_it_keeps_what_it_has_wherever_it_runs(desk: Desk) -> None:
    """0.2: moved, and failed over after its host has died: same MAC and IP address, same disk."""
    await desk.cluster(hosts=2)
    await desk.post(VMS, body())
    await desk.post(VMS, body("web2", "host2", disks=[]))
    before = (await desk.mac("web1-eth0"), await desk.ip("web1-eth0"))
    await desk.act("web1", "migrate", {"server": "host2"})
    assert await desk.answers("web2", before[1]) == ["web1"]
    await desk.act("web1", "migrate", {"server": "host1"})
    await desk.crash("host1")
    shelf = desk.center.hypervisors["host2"].shelf
    shelf.files.add("/vm/web1.qcow2")
    await desk.act("web1", "failover", {"server": "host2", "fenced": True})
    await desk.eventually_answers("web2", before[1], ["web1"])
    assert (await desk.mac("web1-eth0"), await desk.ip("web1-eth0")) == before
    assert shelf.made.get("web1", set()) == set()


async def test_a_running_machine_moves_between_hypervisors_of_one_kind(desk: Desk) -> None:
    """Another could not take it: refused at once, and it runs where it did."""
    await desk.cluster(hosts=2)
    await desk.post(VMS, body())
    await of_another_kind(desk, "host2")
    error = await desk.refused("POST", f"{VMS}/web1/migrate", {"server": "host2"}, 409)
    assert "'host1' drives fake and that of 'host2' lab" in error["message"]
    assert desk.center.guests["web1"].host == "host1"


@pytest.mark.parametrize(("kind", "said"), [("lab", "lab"), ("libvirt", "libvirt"), ("", "no hypervisor")])
async def test_a_machine_that_is_off_moves_between_hypervisors_of_one_kind(desk: Desk, kind: str, said: str) -> None:
    """Its host would remove it and its disks be passed over on the other; one that no host has may go anywhere."""
    await desk.cluster(hosts=2)
    await desk.post(VMS, body(start=False))
    await desk.machine("record1", "host1", start=False)
    await of_another_kind(desk, "host2", kind)
    error = await desk.refused("POST", f"{VMS}/web1/migrate", {"server": "host2"}, 409)
    assert f"'host1' drives fake and that of 'host2' {said}: 'web1' would go" in error["message"]
    there = (await desk.get(f"{VMS}/web1"))["properties"]["server"]
    assert there["resourceRef"].endswith("/host1") and "host1" in desk.center.guests["web1"].prepared
    await desk.act("record1", "migrate", {"server": "host2"})


async def of_another_kind(desk: Desk, host: str, kind: str = "lab") -> None:
    """The host's agent comes back with another hypervisor."""
    await desk.kill_agent(host)
    desk.kind = kind
    await desk.start_agent(host)


async def test_the_three_strategies_of_the_source(desk: Desk) -> None:
    """0.8, 0.15: central by default, from the host's own range, or any free one; each in the same one call."""
    await desk.cluster(hosts=1)
    await desk.put("/weft/v1/addressPlans/plan1", {"properties": {"prefix": "0A-15-5D"}})
    server = await desk.get("/networking/v1/servers/host1")
    server["properties"] |= {"addressPlan": {"resourceRef": "/weft/addressPlans/plan1"}, "clusterNumber": 3}
    await desk.put("/networking/v1/servers/host1", {"properties": server["properties"]})
    for name, strategy in (("a", "central"), ("b", "hostRange"), ("c", "random")):
        await desk.post(VMS, body(name, disks=[], networks=[{"subnet": WEB, "strategy": strategy}]))
    assert await desk.mac("a-eth0") == "001DD8B71C00"
    assert (await desk.mac("b-eth0")).startswith("0A155D03")
    assert (await desk.mac("c-eth0")).startswith("001DD8B7")


async def test_a_machine_goes_to_a_server_of_its_cluster(desk: Desk) -> None:
    """Connected servers first, then the one with least machines; the same request again answers the same machine."""
    await desk.cluster(hosts=3)
    refs = [{"resourceRef": f"/servers/host{n}"} for n in (1, 2, 3)]
    await desk.put("/weft/v1/clusters/c1", {"properties": {"servers": refs}})
    await desk.kill_agent("host1")
    asked = [body(f"vm{n}", disks=[]) | {"server": None, "cluster": "c1"} for n in range(4)]
    made = [(await desk.post(VMS, each))["properties"]["server"]["resourceRef"] for each in asked]
    assert made == [f"/servers/host{n}" for n in (2, 3, 2, 3)]
    assert (await desk.post(VMS, asked[0]))["properties"]["server"]["resourceRef"] == "/servers/host2"


async def test_a_controller_killed_in_the_middle_goes_on(desk: Desk) -> None:
    """0.16: it dies while the host defines; at its next start the machine is made to the end."""
    await desk.cluster(hosts=1)
    desk.center.hypervisors["host1"].verb_seconds = 0.5
    asking = desk.background("POST", VMS, body())
    await desk.eventually(lambda: desk.exists(f"{VMS}/web1"))
    await desk.kill_agent("host1")
    await desk.restart()
    asking.cancel()
    await desk.start_agent("host1")

    async def runs() -> bool:
        return bool((await desk.get(f"{VMS}/web1"))["properties"]["powerState"] == "Running")

    await desk.eventually(runs)

    async def done() -> bool:
        return "creation" not in (await desk.get(f"{VMS}/web1"))["properties"]

    await desk.eventually(done)


async def test_a_machine_that_is_being_made_is_not_deleted(desk: Desk) -> None:
    await desk.cluster(hosts=1)
    desk.center.hypervisors["host1"].verb_seconds = 0.3
    asking = desk.background("POST", VMS, body())
    await desk.eventually(lambda: desk.exists(f"{VMS}/web1"))
    error = await desk.refused("DELETE", f"{VMS}/web1", None, 409)
    assert error["code"] == "AnotherOperationInProgress"
    assert (await asking).status_code == 201


async def test_a_host_that_is_away_takes_no_machine(desk: Desk) -> None:
    await desk.cluster(hosts=1)
    await desk.kill_agent("host1")
    error = await desk.refused("POST", VMS, body(), 409)
    assert error["code"] == "ServerNotReady"
    await nothing_is_left(desk)


async def test_a_host_that_falls_silent_gives_it_back_when_it_returns(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0.16: it is told so, nobody else is given its addresses, and when the host is back nothing is left of it."""
    monkeypatch.setattr("weft.control.creations.STEP_TIMEOUT_S", 0.3)
    monkeypatch.setattr("weft.control.creations.UNDO_TIMEOUT_S", 0.3)
    await desk.cluster(hosts=1)
    desk.center.hypervisors["host1"].verb_seconds = 0.2
    asking = desk.background("POST", VMS, body())
    await desk.eventually(lambda: desk.exists(f"{VMS}/web1"))
    await desk.kill_agent("host1")
    answer = await asking
    assert (
        answer.status_code == 409
        and "it goes, with all that it was given, when it is gone there" in answer.text.lower()
    )
    again = (await desk.refused("POST", VMS, body(), 409))["message"]
    creation = (await desk.get(f"{VMS}/web1"))["properties"]["creation"]
    assert f"it waits since {creation['since']} for the agent of host1 to come back" in again
    assert "weft host remove host1 --force" in again
    other = await desk.refused("POST", VMS, body(cpu=7), 409)
    assert (other["code"], f"on host1 since {creation['since']}" in other["message"]) == (
        "AnotherOperationInProgress",
        True,
    )
    assert (await desk.get(f"{VMS}/web1"))["properties"]["creation"]["phase"] == "undoing"
    assert (await desk.counts())["assigned"] == 1
    await desk.restart()
    await desk.start_agent("host1")

    async def gone() -> bool:
        return not await desk.exists(f"{VMS}/web1")

    await desk.eventually(gone)
    await nothing_is_left(desk)


async def test_a_delete_takes_the_disks_that_were_made(desk: Desk) -> None:
    """Deleting answers when the host has nothing of it; files that were there before stay."""
    await desk.cluster(hosts=1)
    shelf = desk.center.hypervisors["host1"].shelf
    shelf.files.add("/vm/data.qcow2")
    disks = [DISK, {"path": "/vm/data.qcow2"}]
    await desk.post(VMS, body(disks=disks))
    await desk.delete(f"{VMS}/web1")
    await desk.missing(f"{VMS}/web1")
    assert shelf.files == {"/vm/data.qcow2"}
    assert "web1" not in desk.center.guests
    await desk.post(VMS, body("web2", disks=disks))
    await desk.delete(f"{VMS}/web2?keepDisks=true")
    assert shelf.files == {"/vm/data.qcow2", "/vm/web1.qcow2"}
