"""The demo's steps, the same on every stage: each says what is true, sees for itself, and tells how it was seen.

A step raises NotSo if it is not true. `see` takes one line of evidence.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from weft.lab.demo_life import copies_never_run_twice, names_a_stranger, rolls_back_without_duplicate
from weft.lab.demo_stage import Lie, Pings, Stage
from weft.lab.demo_watch import FIRST, SECOND, See, check, interface
from weft.model.values import GATEWAY_DUMMY_PROVIDER_ADDRESS, ip_text, mac_dashes, parse_mac
from weft.wire.client import NETWORKING, WEFT, Client

Step = tuple[str, Callable[[Stage, See], Awaitable[None]]]

HOSTS = {"host1": "192.168.1.10", "host2": "192.168.2.20"}
"""With their provider addresses."""
MACHINES = {"blue1": "host1", "blue2": "host2", "bluedb": "host2", "red1": "host1", "red2": "host2"}
"""With the hosts they begin on."""
VSIDS = {"blue": 6001, "red": 5001}
MOVE_PINGS, MOVE_INTERVAL = 400, 0.01
OUTAGE_PINGS = 300
COUNTED_SECONDS = 30.0
"""How long a counter may take from the switch to the API."""


async def machine(client: Client, name: str) -> dict[str, Any]:
    properties: dict[str, Any] = (await client.get(f"{WEFT}/virtualMachines/{name}"))["properties"]
    return properties


async def granted_before_boot(stage: Stage, see: See) -> None:
    seen: set[str] = set()
    for name in MACHINES:
        power = (await machine(stage.client, name))["powerState"]
        check(power == "Off", f"{name} is {power} already")
        mac, address = await interface(stage.client, name)
        check(mac.startswith("00-1D-D8-B7-1C-"), f"{name}: {mac} is not of pool1")
        check(mac not in seen, f"{mac} was granted twice")
        seen.add(mac)
        see(f"{name:<7} {mac}  {address:<10} powerState {power}   (GET networkInterfaces/{name}-eth0)")


async def boots_with_grants(stage: Stage, see: See) -> None:
    await asyncio.gather(*(stage.client.post(f"{WEFT}/virtualMachines/{name}/start", {}) for name in MACHINES))
    for name in MACHINES:
        granted = await interface(stage.client, name)
        own = await stage.guests.identity(name)
        check(own.mac == granted[0] and granted[1] in own.addresses, f"{name} has {own}, granted was {granted}")
    see(f"{len(MACHINES)} machines started; in each, eth0 has the MAC and the address granted")


async def records_on_hosts(stage: Stage, see: See) -> None:
    for host in HOSTS:
        records = lookups(await stage.client.get(f"{WEFT}/servers/{host}/policy"))
        for name, home in MACHINES.items():
            mac, address = await interface(stage.client, name)
            vsid = 6002 if name == "bluedb" else VSIDS[name.rstrip("12")]
            wanted = (vsid, address, mac, HOSTS[home])
            check(wanted in records, f"{host} lacks {wanted}; it has {sorted(records)}")
        see(f"{host}: {len(records)} lookup records (VSID, customer address, MAC, provider address), such as")
        for vsid, address, mac, provider in sorted(records)[:2]:
            see(f"       {vsid}  {address:<10}  {mac}  {provider}")


def lookups(policy: Any) -> set[tuple[int, str, str, str]]:
    """(VSID, customer address, MAC, provider address) of the lookup records in a host's policy, gateways left out."""
    return {
        (
            record["virtualSubnetId"],
            record["customerAddress"],
            mac_dashes(parse_mac(record["macAddress"])),
            record["providerAddress"],
        )
        for record in policy["lookupRecords"]
        if record["providerAddress"] != ip_text(GATEWAY_DUMMY_PROVIDER_ADDRESS)
    }


