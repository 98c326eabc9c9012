"""Access lists in the stories of Hyper-V Network Virtualization: what filters a machine follows it, unedited."""

from typing import Any

from tests.stories.desk import Desk
from tests.stories.tenants import blue_and_red

LISTS = "/networking/v1/accessControlLists"
PING = {
    "priority": "110",
    "type": "Inbound",
    "protocol": "ICMPv4",
    "sourceAddressPrefix": "10.1.1.11",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "*",
}


def pings(action: str) -> dict[str, Any]:
    return {"properties": {"aclRules": [{"resourceId": "ping", "properties": PING | {"action": action}}]}}


async def filter_subnet(desk: Desk, name: str | None) -> None:
    web = await desk.get("/networking/v1/virtualNetworks/blue/subnets/web")
    properties = web["properties"] | {"accessControlList": name and {"resourceRef": f"/accessControlLists/{name}"}}
    await desk.put("/networking/v1/virtualNetworks/blue/subnets/web", {"properties": properties})


async def test_story_4_3_what_filters_a_machine_goes_where_it_goes(desk: Desk) -> None:
    """Its hosts, their provider addresses and its path change; no list has to."""
    await blue_and_red(desk)
    await desk.put(f"{LISTS}/quiet", pings("Deny"))
    await filter_subnet(desk, "quiet")
    assert await desk.answers("blue1", "10.1.1.12") == []
    asked = {"from": "/networkInterfaces/blue1", "to": "/networkInterfaces/blue2"}
    told = await desk.post("/weft/v1/trace", asked)
    assert (told["delivered"], told["decidedBy"]) == (False, "/accessControlLists/quiet/aclRules/ping")
    # the other way it may begin, and is answered
    assert await desk.answers("blue2", "10.1.1.11") == ["blue1"]
    await desk.post("/weft/v1/virtualMachines/blue2/migrate", {"server": {"resourceRef": "/servers/host1"}})
    assert await desk.answers("blue1", "10.1.1.12") == []
    assert await desk.answers("blue2", "10.1.1.11") == ["blue1"]
    # the same addresses of another tenant are another matter
    assert await desk.answers("red1", "10.1.1.12") == ["red2"]
    await desk.put(f"{LISTS}/quiet", pings("Allow"))
    assert await desk.answers("blue1", "10.1.1.12") == ["blue2"]
    await filter_subnet(desk, None)
    await desk.put(f"{LISTS}/quiet", pings("Deny"))
    assert await desk.answers("blue1", "10.1.1.12") == ["blue2"]
