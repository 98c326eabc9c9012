"""Guests that bring addresses of their own ("guest specified IP"): what a cluster inside guests needs, and no more."""

from typing import Any

from msgspec.structs import replace

from tests.stories.desk import Desk
from weft.fakes import packet as p
from weft.model.values import pack_ip

VIP = "10.1.1.200"
WEB = "/networking/v1/virtualNetworks/blue/subnets/web"


async def two_nodes_and_a_client(desk: Desk) -> None:
    """node1 and client on host1, node2 on host2, in a subnet whose guests may bring two addresses each."""
    await desk.cluster(networks={"blue": ("10.1.1.0/24", 6001)})
    guests = {"enabled": True, "maximumPerInterface": 2}
    web = {"addressPrefix": "10.1.1.0/24", "virtualSubnetId": 6001, "guestSpecifiedAddresses": guests}
    await desk.put(WEB, {"properties": web})
    for number, (name, host) in enumerate({"node1": "host1", "node2": "host2", "client": "host1"}.items()):
        await desk.machine(name, host, ip=f"10.1.1.1{number}")
    await desk.eventually_answers("client", "10.1.1.11", ["node2"])


def take(desk: Desk, machine: str, address: str) -> None:
    """`ip address add` inside the guest."""
    guest = desk.center.guests[machine]
    adapter = guest.adapters[0]
    if address not in _texts(adapter.addresses):
        guest.adapters = (replace(adapter, addresses=(*adapter.addresses, (pack_ip(address), 24))), *guest.adapters[1:])


def drop(desk: Desk, machine: str, address: str) -> None:
    guest = desk.center.guests[machine]
    adapter = guest.adapters[0]
    left = tuple(one for one in adapter.addresses if one[0] != pack_ip(address))
    guest.adapters = (replace(adapter, addresses=left), *guest.adapters[1:])


def _texts(addresses: Any) -> list[str]:
    return [".".join(map(str, one)) for one, _ in addresses]


def announce(desk: Desk, machine: str, address: str) -> None:
    """A gratuitous ARP, as every cluster sends it when a node takes an address."""
    take(desk, machine, address)
    mac = desk.center.guests[machine].adapters[0].mac
    desk.center.send(machine, p.arp_request(mac, address, address))


async def learnt(desk: Desk, machine: str) -> list[str]:
    nic = await desk.get(f"/networking/v1/networkInterfaces/{machine}-eth0")
    return [one["ipAddress"] for one in nic["properties"].get("learnedIPAddresses", [])]


async def test_the_address_of_a_cluster_goes_to_the_node_that_announces_it(desk: Desk) -> None:
    await two_nodes_and_a_client(desk)
    assert await desk.answers("client", VIP) == []
    announce(desk, "node1", VIP)
    await desk.eventually_answers("client", VIP, ["node1"])
    assert await learnt(desk, "node1") == [VIP]
    policy = await desk.get("/weft/v1/servers/host2/policy")
    assert {one["customerAddress"]: one["type"] for one in policy["lookupRecords"]}[VIP] == "Dynamic"
    told = await desk.post("/weft/v1/trace", {"from": "client-eth0", "to": VIP})
    assert told["delivered"] and "learnt address" in [one["stage"] for one in told["path"]]
    drop(desk, "node1", VIP)
    announce(desk, "node2", VIP)
    await desk.eventually_answers("client", VIP, ["node2"])
    assert (await learnt(desk, "node1"), await learnt(desk, "node2")) == ([], [VIP])
    entry = await desk.address(VIP)
    assert [(one["event"], one["machine"], one["host"]) for one in entry["history"]] == [
        ("learnt", "node1", "host1"),
        ("takenOver", "node2", "host2"),
    ]


