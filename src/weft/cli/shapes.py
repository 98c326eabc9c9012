"""Turns YAML nodes into the values that a resource's struct asks for, keeping the line of every member.

Called by cli.files. Scalars are read by the type of their member, not by YAML's guess: 001122334455 is a MAC address
and not a number. Member names are taken in any case. Never raises: what does not fit becomes a fault at its line and
is left out, so that one reading finds all faults.
"""

from typing import Any, get_origin

import msgspec
from msgspec import inspect
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from weft.cli.faults import Fault, nearest
from weft.model.errors import InvalidResourceName
from weft.model.kinds import BY_NAME
from weft.model.resources import Ref, Resource
from weft.model.values import check_resource_id

Place = tuple[str | int, ...]
"""Where in a document: ("properties", "subnets", 0, "resourceId")."""

ABSENT: Any = msgspec.UNSET

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")

_ANSWERED_ONLY = frozenset(
    name.lower()
    for name in (
        "resourceRef etag provisioningState configurationState usage virtualNetworks networkInterfaces "
        "ipConfigurations server checkpoints exports conflicts restore counters serviceInsertion "
        "serviceInsertionElements loadBalancerBackendAddressPools loadBalancerInboundNatRules "
        "virtualNetworkInterfaces virtualSubnetAddresses peeringState subnets securityTags ipConfiguration "
        "virtualGateways noProviderAddress "
        "networkConnections gateway gatewayPools bgpRouters routingType totalCapacity availableCapacity protocol "
        "connectionState unreachabilityReason health activeGateway hits inboundDefaultHits outboundDefaultHits"
    ).split()
)
"""Members that only answers carry: taken and left out, so that the output of `weft get -o yaml` can be applied."""

_WRITTEN_BY_WEFT = frozenset(
    (
        "etag move macRange providerAddressChange inactive creation errand madeAs gateways gatewayMacAddress "
        "primaryProviderAddresses gatewayAddresses listNumber "
        "routingDomainNumber remoteAddressSpace remoteInstanceId matched"
    ).split()
)
"""Members of the structs that only answers carry: left out too."""


_MEANT = {
    "acl": ("accessControlList",),
    "cidr": ("addressPrefix", "addressPrefixes"),
    "gateway": ("defaultGateways",),
    "id": ("resourceId",),
    "ip": ("privateIPAddress", "ipAddress"),
    "mac": ("privateMacAddress",),
    "name": ("resourceId",),
    "prefix": ("addressPrefix", "addressPrefixes"),
    "rules": ("aclRules",),
    "vlan": ("vlanID",),
    "vsid": ("virtualSubnetId",),
}
"""Other words for members, which would otherwise be left out with a note: a subnet without its list is open."""

_ENVELOPE = frozenset(name.lower() for name in Resource.__struct_encode_fields__)
"""Members of every resource and child."""


class Reading(msgspec.Struct):
    """What one document's reading gathers."""

    file: str
    lines: dict[Place, int] = {}
    faults: list[Fault] = []
    notes: list[Fault] = []

    def fault(self, line: int, message: str) -> None:
        self.faults.append(Fault(self.file, line, message))


def line_of(node: Node) -> int:
    """Counted from 1, as editors do."""
    return int(node.start_mark.line) + 1


def members(node: MappingNode, reading: Reading) -> list[tuple[str, int, Node]]:
    """(name, line, value) of a mapping, `<<` merged in; a name written twice is a fault."""
    found: dict[str, tuple[str, int, Node]] = {}
    merged: list[tuple[str, int, Node]] = []
    for key, value in node.value:
        if key.tag == _MERGE:
            parts = value.value if isinstance(value, SequenceNode) else [value]
            for part in parts:
                merged += members(part, reading) if isinstance(part, MappingNode) else []
            continue
        name = str(key.value) if isinstance(key, ScalarNode) else "?"
        if name.lower() in found:
            reading.fault(line_of(key), f"{name} is written twice; keep one of them")
        found[name.lower()] = (name, line_of(key), value)
    for name, line, value in merged:
        found.setdefault(name.lower(), (name, line, value))
    return list(found.values())


