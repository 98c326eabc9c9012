"""Inventories in few words."""

from typing import Any

import msgspec

from weft.core.audit.findings import Finding, Report
from weft.core.audit.report import audit
from weft.model.inventory import Inventory


def host(name: str, first: str = "", last: str = "", **members: Any) -> dict[str, Any]:
    ranges = {"dynamicMacRange": {"first": first, "last": last}} if first else {}
    return {"name": name, "type": "hyperv", **ranges, **members}


def nic(mac: str, mode: str = "dynamic", **members: Any) -> dict[str, Any]:
    return {"mac": mac, "mode": mode, "switch": "LAN", **members}


def machine(name: str, host: str, *nics: dict[str, Any], power: str = "running", **members: Any) -> dict[str, Any]:
    return {"name": name, "host": host, "power": power, "interfaces": list(nics), **members}


def checkpoint(name: str, *nics: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "interfaces": list(nics)}


def inventory(hosts: list[Any], machines: list[Any], pools: list[Any] | None = None) -> Inventory:
    return msgspec.convert({"hosts": hosts, "machines": machines, "macPools": pools or []}, Inventory)


def report(hosts: list[Any], machines: list[Any], pools: list[Any] | None = None) -> Report:
    return audit(inventory(hosts, machines, pools))


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def only(report: Report, code: str) -> Finding:
    """The single finding of that code."""
    found = [finding for finding in report.findings if finding.code == code]
    assert len(found) == 1, codes(report)
    return found[0]
