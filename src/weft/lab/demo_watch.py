"""What the demo's steps share: how a step says what it saw, and what an interface was granted."""

from collections.abc import Callable

from weft.lab.demo_stage import NotSo
from weft.model.values import mac_dashes, parse_mac
from weft.wire.client import NETWORKING, Client

See = Callable[[str], None]
"""Takes one line of evidence."""

FIRST, SECOND = "10.1.1.11", "10.1.1.12"
"""Of Blue and of Red alike: FIRST is on host1, SECOND on host2."""


def check(condition: object, otherwise: str) -> None:
    if not condition:
        raise NotSo(otherwise)


async def interface(client: Client, machine: str) -> tuple[str, str]:
    """(MAC, address) that the controller granted to a machine's eth0."""
    found = (await client.get(f"{NETWORKING}/networkInterfaces/{machine}-eth0"))["properties"]
    address = found["ipConfigurations"][0]["properties"]["privateIPAddress"]
    return mac_dashes(parse_mac(found["privateMacAddress"])), address
