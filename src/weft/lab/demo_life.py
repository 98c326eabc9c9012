"""The demo's steps about an address's life: copies, checkpoints, strangers. See demo_steps."""

import asyncio
from typing import Any

from weft.lab.demo_stage import NotSo, Pings, Stage
from weft.lab.demo_watch import SECOND, See, check, interface
from weft.model.errors import WeftError
from weft.wire.client import NETWORKING, WEFT, Client

NOTICED_SECONDS = 30.0
"""How long what happens on a host may take to the API."""
MACHINES = f"{WEFT}/virtualMachines"


async def act(client: Client, machine: str, action: str, **body: Any) -> dict[str, Any]:
    done: dict[str, Any] = (await client.post(f"{MACHINES}/{machine}/{action}", body)).body
    return done


async def refusal(client: Client, machine: str, action: str, **body: Any) -> WeftError:
    """What the controller says against it. Raises NotSo if it does it."""
    try:
        await act(client, machine, action, **body)
    except WeftError as refused:
        return refused
    raise NotSo(f"{action} of {machine} was carried out")


async def copies_never_run_twice(stage: Stage, see: See) -> None:
    client = stage.client
    mac, address = await interface(client, "red2")
    await act(client, "red2", "clone", resourceId="red3")
    fresh = await interface(client, "red3")
    check(mac != fresh[0] and address != fresh[1], f"the clone has {fresh}, its source {mac}, {address}")
    see(f"clone red2 -> red3: granted {fresh[0]}  {fresh[1]} of its own")
    await act(client, "red2", "clone", resourceId="red4", addresses="keep")
    check(await interface(client, "red4") == (mac, address), "the twin has other addresses than its source")
    refused = await refusal(client, "red4", "start")
    check(refused.code == "ActiveTwin" and "red2" in refused.message, f"starting the twin: {refused.message}")
    see(f"clone red2 -> red4 keeping {mac}: a legal twin; its start is refused, {refused.code}: red2 runs")
    for name in ("red3", "red4"):
        await client.delete(f"{MACHINES}/{name}")
        await client.delete(f"{NETWORKING}/networkInterfaces/{name}-eth0")


async def rolls_back_without_duplicate(stage: Stage, see: See) -> None:
    client = stage.client
    before = await interface(client, "red2")
    await act(client, "red2", "checkpoint", resourceId="before")
    ref = "/networkInterfaces/red2-eth0"
    await act(client, "red2", "renewMac", networkInterface={"resourceRef": ref}, force=True)
    renewed = await interface(client, "red2")
    check(renewed[0] != before[0], "it has the same MAC address as before")
    check((await stage.guests.identity("red2")).mac == renewed[0], "the machine itself has another one than granted")
    kept = (await client.get(f"{WEFT}/addresses/{before[0]}"))["value"]
    state = ", ".join(sorted({one["state"] for one in kept}))
    check(state == "retained", f"{before[0]} is {state}, so another machine could get it")
    see(f"red2 renewed to {renewed[0]}; {before[0]} is retained: the checkpoint would bring it back")
    done = await act(client, "red2", "restore", checkpoint="before")
    [part] = done["properties"]["restore"]
    own = await stage.guests.identity("red2")
    check(await interface(client, "red2") == before, f"restored, it has {await interface(client, 'red2')}")
    check(own.mac == before[0] and before[1] in own.addresses, f"the machine itself has {own}")
    pings: Pings = await stage.guests.ping("red1", SECOND, 3, 0.05)
    check(pings.received == pings.sent, "red1 no longer reaches it")
    see(f"rolled back: {part['from'].split()[0]} -> {part['to'].split()[0]}, {part['outcome']}; red1 reaches it")


async def names_a_stranger(stage: Stage, see: See) -> None:
    mac, _ = await interface(stage.client, "blue1")
    await stage.fabric.intrude("host2", "stray0", mac)
    began = asyncio.get_running_loop().time()
    [conflict] = await _conflicts(stage.client, mac, 1)
    took = asyncio.get_running_loop().time() - began
    holders = " and ".join(one["resourceRef"] for one in conflict["holders"])
    check("blue1" in holders and "/servers/host2/ports/stray0" in holders, f"named are {holders}")
    see(f"somebody's port on host2 has blue1's {mac}: named after {took:.1f} s, {conflict['kind']}:")
    see(f"       {holders}")
    await stage.fabric.withdraw("host2", "stray0", mac)
    await _conflicts(stage.client, mac, 0)
    see("it is unplugged, and the conflict is gone")


async def _conflicts(client: Client, mac: str, count: int) -> list[dict[str, Any]]:
    """The clashes about an address, once there are so many."""
    until = asyncio.get_running_loop().time() + NOTICED_SECONDS
    while True:
        found = [one for one in (await client.get(f"{WEFT}/conflicts"))["value"] if one["address"] == mac]
        if len(found) == count:
            return found
        check(asyncio.get_running_loop().time() < until, f"conflicts about {mac}: {found}")
        await asyncio.sleep(0.1)