def plain(node: Node, reading: Reading, place: Place) -> Any:
    """A value without a struct: text as written, whole numbers and booleans where YAML 1.2 says so."""
    if isinstance(node, MappingNode):
        found = {}
        for name, line, value in members(node, reading):
            reading.lines[(*place, name)] = line
            found[name] = plain(value, reading, (*place, name))
        return found
    if isinstance(node, SequenceNode):
        return [plain(item, reading, (*place, i)) for i, item in enumerate(node.value)]
    text = str(node.value)
    if node.tag == _NULL:
        return None
    if node.tag == "tag:yaml.org,2002:bool":
        return text.lower() == "true"
    return int(text) if node.tag == "tag:yaml.org,2002:int" and text.isdigit() and str(int(text)) == text else text


def conform(node: Node, shape: inspect.Type, reading: Reading, place: Place) -> Any:
    """The value of `node` as `shape` asks; ABSENT where it does not fit or is null."""
    reading.lines.setdefault(place, line_of(node))
    if isinstance(node, ScalarNode) and node.tag == _NULL:
        return ABSENT
    if isinstance(shape, inspect.UnionType):
        shape = next(part for part in shape.types if not isinstance(part, inspect.NoneType))
    if isinstance(shape, inspect.StructType):
        return _struct(node, shape, reading, place)
    if isinstance(shape, inspect.VarTupleType):
        return _sequence(node, shape.item_type, reading, place)
    if isinstance(shape, inspect.DictType):
        return _labels(node, reading, place)
    return _scalar(node, shape, reading, place)


def _struct(node: Node, shape: inspect.StructType, reading: Reading, place: Place) -> Any:
    if not isinstance(node, MappingNode):
        wanted = _reference(node, place) if shape.cls is Ref else "members (name: value)"
        return _wrong(node, place, wanted, reading)
    fields = {field.encode_name.lower(): field for field in shape.fields}
    found: dict[str, Any] = {}
    for name, line, value in members(node, reading):
        field = fields.get(name.lower())
        if field is None:
            guess = _unknown(name, line, shape, reading)
            reading.lines[(*place, guess or name)] = line
            continue
        below = (*place, field.encode_name)
        reading.lines[below] = line
        converted = conform(value, field.type, reading, below)
        if converted is not ABSENT and field.encode_name not in _WRITTEN_BY_WEFT:
            found[field.encode_name] = converted
    if get_origin(shape.cls) is Resource:
        _check_id(found, reading, place)
    return found


def _reference(node: Node, place: Place) -> str:
    """As it is written whose bare name or path stands there."""
    text = str(node.value).strip("/") if isinstance(node, ScalarNode) else "NAME"
    member = _name_of(place)
    kind = BY_NAME.get(member.lower()) or BY_NAME.get(f"{member.lower()}s")
    path = text if "/" in text else f"{kind.name if kind is not None else 'KIND'}/{text}"
    return f"{{resourceRef: /{path}}}"


def _check_id(found: dict[str, Any], reading: Reading, place: Place) -> None:
    """Every resource and child says its resourceId, in the letters that an id may have."""
    if (*place, "resourceId") not in reading.lines:
        reading.fault(reading.lines[place], "resourceId is missing; give the resource a name of its own")
    elif "resourceId" in found:
        try:
            check_resource_id(found["resourceId"])
        except InvalidResourceName as error:
            reading.fault(reading.lines[(*place, "resourceId")], error.message.replace(": ", "; ", 1))


