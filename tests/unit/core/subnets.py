"""Subnets and the adapters on them."""

from typing import Any


def subnet(name: str, vlan: int, third: int) -> dict[str, Any]:
    return {"resourceId": name, "properties": {"vlanID": vlan, "addressPrefix": f"172.16.{third}.0/24"}}


def adapters(*trunks: str) -> dict[str, Any]:
    """Adapters, each with the subnets named: `a/lan b/lan`."""
    found = []
    for at, trunk in enumerate(trunks):
        refs = [{"resourceRef": ref(one)} for one in trunk.split()]
        found.append({"resourceId": f"nic{at}", "properties": {"logicalSubnets": refs}})
    return {"networkInterfaces": found}


def ref(short: str) -> str:
    network, name = short.split("/")
    return f"/logicalNetworks/{network}/subnets/{name}"