async def test_it_goes_along_when_its_machine_moves_and_stays_over_restarts(desk: Desk) -> None:
    await two_nodes_and_a_client(desk)
    announce(desk, "node1", VIP)
    await desk.eventually_answers("client", VIP, ["node1"])
    since = (await desk.get("/networking/v1/networkInterfaces/node1-eth0"))["properties"]["learnedIPAddresses"]
    await desk.act("node1", "migrate", {"server": {"resourceRef": "/servers/host2"}})
    assert await desk.answers("client", VIP) == ["node1"]
    await desk.kill_agent("host2")
    await desk.restart()
    await desk.start_agent("host2")
    assert await desk.answers("client", VIP) == ["node1"]
    nic = await desk.get("/networking/v1/networkInterfaces/node1-eth0")
    assert nic["properties"]["learnedIPAddresses"] == since


async def test_what_a_guest_may_not_have_it_gets_not_and_that_is_seen(desk: Desk) -> None:
    """The gateway's, a neighbour's, one too many: dropped as ever, refused with the reason, shown while it lasts."""
    await two_nodes_and_a_client(desk)
    announce(desk, "node1", "10.1.1.201")
    announce(desk, "node1", VIP)
    await desk.eventually_answers("client", VIP, ["node1"])
    for address in ("10.1.1.11", "10.1.1.1", "10.1.1.202"):
        announce(desk, "node1", address)

    async def all_three() -> bool:
        return len(await desk.conflicts("guestAddress")) == 3

    await desk.eventually(all_three)
    found = {one["address"]: one for one in await desk.conflicts("guestAddress")}
    assert "gateway" in found["10.1.1.1"]["remedy"]
    assert "maximumPerInterface" in found["10.1.1.202"]["remedy"]
    assert [one["resourceRef"] for one in found["10.1.1.11"]["holders"]] == [
        "/networkInterfaces/node2-eth0",
        "/networkInterfaces/node1-eth0",
    ]
    assert await desk.answers("client", "10.1.1.11") == ["node2"]
    assert desk.center.send("node1", p.echo((0, 0), ("10.1.1.11", "10.1.1.12"), "spoof")) == []
    refused = [one for one in (await desk.address("10.1.1.11"))["history"] if one["event"] == "refused"]
    assert [(one["holder"], one["times"]) for one in refused] == [("/networkInterfaces/node1-eth0", 1)]
    taken = await desk.refused(
        "PUT", "/networking/v1/networkInterfaces/x", desk.nic_body("blue", "web", ip=VIP), status=409
    )
    assert "whose guest brought it" in taken["message"]


async def test_two_nodes_that_both_think_they_have_it_are_named(desk: Desk) -> None:
    """A split cluster: the address does not go back and forth for ever, and both are named."""
    await two_nodes_and_a_client(desk)
    announce(desk, "node1", VIP)
    await desk.eventually_answers("client", VIP, ["node1"])

    async def contested() -> bool:
        holders = [sorted(await learnt(desk, node)) for node in ("node1", "node2")]
        announce(desk, "node2" if holders[0] else "node1", VIP)
        found = await desk.conflicts("guestAddress")
        return any("both announce" in one["remedy"] for one in found)

    await desk.eventually(contested)
    events = [one["event"] for one in (await desk.address(VIP))["history"]]
    assert events.count("takenOver") == 4
    (one,) = [each for each in await desk.conflicts("guestAddress") if each["address"] == VIP]
    assert sorted(each["resourceRef"] for each in one["holders"]) == [
        "/networkInterfaces/node1-eth0",
        "/networkInterfaces/node2-eth0",
    ]


async def test_an_operator_makes_a_subnet_or_an_interface_forget(desk: Desk) -> None:
    await two_nodes_and_a_client(desk)
    announce(desk, "node1", VIP)
    await desk.eventually_answers("client", VIP, ["node1"])
    drop(desk, "node1", VIP)
    await desk.post(f"/weft/v1/addresses/{VIP}/release", {"reason": "the service has gone"})
    assert await learnt(desk, "node1") == []
    await desk.eventually_answers("client", VIP, [])
    announce(desk, "node2", VIP)
    await desk.eventually_answers("client", VIP, ["node2"])
    await desk.put(WEB, {"properties": {"addressPrefix": "10.1.1.0/24", "virtualSubnetId": 6001}})
    assert await learnt(desk, "node2") == []
    await desk.eventually_answers("client", VIP, [])
    assert (await desk.address(VIP))["state"] == "cooling"
