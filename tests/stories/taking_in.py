"""A machine that a Hyper-V host has already, and how it is taken in."""

from typing import Any

from tests.stories.hyperv_desk import WEB, HyperVDesk

VMS = "/weft/v1/virtualMachines"


async def told(desk: HyperVDesk, host: str, name: str) -> Any:
    """A machine as its host tells it, once it does."""
    found: list[Any] = []

    async def so() -> bool:
        machines = (await desk.get(f"/weft/v1/servers/{host}/machines"))["value"]
        found[:] = [one for one in machines if one["name"] == name]
        return bool(found)

    await desk.eventually(so)
    return found[0]


async def take_in(desk: HyperVDesk, host: str, name: str, **more: Any) -> Any:
    there = await told(desk, host, name)
    nics = [{"macAddress": one["mac"] or "", "subnet": WEB} for one in there["adapters"]]
    body = {"resourceId": name, "server": host, "networkInterfaces": nics, "powerState": there["powerState"]}
    return await desk.post(f"{VMS}/import", body | {"hypervisor": {"type": "hyperv", "id": there["id"]}} | more)
