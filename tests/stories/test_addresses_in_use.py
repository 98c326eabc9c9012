"""Many hosts and few provider addresses: with policy perHostInUse a host has one while something on it needs one."""

from typing import Any

import pytest

from tests.stories.bodies import provider_subnet
from tests.stories.desk import Desk
from weft.fakes.addresses import DEVICE
from weft.fakes.outside import ProviderLan
from weft.model.values import ip_text

LOGICAL = "/networking/v1/logicalNetworks/hnvpa"
POOL = "/weft/v1/logicalNetworks/hnvpa/subnets/pa1/ipPools/pool/usage"
OTHER = "02-AA-00-00-00-07"
IDLE = "nothing here needs one"


pytestmark = pytest.mark.usefixtures("asked_at_once")


def network(last: str, policy: str = "perHostInUse") -> dict[str, Any]:
    subnets = [provider_subnet(1, "192.168.1.0/24", ("192.168.1.10", last))]
    words = {"networkVirtualizationEnabled": True, "providerAddressPolicy": policy}
    return {"properties": words | {"subnets": subnets}}


async def hosts_without_addresses(desk: Desk, hosts: int, last: str) -> None:
    """Their operator gave them none, and named the interface of the provider network to their agents."""
    await desk.cluster(hosts=0)
    await desk.put(LOGICAL, network(last))
    for n in range(1, hosts + 1):
        await desk.put(f"/networking/v1/servers/host{n}", {"properties": {}})
        desk.center.add_host(f"host{n}", [])
        desk.lans[f"host{n}"] = ProviderLan()
        desk.lans[f"host{n}"].carrier = DEVICE
        await desk.start_agent(f"host{n}")


async def server(desk: Desk, host: str) -> Any:
    return (await desk.get(f"/networking/v1/servers/{host}"))["properties"]


def on_interface(desk: Desk, host: str) -> list[tuple[str, bool]]:
    """Each with whether an agent put it there."""
    return [(ip_text(one.address), one.ours) for one in desk.center.switches[host].addresses.found()]


async def test_story_3_10_hosts_share_a_small_pool_by_what_is_on_them(desk: Desk) -> None:
    """Four hosts, three addresses. An idle host has none, and nothing complains of that."""
    await hosts_without_addresses(desk, 4, "192.168.1.12")
    for n in range(1, 5):
        found = await server(desk, f"host{n}")
        assert (found["providerAddresses"], found["noProviderAddress"]) == ([], IDLE)
        assert found["configurationState"]["status"] == "Success", found["configurationState"]
        state = await desk.get(f"/weft/v1/servers/host{n}/state")
        assert (state["problems"], state["noProviderAddress"]) == ([], IDLE)
    await desk.machine("b1", "host1", ip="10.1.1.11")
    await desk.machine("b2", "host2", ip="10.1.1.12")
    await desk.eventually_answers("b1", "10.1.1.12", ["b2"])
    assert [(await server(desk, f"host{n}"))["providerAddresses"] for n in (1, 2)] == [
        ["192.168.1.10"],
        ["192.168.1.11"],
    ]
    assert "noProviderAddress" not in await server(desk, "host1")
    assert on_interface(desk, "host1") == [("192.168.1.10", True)]
    # the next host's is somebody else's: nothing moves there before that is mended
    desk.lans["host3"].claim("192.168.1.12", OTHER)
    moving = desk.background(
        "POST", "/weft/v1/virtualMachines/b2/migrate", {"server": {"resourceRef": "/servers/host3"}}
    )

    async def withheld() -> bool:
        found = await desk.conflicts("foreign")
        return [one["address"] for one in found] == ["192.168.1.12"]

    await desk.eventually(withheld)
    assert on_interface(desk, "host3") == [] and await desk.answers("b1", "10.1.1.12") == ["b2"]
    assert (await server(desk, "host2"))["providerAddresses"] == ["192.168.1.11"], "it is moved from there yet"
    desk.lans["host3"].give_up("192.168.1.12")
    assert (await moving).status_code == 200
    assert await desk.answers("b1", "10.1.1.12") == ["b2"]
    assert (await server(desk, "host3"))["providerAddresses"] == ["192.168.1.12"]
    assert (await server(desk, "host2"))["noProviderAddress"] == IDLE
    await desk.eventually(lambda: _has_none(desk, "host2"))
    usage = await desk.get(POOL)
    assert (usage["assigned"], usage["cooling"], usage["free"]) == (2, 1, 0)
    # said before anything is placed; hosts that have one take more
    await desk.nic("b4-eth0", "blue", "web")
    body = {
        "server": {"resourceRef": "/servers/host4"},
        "networkInterfaces": [{"resourceRef": "/networkInterfaces/b4-eth0"}],
    }
    error = await desk.refused("PUT", "/weft/v1/virtualMachines/b4", {"properties": body})
    assert error["code"] == "PAIpAddressExhausted" and "ipPools/pool" in error["message"]
    assert not await desk.exists("/weft/v1/virtualMachines/b4")
    await desk.vm("b4", "host1", ["b4-eth0"])


async def _has_none(desk: Desk, host: str) -> bool:
    return on_interface(desk, host) == []


async def test_story_3_10_a_host_is_emptied_its_address_goes_with_the_last_and_all_have_one_again(desk: Desk) -> None:
    """Evacuation, a controller that dies, and the policy there and back while machines run."""
    await hosts_without_addresses(desk, 3, "192.168.1.20")
    for n, host in ((1, "host1"), (2, "host2"), (3, "host2")):
        await desk.machine(f"b{n}", host, ip=f"10.1.1.1{n}")
    await desk.eventually_answers("b1", "10.1.1.12", ["b2"])
    answer = await desk.post("/weft/v1/servers/host2/evacuate", {"to": [{"resourceRef": "/servers/host3"}]})
    assert (answer["total"], answer["failed"]) == (2, [])
    assert (await server(desk, "host2"))["noProviderAddress"] == IDLE
    await desk.eventually(lambda: _has_none(desk, "host2"))
    for n in (2, 3):
        assert await desk.answers("b1", f"10.1.1.1{n}") == [f"b{n}"]
    before = {host: (await server(desk, host))["providerAddresses"] for host in ("host1", "host3")}
    await desk.restart()
    for host in ("host1", "host2", "host3"):
        await desk.eventually(lambda host=host: desk.applied(host))
    assert {host: (await server(desk, host))["providerAddresses"] for host in before} == before
    await desk.put(LOGICAL, network("192.168.1.20", "perHost"))
    assert len((await server(desk, "host2"))["providerAddresses"]) == 1
    await desk.put(LOGICAL, network("192.168.1.20"))
    assert (await server(desk, "host2"))["noProviderAddress"] == IDLE
    for host, own in before.items():
        found = await server(desk, host)
        assert found["providerAddresses"] == own and "providerAddressChange" not in found
    # what was read is written again without asking for an address
    await desk.put("/networking/v1/servers/host2", {"properties": await server(desk, "host2") | {"rackSlot": "7"}})
    assert (await server(desk, "host2"))["noProviderAddress"] == IDLE
    assert await desk.answers("b1", "10.1.1.12") == ["b2"]
