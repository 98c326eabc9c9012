"""Stories of a host whose provider address another machine took while it was down: what it can still do, it does."""

from typing import Any

import pytest

from tests.stories.desk import Desk
from weft.fakes.addresses import DEVICE
from weft.fakes.outside import ProviderLan
from weft.model.values import ip_text, pack_ip

HOST1 = "192.168.1.10"
OTHER = "02-AA-00-00-00-07"
SERVER = "/networking/v1/servers/host1"


@pytest.fixture(autouse=True)
def at_once(asked_at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for of a move for a minute, too."""
    monkeypatch.setattr("weft.control.clockwork.TICK_S", 0.05)
    monkeypatch.setattr("weft.control.machines.MOVE_TIMEOUT_S", 2.0)


async def taken(desk: Desk, policy: str = "perHost") -> tuple[ProviderLan, str]:
    """b1 and b2 on host1, b3 and b4 on hosts of their own. host1 rebooted without the address that its agent gave it,
    and another machine has that."""
    lan = desk.lans["host1"] = ProviderLan()
    lan.carrier = DEVICE
    await desk.cluster(hosts=3)
    for n, host in ((1, "host1"), (2, "host1"), (3, "host2"), (4, "host3")):
        await desk.machine(f"b{n}", host, ip=f"10.1.1.1{n}")
    await desk.eventually_answers("b1", "10.1.1.13", ["b3"])
    switch, address, left = desk.center.switches["host1"], HOST1, []
    if policy != "perHost":
        server = (await desk.get(SERVER))["properties"]
        count = {"providerAddressCount": 2} if policy == "several" else {}
        await desk.put(SERVER, {"properties": server | {"providerAddressPolicy": policy} | count})
        await desk.eventually(lambda: _keeps_its_addresses(desk))
        (address,) = [ip_text(one.address) for one in switch.addresses.found() if one.ours]
        left = [pack_ip(HOST1)]
    await desk.crash("host1")
    lan.claim(address, OTHER)
    switch.restart()
    switch.readdress(left)
    await desk.start_agent("host1")

    async def told() -> bool:
        return OTHER in await words_of(desk)

    await desk.eventually(told)
    return lan, address


async def _keeps_its_addresses(desk: Desk) -> bool:
    return "providerAddressChange" not in (await desk.get(SERVER))["properties"]


async def words_of(desk: Desk) -> str:
    """What host1 says that is wrong."""
    state = (await desk.get(SERVER))["properties"]["configurationState"]
    return f"{state['status']}: " + " ".join(one["message"] for one in state["detailedInfo"])


async def migrate(desk: Desk, machine: str, host: str) -> Any:
    body = {"server": {"resourceRef": f"/servers/{host}"}}
    return await desk.background("POST", f"/weft/v1/virtualMachines/{machine}/migrate", body)


@pytest.mark.parametrize("policy", ["perHost", "perVirtualSubnet"])
async def test_story_x4_a_host_whose_address_was_taken_meanwhile_can_be_emptied(desk: Desk, policy: str) -> None:
    lan, address = await taken(desk, policy)
    await desk.eventually_answers("b1", "10.1.1.12", ["b2"])
    assert await desk.answers("b1", "10.1.1.13") == [], "it uses an address that is another's"
    nic = (await desk.get("/networking/v1/networkInterfaces/b1-eth0"))["properties"]["configurationState"]
    assert nic["status"] == "Failure" and "has no tunnels on this host" in str(nic["detailedInfo"]), nic
    # nothing comes here, and why is said
    refused = await migrate(desk, "b3", "host1")
    words = refused.json()["error"]["message"]
    assert refused.status_code >= 400 and f"provider address {address} is {OTHER}'s already" in words, refused.text
    assert await desk.answers("b3", "10.1.1.14") == ["b4"]
    # others go on
    assert (await migrate(desk, "b3", "host3")).status_code == 200
    assert await desk.answers("b3", "10.1.1.14") == ["b4"]
    answer = await desk.post("/weft/v1/servers/host1/evacuate", {})
    assert (answer["total"], answer["failed"]) == (2, [])
    for n in (1, 2):
        await desk.eventually_answers(f"b{n}", "10.1.1.14", ["b4"])
        await desk.eventually(lambda n=n: _fine(desk, f"b{n}-eth0"))
    # empty, it does what is asked of it still; a subnet's address has gone with the subnet's last machine
    await desk.eventually(lambda: desk.applied("host1"))
    assert (await words_of(desk)).startswith("Failure") is (policy == "perHost")
    lan.give_up(address)
    assert (await migrate(desk, "b3", "host1")).status_code == 200
    assert await desk.answers("b3", "10.1.1.14") == ["b4"]


async def _fine(desk: Desk, interface: str) -> bool:
    return not await desk.failing(interface)


async def test_story_x4_nothing_is_placed_where_its_address_is_anothers(desk: Desk) -> None:
    """Made or failed over, by name it is refused with the reason, of a cluster another host is taken; what is bound
    there starts, and its answer says so."""
    lan, address = await taken(desk)
    words = f"A machine on 'host1' would reach no other host: its provider address {address} is {OTHER}'s already"
    await desk.crash("host3")
    failover = {"server": {"resourceRef": "/servers/host1"}}
    refused = await desk.refused("POST", "/weft/v1/virtualMachines/b4/failover", failover, 409)
    assert words in refused["message"], refused
    new = {"resourceId": "new", "networks": [{"subnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"}}]}
    for name in ("b5", "b6", "b7"):
        await desk.machine(name, "host2", start=False)
    servers = [{"resourceRef": f"/servers/{one}"} for one in ("host1", "host2")]
    await desk.put("/weft/v1/clusters/c", {"properties": {"servers": servers}})
    on = {"server": {"resourceRef": "/servers/host1"}}
    refused = await desk.refused("POST", "/weft/v1/virtualMachines", new | on, 409)
    assert words in refused["message"], refused
    of = {"cluster": {"resourceRef": "/weft/clusters/c"}}
    answer = await desk.post("/weft/v1/virtualMachines", new | of)
    assert answer["properties"]["server"]["resourceRef"] == "/servers/host2", "it has more machines"
    await desk.act("b2", "stop")
    started = await desk.act("b2", "start")
    found = started["configurationState"]
    assert found["status"] == "Failure" and f"{address} is {OTHER}'s already" in str(found["detailedInfo"])
    lan.give_up(address)
    await desk.eventually_answers("b2", "10.1.1.13", ["b3"])
    await desk.post("/weft/v1/virtualMachines/b4/failover", failover)


async def test_story_x4_it_is_given_another_that_nobody_has(desk: Desk) -> None:
    """As what it says advises, its machines running or not; and one that is taken too takes no place."""
    lan, _ = await taken(desk)
    await desk.act("b2", "stop")
    server = (await desk.get(SERVER))["properties"]
    lan.claim("192.168.1.77", OTHER)
    await desk.put(SERVER, {"properties": server | {"providerAddresses": ["192.168.1.77"]}})

    async def both() -> bool:
        return "192.168.1.77" in (await words_of(desk))

    await desk.eventually(both)
    assert (await desk.get(SERVER))["properties"]["providerAddressChange"]["phase"] == "preparing"
    lan.give_up("192.168.1.77")
    await desk.eventually_answers("b1", "10.1.1.13", ["b3"])

    async def over() -> bool:
        return await _keeps_its_addresses(desk) and (await words_of(desk)).startswith("Success")

    await desk.eventually(over)
    await desk.act("b2", "start")
    await desk.eventually_answers("b2", "10.1.1.14", ["b4"])


@pytest.mark.parametrize("policy", ["perHost", "perVirtualSubnet"])
async def test_story_x4_with_one_of_several_it_goes_on_with_one_that_nobody_else_has(desk: Desk, policy: str) -> None:
    """Policy several becomes another: what it goes by is not the lowest, which another machine has."""
    lan, address = await taken(desk, "several")
    server = (await desk.get(SERVER))["properties"]
    assert sorted(server["providerAddresses"], key=pack_ip) == [address, HOST1], "the lowest is taken"
    await desk.put(SERVER, {"properties": server | {"providerAddressPolicy": policy}})
    await desk.eventually(lambda: _keeps_its_addresses(desk))
    await desk.eventually_answers("b1", "10.1.1.13", ["b3"])
    server = (await desk.get(SERVER))["properties"]
    assert (server["primaryProviderAddresses"], len(server["providerAddresses"])) == ([HOST1], 2)
    assert (await migrate(desk, "b3", "host1")).status_code == 200, "a machine that comes has tunnels here"
    assert await desk.answers("b3", "10.1.1.14") == ["b4"]
    # what it reads is written again, and the one that another has goes
    await desk.put(SERVER, {"properties": server})
    await desk.put(SERVER, {"properties": server | {"providerAddresses": [HOST1]}})
    await desk.eventually(lambda: _keeps_its_addresses(desk))
    server = (await desk.get(SERVER))["properties"]
    assert server["providerAddresses"] == [HOST1]
    assert await desk.answers("b3", "10.1.1.14") == ["b4"]
    lan.give_up(address)
