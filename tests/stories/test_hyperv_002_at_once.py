"""Source 002 at its size: desktops of many hosts that log off together."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

import pytest

from tests.stories.by_hand import quick
from tests.stories.hyperv_desk import HyperVDesk, opened
from weft.fakes.hyperv.machine import Vm
from weft.model.values import mac_digits

__all__ = ["quick"]


Shown = dict[str, tuple[str, bool]]
"""MAC and dynamic, by name."""


def shown(vms: Mapping[str, Vm]) -> Shown:
    return {name: (mac_digits(vm.nics[0].mac), vm.nics[0].dynamic) for name, vm in vms.items()}


async def all_follow(desk: HyperVDesk, vms: Mapping[str, Vm]) -> bool:
    """Each is static with what the ledger has for it."""
    now = shown(vms)
    if any(dynamic for _, dynamic in now.values()):
        return False
    known = await desk.macs()
    return all(known.get(f"{name}-eth0") == mac for name, (mac, _) in now.items())


async def all_in(desk: HyperVDesk, power: str) -> bool:
    """The ledger has every machine in this power, with one checkpoint."""
    path = "/weft/v1/virtualMachines"
    while path:
        page = await desk.get(path)
        for one in page["value"]:
            if one["properties"]["powerState"] != power or len(one["properties"]["checkpoints"]) != 1:
                return False
        path = page.get("nextLink") or ""
    return True


async def head(desk: HyperVDesk) -> int:
    return int((await desk.get("/weft/v1/servers/host1/state"))["revision"])


LOOKS = 100
"""At a host, within which what was done to its machines has been followed."""


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("hosts", "each"), [(5, 16), pytest.param(100, 10, marks=pytest.mark.soak)])
async def test_story_2_12_desktops_that_log_off_together_are_little_work(
    hosts: int, each: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each desktop is rolled back to an address that it has no more: every one has it again, in a few revisions, with a
    few looks at each host, and nothing is started. Each host's desktops are a network of their own."""
    monkeypatch.setattr("tests.stories.desk.SOON_S", 600.0)
    # all hosts share this process: the more there are, the less often each is looked at
    pulse = hosts * 0.05
    async with opened(pulse) as desk:
        names = [f"host{number}" for number in range(1, hosts + 1)]

        async def settled(so: Callable[[], Awaitable[bool]]) -> None:
            """As long as it takes until each host was looked at so often, on a machine however slow; between two
            questions about a thousand machines the agents have their turn."""
            begun = {host: desk.shells[host].ran.count("facts") for host in names}
            while not await so():
                looks = min(desk.shells[host].ran.count("facts") - begun[host] for host in names)
                assert looks < LOOKS, f"each host was looked at {looks} times"
                await asyncio.sleep(pulse / 5)

        networks = {f"net-{host}": ("10.1.1.0/24", 6001 + number) for number, host in enumerate(names)}
        pool = ("00-1D-D8-B7-00-00", "00-1D-D8-B7-FF-FF")
        await desk.cluster(hosts=hosts, networks=networks, mac_pool=pool)
        for host in names:
            await desk.take_in(host, subnet={"resourceRef": f"/virtualNetworks/net-{host}/subnets/web"})
        pools = {host: desk.collection(host) for host in names}
        home = {f"{host}-{number}": host for host in names for number in range(each)}
        vms = {name: pools[host].make(name) for name, host in home.items()}
        await settled(lambda: all_follow(desk, vms))
        before = shown(vms)
        for name, host in home.items():
            pools[host].log_on_first(name)
            desk.console(host).stop(vms[name])
        await settled(lambda: all_in(desk, "Off"))
        await renew(desk, home)
        await settled(lambda: all_follow(desk, vms))
        assert not set(before.values()) & set(shown(vms).values())
        for name, host in home.items():
            desk.console(host).start(vms[name])
        await settled(lambda: all_in(desk, "Running"))
        revision, starts = await head(desk), desk.starts()
        looks = {host: desk.shells[host].ran.count("facts") for host in names}
        for name, host in home.items():
            pools[host].log_off(name)
        await settled(lambda: all_follow(desk, vms))
        assert shown(vms) == before
        await settled(lambda: all_in(desk, "Running"))
        assert desk.starts() == starts
        assert all(vm.state == "Running" and not vm.nics[0].cut_off for vm in vms.values())
        assert (await desk.get("/weft/v1/conflicts?kind=activeTwin"))["value"] == []
        assert await head(desk) - revision <= 2 * hosts
        assert max(desk.shells[host].ran.count("facts") - looks[host] for host in names) <= each // 2


async def renew(desk: HyperVDesk, machines: Iterable[str]) -> None:
    """Another address for each of them that is off, in one revision."""
    requests = [
        {
            "method": "POST",
            "path": f"/weft/v1/virtualMachines/{name}/renewMac",
            "body": {"networkInterface": f"{name}-eth0"},
        }
        for name in machines
    ]
    answer = await desk.post("/weft/v1/batch", {"atomic": True, "requests": requests})
    assert {one["status"] for one in answer["responses"]} == {200}
