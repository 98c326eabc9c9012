"""What a host says of itself as tables: the host, its machines, its ports, what it dropped, drift. Pure.

Called by `weft host state`.
"""

from collections.abc import Iterator
from typing import Any

from weft.cli.names import natural
from weft.cli.texts import name_of

Table = tuple[list[str], list[list[Any]]]
"""Heads and rows."""

_OF_THE_HOST = {
    "managed": "managed",
    "connected": "connected",
    "hypervisor": "hypervisor",
    "appliedRevision": "applied revision",
    "revision": "revision",
    "lag": "lag",
    "lastError": "last error",
}


def host_tables(found: Any) -> Iterator[Table]:
    """The host first; of the rest only tables that have a row."""
    rows = [["server", name_of(found.get("server"))]]
    rows += [[text, _word(found.get(name))] for name, text in _OF_THE_HOST.items()]
    why = found.get("noProviderAddress")
    yield ["what", "value"], rows + ([["provider address", f"none: {why}"]] if why else [])
    for heads, below in _below(found):
        if below:
            yield heads, sorted(below, key=lambda row: natural(str(row[0]))) if heads[0] != "repaired" else below


def _below(found: Any) -> Iterator[Table]:
    machines = [[each["machine"], each["power"], each.get("failure")] for each in found.get("machines") or ()]
    yield ["machine", "power", "failure"], machines
    ports = [
        [name_of(each.get("interface")) or each["instanceId"], each["state"], each.get("reason")]
        for each in found.get("ports") or ()
    ]
    yield ["port", "state", "reason"], ports
    yield ["dropped packets", "count"], [list(pair) for pair in (found.get("drops") or {}).items()]
    yield ["counted by the agent", "count"], [list(pair) for pair in (found.get("counts") or {}).items() if pair[1]]
    rules = [
        [name_of(each.get("accessControlList")), each.get("rule"), each.get("packets"), each.get("bytes")]
        for each in found.get("accessRules") or ()
    ]
    yield ["access list", "rule", "packets", "bytes"], rules
    problems = [[p.get("code"), p.get("message"), p.get("instanceId")] for p in found.get("problems") or ()]
    yield ["problem", "message", "interface"], problems
    provider = found.get("providerNetwork") or {}
    adapters = [
        [one["providerAddress"], one["name"], one["mtu"], ", ".join(one["uplinks"]), _offloads(one["offloads"])]
        for one in provider.get("adapters") or ()
    ]
    yield ["provider address", "interface", "mtu", "uplinks", "offloads"], adapters
    encryption = provider.get("tunnelEncryption") or {}
    yield ["tunnel encryption"], [[encryption.get("reason") or "available"]] if encryption else []
    yield ["provider addresses wait for"], [[text] for text in found.get("providerAddressesWaitFor") or ()]
    yield ["not probed"], [[text] for text in provider.get("notProbed") or ()]
    yield ["repaired"], [[text] for text in found.get("drift") or ()]
    yield ["foreign"], [[text] for text in found.get("foreign") or ()]


def _offloads(told: list[str] | None) -> str:
    return "not told" if told is None else ", ".join(told) or "none"


def _word(value: Any) -> Any:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
