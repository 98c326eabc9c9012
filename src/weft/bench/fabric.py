"""The fabric that the benches grant from: a provider network, a MAC pool, a virtual network with room for millions."""

from typing import Any

import msgspec

from weft.bench.load import put

BATCH = "/weft/v1/batch"
SUBNET = "/virtualNetworks/bench/subnets/all"


def _put(path: str, properties: dict[str, Any]) -> dict[str, Any]:
    body = {"resourceId": path.rsplit("/", 1)[1], "properties": properties}
    return {"method": "PUT", "path": f"/networking/v1/{path}", "body": body}


def fabric() -> list[dict[str, Any]]:
    """As elements of a batch."""
    pool = {"startIpAddress": "192.168.0.10", "endIpAddress": "192.168.255.250"}
    provider = {"addressPrefix": "192.168.0.0/16", "ipPools": [{"resourceId": "p1", "properties": pool}]}
    logical = {"networkVirtualizationEnabled": True, "subnets": [{"resourceId": "pa", "properties": provider}]}
    subnet = {"resourceId": "all", "properties": {"addressPrefix": "10.0.0.0/8"}}
    virtual = {
        "logicalNetwork": {"resourceRef": "/logicalNetworks/provider"},
        "addressSpace": {"addressPrefixes": ["10.0.0.0/8"]},
        "subnets": [subnet],
    }
    return [
        _put("macPools/bench", {"startMacAddress": "00-1D-D8-00-00-00", "endMacAddress": "00-1D-D8-FF-FF-FF"}),
        _put("logicalNetworks/provider", logical),
        _put("virtualNetworks/bench", virtual),
    ]


def interface(name: str) -> dict[str, Any]:
    """A networkInterface that asks for everything to be granted."""
    configuration = {
        "resourceId": "ip1",
        "properties": {"privateIPAllocationMethod": "Dynamic", "subnet": {"resourceRef": SUBNET}},
    }
    properties = {"privateMacAllocationMethod": "Dynamic", "ipConfigurations": [configuration]}
    return {"resourceId": name, "properties": properties}


def interface_put(name: str) -> bytes:
    """The request that P1 counts."""
    return put(f"/networking/v1/networkInterfaces/{name}", msgspec.json.encode(interface(name)), f"id-{name}")


def batch(elements: list[dict[str, Any]], request_id: str) -> bytes:
    return put(BATCH, msgspec.json.encode({"atomic": True, "requests": elements}), request_id, method="POST")


def interfaces_batch(prefix: str, count: int) -> bytes:
    """`count` interfaces in one request."""
    names = [f"{prefix}-{i}" for i in range(count)]
    elements = [
        {"method": "PUT", "path": f"/networking/v1/networkInterfaces/{name}", "body": interface(name)} for name in names
    ]
    return batch(elements, f"id-{prefix}")
