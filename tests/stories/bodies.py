"""Bodies of requests about networks, and what is read out of their answers."""

from collections.abc import Sequence
from typing import Any


def provider_subnet(n: int, prefix: str, bounds: tuple[str, str] | None) -> dict[str, Any]:
    base = prefix.rpartition(".")[0]
    first, last = bounds or (f"{base}.9", f"{base}.99")
    pool = {"resourceId": "pool", "properties": {"startIpAddress": first, "endIpAddress": last}}
    return {
        "resourceId": f"pa{n}",
        "properties": {"addressPrefix": prefix, "defaultGateways": [f"{base}.1"], "ipPools": [pool]},
    }


def network_body(space: str, subnets: Sequence[Any]) -> dict[str, Any]:
    return {
        "properties": {
            "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
            "addressSpace": {"addressPrefixes": [space]},
            "subnets": list(subnets),
        }
    }


def vsid(subnet: Any) -> str:
    return str(next(value for name, value in subnet["properties"].items() if name.lower() == "virtualsubnetid"))