async def tenants_reach_themselves(stage: Stage, see: See) -> None:
    for tenant in VSIDS:
        pings = await stage.guests.ping(f"{tenant}1", SECOND, 5, 0.05)
        check(pings.received == pings.sent, f"{tenant}1: {pings.received} of {pings.sent} came back")
        check(pings.ttls == (64,), f"{tenant}1: TTL {pings.ttls}, not 64: it did not stay in its subnet")
        who = await stage.guests.ask(f"{tenant}1", [SECOND])
        check(who[SECOND] == f"{tenant}2", f"at {SECOND}, {tenant}1 finds {who[SECOND] or 'nobody'}")
        see(f"{tenant}1 -> {SECOND}: {pings.received} of {pings.sent} pings, TTL 64; who answers there: {who[SECOND]}")


async def tenants_never_meet(stage: Stage, see: See) -> None:
    _, database = await interface(stage.client, "bluedb")
    asked = await asyncio.gather(*(stage.guests.ask(name, [FIRST, SECOND, database]) for name in MACHINES))
    for name, answers in zip(MACHINES, asked, strict=True):
        tenant = "blue" if name.startswith("blue") else "red"
        others = [who for who in answers.values() if who and not who.startswith(tenant)]
        check(not others, f"{name} was answered by {others}")
        check(tenant == "blue" or not answers[database], f"{name} reached Blue's {database}")
    for name in MACHINES:
        tenant = "blue" if name.startswith("blue") else "red"
        strangers = {who for who in await stage.strangers.heard(name) if not who.startswith(tenant)}
        check(not strangers, f"{name} heard {strangers}")
    see(f"every machine asked {FIRST}, {SECOND} and {database} who is there: only its own tenant ever answered,")
    see("and no machine was ever asked by the other tenant (each keeps a list of who asked)")


async def key_on_the_wire(stage: Stage, see: See) -> None:
    for tenant, vsid in VSIDS.items():

        async def talk(name: str = f"{tenant}1") -> None:
            for _ in range(4):
                await stage.guests.ask(name, [SECOND])
            await stage.guests.ping(name, SECOND, 3, 0.02)

        seen = [packet for packet in await stage.fabric.wire(talk()) if packet.inner.source in (FIRST, SECOND)]
        check(seen, f"no NVGRE packet of {tenant} was captured")
        wrong = [f"{packet.key:#x}" for packet in seen if packet.vsid != vsid]
        check(not wrong, f"{tenant}: keys {wrong} are not VSID {vsid}")
        ends = {(packet.source, packet.destination) for packet in seen}
        check(ends <= {tuple(HOSTS.values()), tuple(reversed(HOSTS.values()))}, f"outer addresses {ends}")
        keys = sorted({packet.key for packet in seen})
        shown = ", ".join(f"{key:#x}" for key in keys)
        see(f"{tenant}: {len(seen)} GRE packets, key >> 8 = {vsid} in all; keys {shown}")
        see(f"       FlowID (low byte), one per flow: {', '.join(str(key & 255) for key in keys)}")


async def second_subnet_routed(stage: Stage, see: See) -> None:
    _, address = await interface(stage.client, "bluedb")
    pings = await stage.guests.ping("blue1", address, 5, 0.05)
    check(pings.received == pings.sent, f"{pings.received} of {pings.sent} came back from {address}")
    check(pings.ttls == (63,), f"TTL {pings.ttls}, not 63")
    see(f"blue1 -> {address} (bluedb, VSID 6002): {pings.received} of {pings.sent} pings, TTL 63: one router between")


async def spoofed_mac(stage: Stage, see: See) -> None:
    _, address = await interface(stage.client, "blue1")
    await _refused(stage, see, Lie("blue1", "blue2", mac="02-00-00-00-0B-AD", address=address))


async def spoofed_address(stage: Stage, see: See) -> None:
    mac, _ = await interface(stage.client, "blue1")
    await _refused(stage, see, Lie("blue1", "blue2", mac=mac, address="10.1.1.99"))