def _unknown(name: str, line: int, shape: inspect.StructType, reading: Reading) -> str | None:
    """A slip of the pen is a fault, and so is a member in the wrong place; what another controller may know is noted
    and left out; answers' members go by."""
    if name.lower() in _ANSWERED_ONLY:
        return None
    known = [field.encode_name for field in shape.fields]
    guess = next((one for one in _MEANT.get(name.lower(), ()) if one in known), None)
    guess = guess or nearest(name, known, cutoff=0.75)
    if where := _inside(name.lower(), shape):
        reading.fault(line, f"{name} is no member here; write it inside {'/'.join(where)}")
    elif guess:
        reading.fault(line, f"unknown member '{name}'; did you mean {guess}?")
    else:
        reading.notes.append(Fault(reading.file, line, f"'{name}' is not kept by this controller; it is left out"))
    return guess


def _inside(name: str, shape: inspect.StructType, depth: int = 3) -> tuple[str, ...]:
    """The members, from outside in, that lead from a struct to the one that has such a member; empty if none does."""
    if name in _ENVELOPE:
        return ()
    below = [(field.encode_name, found) for field in shape.fields if (found := _struct_in(field)) is not None]
    for member, found in below:
        if any(field.encode_name.lower() == name for field in found.fields):
            return (member,)
    for member, found in below if depth > 1 else ():
        if way := _inside(name, found, depth - 1):
            return (member, *way)
    return ()


def _struct_in(field: inspect.Field) -> inspect.StructType | None:
    """What a member holds, one or several of, if people write that."""
    if field.encode_name in _WRITTEN_BY_WEFT:
        return None
    shape = field.type
    if isinstance(shape, inspect.UnionType):
        shape = next(part for part in shape.types if not isinstance(part, inspect.NoneType))
    if isinstance(shape, inspect.VarTupleType):
        shape = shape.item_type
    return shape if isinstance(shape, inspect.StructType) else None


def _sequence(node: Node, item: inspect.Type, reading: Reading, place: Place) -> Any:
    if not isinstance(node, SequenceNode):
        return _wrong(node, place, "a list (lines that begin with '- ')", reading)
    found: list[Any] = []
    first_line: dict[str, int] = {}
    for part in node.value:
        below = (*place, len(found))
        reading.lines[below] = line_of(part)
        converted = conform(part, item, reading, below)
        if converted is ABSENT:
            continue
        found.append(converted)
        name = converted.get("resourceId", "").lower() if isinstance(converted, dict) else ""
        if name and name in first_line:
            line = reading.lines[(*below, "resourceId")]
            reading.fault(line, f"'{name}' is already in line {first_line[name]}; give each its own resourceId")
        elif name:
            first_line[name] = reading.lines[(*below, "resourceId")]
    return found


def _labels(node: Node, reading: Reading, place: Place) -> Any:
    if not isinstance(node, MappingNode):
        return _wrong(node, place, "name: value pairs", reading)
    return {name: str(value.value) for name, _, value in members(node, reading) if isinstance(value, ScalarNode)}


def _scalar(node: Node, shape: inspect.Type, reading: Reading, place: Place) -> Any:
    wanted = {inspect.IntType: "a whole number", inspect.BoolType: "true or false"}.get(type(shape), "text")
    if not isinstance(node, ScalarNode):
        return _wrong(node, place, wanted, reading)
    text = str(node.value)
    if isinstance(shape, inspect.IntType):
        return int(text) if text.strip().lstrip("-").isdecimal() else _wrong(node, place, wanted, reading)
    if isinstance(shape, inspect.BoolType):
        if text.lower() not in _TRUE + _FALSE:
            return _wrong(node, place, wanted, reading)
        return text.lower() in _TRUE
    return text


def _wrong(node: Node, place: Place, wanted: str, reading: Reading) -> Any:
    shown = (
        f"'{node.value}'"
        if isinstance(node, ScalarNode)
        else ("a list" if isinstance(node, SequenceNode) else "members")
    )
    reading.fault(line_of(node), f"{_name_of(place)} is {shown}; write {wanted}")
    return ABSENT


def _name_of(place: Place) -> str:
    return next((part for part in reversed(place) if isinstance(part, str)), "document")
