"""In which members does a resource on the controller differ from the file? Pure.

Comparison is by the model's structs, so that a default left out equals a default written, and by value, so that
00:1d:d8 and 001DD8 are one MAC. What the controller granted (addresses, VSIDs) and the file does not name, stays.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import inspect

from weft.cli.documents import Document
from weft.cli.references import normal_ref
from weft.model.errors import InvalidMacAddress
from weft.model.kinds import NETWORK_INTERFACES, SERVERS, VIRTUAL_MACHINES
from weft.model.values import parse_mac

_GRANTED = frozenset(
    "privateMacAddress privateIPAddress virtualSubnetId providerAddresses hypervisor networkInterfaces ipAddress "
    "sourceIPAddress".split()
)
"""Members that the controller fills where the file is silent; networkInterfaces are a server's adapters."""

_NOT_COMPARED = frozenset(
    (
        "instanceId etag powerState move routingDomainNumber resourceId macRange inactive gateways gatewayMacAddress "
        "providerNetwork gatewayAddresses providerAddressChange primaryProviderAddresses learnedIPAddresses "
        "listNumber matched remoteAddressSpace remoteInstanceId"
    ).split()
)
"""Identity, what only actions change (apply starts and stops nothing), and what only Weft writes."""

_UNSAID = {"privateIPAllocationMethod": "Dynamic"}
"""What members mean that are left out, where the API tells that from the same in words."""

_WORDS = re.compile(
    r"(Method|State|Protocol|Enabled|Moderation|Status|Version|[tT]ype|strategy|Action|AddressPrefix|PortRange)$"
    r"|^(action|protocol|logging)$"
)
"""Members whose values are words, taken in any case."""


class Difference(msgspec.Struct, frozen=True):
    """One member that changes; `before` or `after` is None where it is added or removed."""

    member: str
    """Path with children by name: subnets/web/addressPrefix."""
    before: Any
    after: Any


def compare(document: Document, present: Any) -> Iterator[Difference]:
    """The members in which the resource on the controller differs from the file."""
    desired = msgspec.to_builtins(msgspec.convert(document.body, document.kind.type, strict=False))
    known = msgspec.convert(_spelled(present, inspect.type_info(document.kind.type)), document.kind.type, strict=False)
    left_out = _not_kept(document, present)
    wanted = {name: value for name, value in desired["properties"].items() if name not in left_out}
    yield from _differences("", wanted, msgspec.to_builtins(known)["properties"])
    wanted_tags = document.body.get("tags") or {}
    if wanted_tags != (known.tags or {}):
        yield Difference("tags", known.tags, wanted_tags)


def _not_kept(document: Document, present: Any) -> tuple[str, ...]:
    """Members that the controller reads and does not keep as they were written."""
    properties = document.body["properties"]
    if document.kind is SERVERS and "clusterNumber" not in properties:
        return ("clusterNumber",)  # of a server with a plan it is 0 then
    if document.kind is NETWORK_INTERFACES and (
        present["properties"].get("privateMacAddress") or str(properties.get("strategy", "")).lower() != "hostrange"
    ):
        return ("server",)  # it says whose range to grant from; answers have that of its machine
    if document.kind is VIRTUAL_MACHINES and properties.get("isTemplate") and properties.get("networkInterfaces"):
        return ("networkInterfaces", "networks")  # a template takes their subnets
    return ()


def _spelled(value: Any, shape: inspect.Type) -> Any:
    """Member names as the structs spell them (answers have VirtualSubnetId), nulls left out."""
    if isinstance(shape, inspect.UnionType):
        shape = next(part for part in shape.types if not isinstance(part, inspect.NoneType))
    if isinstance(shape, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name.lower(): field for field in shape.fields}
        named = [(fields[key.lower()], below) for key, below in value.items() if key.lower() in fields]
        return {field.encode_name: _spelled(below, field.type) for field, below in named if below is not None}
    if isinstance(shape, inspect.VarTupleType) and isinstance(value, list):
        return [_spelled(below, shape.item_type) for below in value]
    return value


def _differences(path: str, desired: Any, present: Any) -> Iterator[Difference]:
    for name, wanted in desired.items():
        want, have = wanted or _UNSAID.get(name, wanted), present.get(name)
        if name in _NOT_COMPARED or (name in _GRANTED and want in (None, "", 0, [], ())):
            continue
        at = f"{path}{name}"
        if _is_children(want) or _is_children(have):
            yield from _children(at, want or (), have or ())
        elif isinstance(want, dict) and isinstance(have, dict):
            yield from _differences(f"{at}/", want, have)
        elif not same(name, want, have):
            yield Difference(at, have, want)


def _is_children(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(v, dict) and "resourceId" in v for v in value)


def _children(path: str, want: Iterable[Any], have: Iterable[Any]) -> Iterator[Difference]:
    """Children compared by resourceId, whatever their order."""
    present = {child["resourceId"].lower(): child for child in have}
    for child in want:
        other = present.pop(child["resourceId"].lower(), None)
        at = f"{path}/{child['resourceId']}"
        if other is None:
            yield Difference(at, None, "added")
        else:
            yield from _differences(f"{at}/", child["properties"], other["properties"])
    for child in present.values():
        yield Difference(f"{path}/{child['resourceId']}", "present", None)


def same(name: str, want: Any, have: Any) -> bool:
    """Equal, or two spellings of one value."""
    if isinstance(want, list | tuple) and isinstance(have, list | tuple):
        return len(want) == len(have) and all(same(name, w, h) for w, h in zip(want, have, strict=True))
    if isinstance(want, dict) and isinstance(have, dict):
        return want.keys() == have.keys() and all(same(k, want[k], have[k]) for k in want)
    if want == have:
        return True
    if not isinstance(want, str) or not isinstance(have, str):
        return False
    if name == "resourceRef":
        return normal_ref(want) == normal_ref(have)
    if _WORDS.search(name) and _word(want) == _word(have):
        return True
    if name == "prefix":
        return re.sub(r"[-:.]", "", want).upper() == re.sub(r"[-:.]", "", have).upper()
    return bool(_canonical(want) == _canonical(have))


def _word(text: str) -> str:
    return text.lower().replace(" ", "") or "central"


def _canonical(text: str) -> Any:
    """MAC addresses as numbers, IP addresses and prefixes as such, anything else as written."""
    try:
        return parse_mac(text)
    except InvalidMacAddress:
        pass
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return text