async def _refused(stage: Stage, see: See, lie: Lie) -> None:
    before = await _drops(stage.client, "host1")
    arrived = await stage.strangers.lie(lie)
    check(arrived == 0, f"{arrived} of {lie.count} frames from {lie.mac} {lie.address} arrived at {lie.victim}")
    until = asyncio.get_running_loop().time() + COUNTED_SECONDS
    while True:
        after = await _drops(stage.client, "host1")
        counted = {name: after[name] - before.get(name, 0) for name in after if name.startswith("spoofed")}
        if sum(counted.values()) >= lie.count:
            break
        check(asyncio.get_running_loop().time() < until, f"{lie.count} frames were sent, counted are {counted}")
        await asyncio.sleep(0.1)
    names = ", ".join(f"{name} +{count}" for name, count in counted.items() if count)
    see(f"{lie.count} pings from {lie.mac} {lie.address}: 0 arrived at {lie.victim}; host1 counted {names}")


async def _drops(client: Client, host: str) -> dict[str, int]:
    state = await client.get(f"{WEFT}/servers/{host}/state")
    return dict(state.get("drops") or {})


async def moves_without_loss(stage: Stage, see: See) -> None:
    before = await interface(stage.client, "blue2"), (await stage.guests.identity("blue2"))
    loop = asyncio.get_running_loop()
    took = 0.0

    async def move() -> None:
        nonlocal took
        await asyncio.sleep(0.8)
        began = loop.time()
        await stage.client.post(f"{WEFT}/virtualMachines/blue2/migrate", {"server": {"resourceRef": "/servers/host1"}})
        took = loop.time() - began

    pings, _ = await asyncio.gather(stage.guests.ping("blue1", SECOND, MOVE_PINGS, MOVE_INTERVAL), move())
    server = (await machine(stage.client, "blue2"))["server"]["resourceRef"]
    check(server.lower().endswith("/host1"), f"blue2 is on {server}")
    check(pings.received == pings.sent, f"{pings.sent - pings.received} of {pings.sent} pings were lost")
    after = await interface(stage.client, "blue2"), (await stage.guests.identity("blue2"))
    check(before == after, f"before the move {before}, after it {after}")
    see(f"{pings.sent} pings at 100 a second meanwhile: {pings.sent - pings.received} lost; the move took {took:.2f} s")
    see(f"same MAC {after[0][0]} and address {after[0][1]}, by the controller and inside the machine")
    wire = await stage.fabric.wire(stage.guests.ping("blue1", SECOND, 3, 0.05))
    check(not [packet for packet in wire if packet.vsid == VSIDS["blue"]], "Blue's packets still cross the wire")
    see("both are on host1 now: their packets no longer cross the wire")


async def flows_without_controller(stage: Stage, see: See) -> None:
    async def kill() -> None:
        await asyncio.sleep(0.5)
        await stage.service.kill()

    pings, red, _ = await asyncio.gather(
        stage.guests.ping("bluedb", FIRST, OUTAGE_PINGS, 0.01),
        stage.guests.ping("red1", SECOND, OUTAGE_PINGS, 0.01),
        kill(),
    )
    for who, one in (("bluedb", pings), ("red1", red)):
        check(one.received == one.sent, f"{who}: {one.sent - one.received} of {one.sent} pings were lost")
    later = await stage.guests.ping("red1", SECOND, 3, 0.05)
    check(later.received == later.sent, "without a controller, red1 no longer reaches red2")
    see(f"killed while {pings.sent} + {red.sent} pings ran across the hosts: 0 lost, and later pings pass too")


async def every_grant_is_back(stage: Stage, see: See, before: dict[str, Any]) -> None:
    await stage.service.start()
    after = await grants(stage.client)
    check(before == after, f"before {before}, after {after}")
    pings: Pings = await stage.guests.ping("red1", SECOND, 3, 0.05)
    check(pings.received == pings.sent, "red1 no longer reaches red2")
    see(f"{len(after)} grants (MAC and IP addresses, VSIDs, provider addresses) are what they were before the kill")


