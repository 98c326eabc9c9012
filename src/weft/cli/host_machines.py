"""A machine that a host's hypervisor has already, as the body of its import. Called by `weft vm import --existing`.

Nobody copies ids and MAC addresses by hand: they are what the host's agent last told.
"""

from typing import Any

import msgspec

from weft.cli.desk import Misuse
from weft.cli.names import subnet_ref
from weft.wire.client import WEFT, Client

_MOST = 20
"""So many names of other machines are told."""


class Existing(msgspec.Struct, frozen=True):
    """What was asked for. `machine`: its name on the host, or its hypervisor's id. `ips` and `subnets` are in the order
    of its adapters; one subnet stands for all."""

    server: str
    machine: str
    addresses: str
    ips: list[str]
    subnets: list[str]


async def body_of(client: Client, name: str, asked: Existing) -> dict[str, Any]:
    """The body. Its checkpoints are left out: the controller notes them from the host itself, with their ids. Raises
    Misuse where there is no such machine, where it is Weft's already, or where the words do not fit it."""
    if not asked.server:
        raise Misuse(f"which host has {asked.machine}? Name it with --to HOST")
    told = await client.get(f"{WEFT}/servers/{asked.server}/machines")
    if not told["connected"]:
        raise Misuse(f"{asked.server} has no agent that is connected: what machines it has is not known")
    there = _machine(told["value"], asked)
    if there["machine"] is not None:
        known = there["machine"]["resourceRef"].rpartition("/")[2]
        raise Misuse(f"{asked.machine} on {asked.server} is Weft's already: weft vm show {known}")
    if there["powerState"] == "Running" and asked.addresses != "keep":
        raise Misuse(
            f"{asked.machine} runs with the addresses that it has: stop it before it gets others, or keep them"
        )
    return {
        "resourceId": name,
        "addresses": asked.addresses,
        "server": {"resourceRef": f"/servers/{asked.server}"},
        "powerState": there["powerState"],
        "networkInterfaces": _interfaces(there, asked),
        "hypervisor": {"type": told["hypervisor"] or "", "id": there["id"]},
    }


def _machine(machines: list[dict[str, Any]], asked: Existing) -> dict[str, Any]:
    """By its id in any case, else by its name as it is written, else in any case."""
    wanted = asked.machine.lower()
    for found in (
        [one for one in machines if one["id"].lower() == wanted],
        [one for one in machines if one["name"] == asked.machine],
        [one for one in machines if one["name"].lower() == wanted],
    ):
        if len(found) > 1:
            ids = ", ".join(one["id"] for one in found)
            raise Misuse(f"{asked.server} has {len(found)} machines {asked.machine}: name one by its id: {ids}")
        if found:
            return found[0]
    names = sorted(one["name"] or one["id"] for one in machines if one["machine"] is None)
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    has = f"has {', '.join(names[:_MOST])}{more}" if names else "has no machine that is not Weft's"
    raise Misuse(f"{asked.server} has no machine {asked.machine}; it {has}")


def _interfaces(there: dict[str, Any], asked: Existing) -> list[dict[str, Any]]:
    adapters = there["adapters"]
    subnets = asked.subnets * len(adapters) if len(asked.subnets) == 1 else asked.subnets
    for option, given in (("--ip", asked.ips), ("--subnet", subnets)):
        if given and len(given) != len(adapters):
            raise Misuse(f"{asked.machine} has {len(adapters)} adapters: give {option} once for each, in their order")
    found = []
    for at, adapter in enumerate(adapters):
        ips = [each.strip() for each in asked.ips[at].split(",")] if asked.ips else []
        body: dict[str, Any] = {"macAddress": adapter["mac"] or "", "ipAddresses": [each for each in ips if each]}
        found.append(body | ({"subnet": {"resourceRef": subnet_ref(subnets[at])}} if subnets else {}))
    return found
