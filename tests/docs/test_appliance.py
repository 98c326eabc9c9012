"""The driver of another kind of gateway, as docs/gateways.md shows it, keeps the edges of an appliance."""

import asyncio
import contextlib
import re
from pathlib import Path
from typing import Any

import msgspec

from tests.contract.test_edge import EDGE, TUNNEL
from tests.waiting import soon
from weft.agent.edge.keeper import Asked, EdgeKeeper
from weft.agent.edge.wanted import Edge, EdgeFailure
from weft.model.values import Mac, ip_text, pack_ip

PAGE = Path(__file__).parents[2] / "docs" / "gateways.md"
OTHER = pack_ip("192.168.1.9")


class Appliance:
    """Its REST interface, and the host that it is plugged into."""

    def __init__(self) -> None:
        self.partitions: dict[str, dict[str, Any]] = {}
        self.ports: dict[str, Mac] = {}
        self.licence = True

    async def get(self, path: str) -> list[dict[str, Any]]:
        assert path == "/partitions?mark=weft"
        return [{"name": name, "active": body["active"]} for name, body in self.partitions.items()]

    async def put(self, path: str, body: dict[str, Any]) -> None:
        if not self.licence:
            raise EdgeFailure("the licence has ended")
        self.partitions[path.removeprefix("/partitions/")] = msgspec.json.decode(msgspec.json.encode(body))

    async def delete(self, path: str) -> None:
        self.partitions.pop(path.removeprefix("/partitions/"), None)

    async def plug(self, instance: str, mac: Mac) -> None:
        self.ports[instance] = mac

    async def unplug(self, instance: str) -> None:
        self.ports.pop(instance, None)


def documented(appliance: Appliance) -> Edge:
    [code] = [one for one in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "class " in one]
    names: dict[str, Any] = {"ip_text": ip_text}
    exec(compile(code, str(PAGE), "exec"), names)
    driver: Edge = names["ApplianceEdge"](appliance, appliance)
    return driver


async def test_it_makes_edges_hands_over_and_takes_them_away() -> None:
    appliance = Appliance()
    own = EDGE.provider_address
    network = msgspec.structs.replace(EDGE, gateways=(OTHER, own), tunnels=(TUNNEL,))
    appliance.partitions["weft-9"] = {"active": True}
    keeper = EdgeKeeper(documented(appliance))
    running = asyncio.create_task(keeper.run())
    try:
        keeper.ask(Asked(((network, 1458),), frozenset(), True))
        await soon(lambda: keeper.ready and "weft-9" not in appliance.partitions)
        assert appliance.ports == {"weft-edge-7": network.mac}
        made = appliance.partitions["weft-7"]
        assert made == {
            "inner": ["10.1.254.2/29"],
            "routes": [
                {"to": "10.1.1.0", "length": 24, "via": "10.1.254.1"},
                {"to": "10.1.254.0", "length": 29, "via": "10.1.254.1"},
            ],
            "outer": [{"vlan": 100, "addresses": ["203.0.113.10", "203.0.113.20"], "routed": False}],
            "tunnels": [{"from": "198.51.100.10", "to": "198.51.100.1", "key": 77}],
            "sourceNat": ["203.0.113.10"],
            "oneToOne": [["203.0.113.20", "10.1.1.12"]],
            "active": False,
        }
        keeper.ask(Asked(((network, 1458),), frozenset({OTHER}), True))
        await soon(lambda: keeper.carried == {7})
        assert appliance.partitions["weft-7"] == made | {"active": True}

        appliance.licence = False
        changed = msgspec.structs.replace(network, legs=())
        keeper.ask(Asked(((changed, 1458),), frozenset({OTHER}), True))
        await soon(lambda: keeper.troubles == ("/virtualGateways/blue: the licence has ended",))
        appliance.licence = True
        keeper.ask(Asked((), frozenset(), True))
        await soon(lambda: not appliance.partitions and not appliance.ports and not keeper.troubles)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
