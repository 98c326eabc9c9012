"""What a member of a resource reads like where a person sees it. Pure; called by the tables of columns.py and by the
commands that print one resource.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from weft.model.errors import InvalidMacAddress
from weft.model.values import mac_dashes, parse_mac


def name_of(ref: Any) -> str:
    """The last part of a reference, with its network where it is a subnet, with its host where it is its range."""
    text = (ref or {}).get("resourceRef", "") if isinstance(ref, dict) else str(ref or "")
    parts = text.strip("/").split("/")
    if len(parts) == 4 and parts[2].lower() == "subnets":
        return f"{parts[1]}/{parts[3]}"
    return "/".join(parts[1:]) if parts[-1].lower() == "macrange" else parts[-1]


def mac_of(properties: Mapping[str, Any]) -> str:
    """Dashes are easier on the eye than 12 bare digits."""
    text = properties.get("privateMacAddress") or ""
    try:
        return mac_dashes(parse_mac(text))
    except InvalidMacAddress:
        return text


def range_text(found: Any) -> str:
    """`first to last`; empty for none."""
    if not found or not found.get("first"):
        return ""
    first, last = found["first"], found.get("last") or found["first"]
    return str(first) if first == last else f"{first} to {last}"


def ranges_of(addresses: Sequence[str]) -> list[str]:
    """Addresses that follow each other as one range: ten in a row are `first to last (10)`."""
    found: list[list[str]] = []
    for text in sorted(addresses, key=_number):
        if found and _number(found[-1][-1]) + 1 == _number(text):
            found[-1].append(text)
        else:
            found.append([text])
    return [run[0] if len(run) == 1 else f"{run[0]} to {run[-1]} ({len(run)})" for run in found]


def _number(address: str) -> int:
    try:
        return parse_mac(address)
    except InvalidMacAddress:
        return int(ipaddress.ip_address(address))


def excluded(found: Any) -> str:
    """first to last (reason)."""
    text = range_text(found)
    return f"{text} ({found['reason']})" if found.get("reason") else text


def vsid_range(p: Any) -> dict[str, Any]:
    """The range's bounds whatever the case of their names (the specification has StartId and EndId)."""
    found = {key[:1].lower() + key[1:]: value for key, value in (p.get("virtualSubnetIdRange") or {}).items()}
    return {"startId": "-", "endId": "-"} | found


def plan(p: Any) -> str:
    """The shape of its addresses: 00155D cc h iii."""
    digits = "".join(c for c in p.get("prefix", "00-15-5D") if c.isalnum()).upper()
    widths = (p.get("clusterDigits", 2), p.get("hostDigits", 1), p.get("interfaceDigits", 3))
    return digits + "".join(letter * width for letter, width in zip("chi", widths, strict=True))


def captured(found: Any) -> str:
    """An interface with all that it had."""
    addresses = [each.get("privateIPAddress") for each in found.get("ipAddresses") or ()]
    had = [found.get("macAddress"), *addresses]
    return " ".join([name_of(found.get("networkInterface")), *(str(each) for each in had if each)])


def default_of(p: Any, member: str) -> str:
    """What happens to what no rule matches, with how many rules there are before it."""
    direction = member.removesuffix("DefaultAction").lower()
    rules = [r for r in p.get("aclRules") or () if str(r["properties"].get("type")).lower() == direction]
    return f"{len(rules)}, then {p.get(member)}" if rules else str(p.get(member) or "")


def end(p: Any, end: str) -> str:
    """`10.1.1.0/24 80-90`, without a range that is all ports."""
    prefix, ports = p.get(f"{end}AddressPrefix"), p.get(f"{end}PortRange")
    return " ".join(str(each) for each in (prefix, ports if ports not in ("*", "0-65535", "1-65535") else "") if each)


def route(route: Any) -> str:
    p = route["properties"]
    return f"{p.get('addressPrefix')} -> {p.get('nextHopIpAddress') or p.get('nextHopType')}"


def peer(p: Any) -> str:
    return f"{name_of(p.get('remoteVirtualNetwork'))} ({p.get('peeringState')})"


def moving_to(p: Any) -> str:
    """Empty once it runs there, although the old host may still forward strays for a moment."""
    destination = name_of((p.get("move") or {}).get("destination"))
    return "" if destination.lower() == name_of(p.get("server")).lower() else destination


def under_way(p: Any) -> str:
    """What is done to a machine just now."""
    creation, errand = p.get("creation") or {}, p.get("errand") or {}
    if creation:
        return ": ".join(str(creation[one]) for one in ("phase", "failure") if creation.get(one))
    return _errand(errand) if errand.get("phase") == "asked" else ""


def failed(p: Any) -> str:
    """What its host did not do, when, and why; of a move under way what keeps it from its end."""
    errand, found = p.get("errand") or {}, p.get("configurationState") or {}
    if p.get("move") and found.get("status") == "Failure":
        return f"move: {'; '.join(each['message'] for each in found.get('detailedInfo') or ())}"
    when = f" ({errand['ended'][:19]}Z)" if errand.get("ended") else ""
    return f"{_errand(errand)}{when}: {errand.get('failure', '')}" if errand.get("phase") == "failed" else ""


def _errand(errand: Any) -> str:
    return f"{errand.get('kind', '')} {errand.get('name', '')}".strip()


def decided(p: Any) -> int:
    """Packets that an access list has decided about: by its rules and by its default actions."""
    hits = [each["properties"].get("hits") for each in p.get("aclRules") or ()]
    return sum(
        (one or {}).get("packets", 0) for one in (*hits, p.get("inboundDefaultHits"), p.get("outboundDefaultHits"))
    )


def adapters(p: Any) -> str:
    """Of a server: by which adapters the packets of its provider addresses leave."""
    return ", ".join(dict.fromkeys(up for one in _adapters(p) for up in one.get("uplinks") or [one["name"]]))


def offloads(p: Any) -> str:
    """Which encapsulations those cut up themselves; empty while that is not known."""
    told = [one["offloads"] for one in _adapters(p) if one.get("offloads") is not None]
    if not told:
        return ""
    every = set.intersection(*map(set, told))
    kinds = {"tx-gre-segmentation": "NVGRE", "tx-udp_tnl-segmentation": "VXLAN"}
    return ", ".join(name for feature, name in kinds.items() if feature in every) or "none"


def encryption(p: Any) -> str:
    """Whether its tunnels can be encrypted; empty while that is not known."""
    told = (p.get("providerNetwork") or {}).get("tunnelEncryption")
    return "" if told is None else "available" if told.get("available") else "none"


def _adapters(p: Any) -> list[Any]:
    return list((p.get("providerNetwork") or {}).get("adapters") or ())