async def grants(client: Client) -> dict[str, Any]:
    """Everything that was granted, by what holds it."""
    found: dict[str, Any] = {name: await interface(client, name) for name in MACHINES}
    for host in HOSTS:
        found[host] = (await client.get(f"{NETWORKING}/servers/{host}"))["properties"].get("providerAddresses")
    for network in VSIDS:
        for subnet in (await client.get(f"{NETWORKING}/virtualNetworks/{network}"))["properties"]["subnets"]:
            said = {name.lower(): value for name, value in subnet["properties"].items()}
            found[f"{network}/{subnet['resourceId']}"] = said.get("virtualsubnetid")
    return found


async def deleted_everywhere(stage: Stage, see: See) -> None:
    mac, address = await interface(stage.client, "red2")
    before = {host: await stage.fabric.flows_naming(host, mac) for host in HOSTS}
    check(all(before.values()), f"entries that name {mac} before the deletion: {before}")
    await stage.client.post(f"{WEFT}/virtualMachines/red2/stop", {})
    await stage.client.delete(f"{WEFT}/virtualMachines/red2")
    for host in HOSTS:
        records = lookups(await stage.client.get(f"{WEFT}/servers/{host}/policy"))
        check(not [record for record in records if record[2] == mac], f"{host} still has a record of {mac}")
    until = asyncio.get_running_loop().time() + COUNTED_SECONDS
    while any([await stage.fabric.flows_naming(host, mac) for host in HOSTS]):
        check(asyncio.get_running_loop().time() < until, f"switches still have entries that name {mac}")
        await asyncio.sleep(0.05)
    pings = await stage.guests.ping("red1", SECOND, 2, 0.05)
    check(pings.received == 0, f"{address} still answers")
    counts = ", ".join(f"{host} {count} -> 0" for host, count in before.items())
    see(f"red2 ({mac}) deleted: no lookup record on any host; switch entries that name it: {counts}")


def steps() -> list[Step]:
    """In order; a later one may build on an earlier."""
    before: dict[str, Any] = {}

    async def outage(stage: Stage, see: See) -> None:
        before.update(await grants(stage.client))
        await flows_without_controller(stage, see)

    async def desktops(stage: Stage, see: See) -> None:
        # with its own controller and Hyper-V hosts, which nothing else needs
        from weft.lab.demo_desktops import desktops_roll_back

        await desktops_roll_back(see)

    async def comeback(stage: Stage, see: See) -> None:
        await every_grant_is_back(stage, see, before)

    return [
        ("MAC and IP addresses are granted before any machine boots", granted_before_boot),
        ("machines boot with what was granted", boots_with_grants),
        ("each host got the records of the networks it needs", records_on_hosts),
        ("Blue reaches Blue and Red reaches Red over the tunnel", tenants_reach_themselves),
        ("Blue never reaches Red, though their addresses are equal", tenants_never_meet),
        ("on the wire, the GRE key carries the tenant's VSID and a FlowID", key_on_the_wire),
        ("the second Blue subnet is routed, by every host itself", second_subnet_routed),
        ("a spoofed MAC address is refused and counted", spoofed_mac),
        ("a spoofed IP address is refused and counted", spoofed_address),
        ("a Blue machine moves to host1 without losing a packet", moves_without_loss),
        ("the controller is killed: packets still flow", outage),
        ("the controller comes back: every grant is there", comeback),
        ("a copy gets addresses of its own, and a twin never runs beside its source", copies_never_run_twice),
        ("a machine rolls back to the addresses it had: nobody else got them", rolls_back_without_duplicate),
        ("a stranger with a machine's MAC address is named within seconds", names_a_stranger),
        ("a machine is deleted: its records leave every host", deleted_everywhere),
        ("desktops on Hyper-V roll back: no duplicate, and no reboot", desktops),
    ]
