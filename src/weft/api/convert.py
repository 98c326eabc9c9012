"""Reads a body into its kind's struct, as tolerantly as the clients of MS-NCNBI need it. Pure.

Called by the handlers of PUT and by the batch. Two roads that agree (a property test compares them):

* the strict road, by msgspec alone, for bodies in the canonical spelling (most of them): a twin of the struct that
  forbids unknown members says whether it may be taken;
* the tolerant road for the rest: keys in any case, numbers and booleans as text, nulls, unknown and read-only members.

Promises: what is known is taken or refused with the property's path; what would change behaviour but is not served
yet is refused; everything else is dropped.
"""

import functools
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import inspect

from weft.api import words
from weft.api.bodies import Named
from weft.model.errors import Invalid, InvalidReference, InvalidRequestFormat
from weft.model.kinds import Kind
from weft.model.resources import Ref, Resource

INT_LIMIT = 1 << 53
"""Integers beyond this lose digits in clients' JSON; nothing in the model is larger."""

_BOM = b"\xef\xbb\xbf"
_INTEGER = re.compile(r"^[+-]?[0-9]{1,16}$")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}

_Reader = Callable[[Any, str], Any]
"""From a decoded JSON value and its path to a value of the field; raises Invalid."""


def read(kind: Kind, body: bytes, resource_id: str) -> Any:
    """Return the kind's Resource with this id (that of the URL). Raises Invalid and its kin, naming the property; also
    for a kind of which none may be made yet."""
    if kind.name in words.UNSERVED_KINDS:
        raise Invalid(
            f"{kind.name} are not served yet: {words.UNSERVED_KINDS[kind.name]}.", code="OperationNotSupported"
        )
    strict, decoder = _strict_road(kind.type)
    try:
        strict.decode(body)
        resource = decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        resource = read_tolerant(kind, body)
    return _named(resource, resource_id)


def read_tolerant(kind: Kind, body: bytes) -> Any:
    """Read by the tolerant road alone."""
    return _reader_of(kind.type)(parse_object(body), "")


def read_exactly(body_type: Any, body: bytes) -> Any:
    """Read the body of an action (weft.api.bodies); none at all is {}. Raises Invalid, naming the member."""
    return _reader_of(body_type)(parse_object(body) if body.strip() else {}, "")


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a body that must be one JSON object. Raises InvalidRequestFormat."""
    try:
        document = msgspec.json.decode(body.removeprefix(_BOM))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        reason = "it is nested too deeply" if isinstance(fault, RecursionError) else str(fault)
        raise InvalidRequestFormat(f"The body is not JSON: {reason}. Send one JSON object in UTF-8.") from None
    if not isinstance(document, dict):
        raise InvalidRequestFormat("The body is JSON but not an object. Send the resource as {...}.")
    return document


def _named(resource: Any, resource_id: str) -> Any:
    written = resource.resource_id
    if written == resource_id:
        return resource
    if written and written.lower() != resource_id.lower():
        raise Invalid(
            f"The body's resourceId is '{written}' but the URL names '{resource_id}'. Leave it out or make them equal.",
            target="resourceId",
        )
    return msgspec.structs.replace(resource, resource_id=resource_id)


# The strict road


@functools.cache
def _strict_road(resource_type: Any) -> tuple["msgspec.json.Decoder[Any]", "msgspec.json.Decoder[Any]"]:
    twin = _twin(inspect.type_info(resource_type), child=False)
    return msgspec.json.Decoder(twin), msgspec.json.Decoder(resource_type)


def _twin(info: inspect.Type, *, child: bool = True) -> Any:
    """Return a type that accepts only what both roads read alike."""
    match info:
        case inspect.StructType():
            return _twin_struct(info, child=child)
        case inspect.VarTupleType():
            item: Any = _twin(info.item_type)
            return tuple[item, ...]
        case inspect.UnionType():
            return _twin(_only(info)) | None
        case inspect.DictType():
            return dict[str, str]
        case inspect.BoolType():
            return bool
        case inspect.IntType():
            return Annotated[int, msgspec.Meta(ge=-INT_LIMIT, le=INT_LIMIT)]
        case inspect.StrType():
            return str
    raise TypeError(f"no twin for {info}")


def _twin_struct(info: inspect.StructType, *, child: bool) -> Any:
    owner = _class_of(info)
    fields: list[Any] = []
    rename: dict[str, str] = {}
    for field in info.fields:
        key = (owner, field.name)
        served = words.SERVED_VALUES.get(key)
        if key in words.GATES:
            # where its default is no word or number, a body that has it takes the other road
            served = (default_of(owner, field.name),)
        if key in words.READ_ONLY or (served and not all(type(value) in (str, int) for value in served)):
            continue
        rename[field.name] = field.encode_name
        if field.name == "resource_id" and child:
            fields.append((field.name, Annotated[str, msgspec.Meta(min_length=1)]))
        elif served or key in words.VALUES:
            fields.append((field.name, Literal[served or words.VALUES[key]], None))
        elif field.name == "resource_ref":
            fields.append((field.name, Annotated[str, msgspec.Meta(pattern="^/")]))
        else:
            fields.append((field.name, _twin(field.type), None))
    return msgspec.defstruct(
        f"Strict{owner.__name__}", fields, rename=rename, forbid_unknown_fields=True, kw_only=True, frozen=True
    )


def default_of(owner: type[Any], name: str) -> Any:
    """The value that a field has where a body does not name it."""
    (field,) = (each for each in msgspec.structs.fields(owner) if each.name == name)
    return field.default


def _only(union: inspect.UnionType) -> inspect.Type:
    """The one alternative beside null."""
    (info,) = (each for each in union.types if not isinstance(each, inspect.NoneType))
    return info


def _class_of(info: inspect.StructType) -> type[Any]:
    """The struct's class; of a generic one, without its parameter."""
    return getattr(info.cls, "__origin__", info.cls)


# The tolerant road


@functools.cache
def _reader_of(resource_type: Any) -> _Reader:
    return _reader(inspect.type_info(resource_type))


def _reader(info: inspect.Type) -> _Reader:
    match info:
        case inspect.StructType():
            references: dict[Any, _Reader] = {Ref: _read_reference, Named: _read_named}
            return references.get(info.cls) or _StructReader(info)
        case inspect.VarTupleType():
            return _list_reader(_reader(info.item_type), info.item_type)
        case inspect.UnionType():
            return _reader(_only(info))
        case inspect.DictType():
            return _read_tags
        case inspect.BoolType():
            return _read_bool
        case inspect.IntType():
            return _read_int
        case inspect.StrType():
            return _read_text
    raise TypeError(f"no reader for {info}")


class _StructReader:
    """Reads one struct: known members by name without regard to case, the rest dropped or refused."""

    def __init__(self, info: inspect.StructType) -> None:
        owner = _class_of(info)
        self._make: Callable[..., Any] = info.cls
        self._fields: dict[str, tuple[str, str, _Reader]] = {
            field.encode_name.lower(): (field.name, field.encode_name, _worded(owner, field.name, _reader(field.type)))
            for field in info.fields
            if (owner, field.name) not in words.READ_ONLY
        }
        for alias, name in words.ALIASES.get(owner, {}).items():
            self._fields[alias] = next(entry for entry in self._fields.values() if entry[0] == name)
        self._unserved = _unserved_of(owner)
        self._needs_properties = owner is Resource
        self._exact = info.forbid_unknown_fields
        self._required = {field.name: field.encode_name for field in info.fields if field.required and self._exact}

    def __call__(self, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise _wrong(path, "an object", value)
        values: dict[str, Any] = {}
        for key, member in value.items():
            if member is not None:
                self._read_member(values, key, member, path)
        if self._needs_properties and "properties" not in values:
            self._read_member(values, "properties", {}, path)
        for name, written in self._required.items():
            if values.get(name, "") == "":
                raise _missing(f"{path}.{written}" if path else written)
        return self._make(**values)

    def _read_member(self, values: dict[str, Any], key: str, member: Any, path: str) -> None:
        entry = self._fields.get(key.lower())
        if entry is not None:
            name, written, reader = entry
            values[name] = reader(member, f"{path}.{written}" if path else written)
        elif key.lower() in self._unserved:
            _refuse_unserved(self._unserved[key.lower()], member, path)
        elif self._exact:
            known = ", ".join(written for _, written, _ in self._fields.values()) or "none"
            target = f"{path}.{key}" if path else key
            raise Invalid(f"'{target}' is not known here; known members: {known}.", target=target[:200])


def _list_reader(item: _Reader, item_type: inspect.Type) -> _Reader:
    holds_children = isinstance(item_type, inspect.StructType) and _class_of(item_type) is Resource

    def read_list(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise _wrong(path, "a list", value)
        read_items = tuple(item(member, f"{path}[{at}]") for at, member in enumerate(value) if member is not None)
        if holds_children:
            for at, child in enumerate(read_items):
                if not child.resource_id:
                    raise Invalid(
                        f"{path}[{at}] has no resourceId. Give each child one of your choice, unique in its parent.",
                        code="RequiredParamMissing",
                        target=f"{path}[{at}].resourceId",
                    )
        return read_items

    return read_list


def _worded(owner: type[Any], name: str, reader: _Reader) -> _Reader:
    """Add the checks of weft.api.words to a field's reader."""
    allowed = words.VALUES.get((owner, name))
    served = words.SERVED_VALUES.get((owner, name))
    gate = words.GATES.get((owner, name), "")
    empty = (owner, name) in words.EMPTY_FOR_NONE
    if allowed is None and served is None and not gate and not empty:
        return reader
    spelled = {value.lower(): value for value in allowed or ()} | words.SYNONYMS.get((owner, name), {})

    def read_worded(value: Any, path: str) -> Any:
        if empty and value in ("", {}, []):
            return None
        result = reader(value, path)
        if allowed is not None:
            if result.lower() not in spelled:
                raise Invalid(f"{path} is '{result}'. Write one of {', '.join(filter(None, allowed))}.", target=path)
            result = spelled[result.lower()]
        if served is not None and result not in served:
            raise _not_served(path, f"'{value}'" if isinstance(value, str | int) else "this value")
        if gate and result != default_of(owner, name) and result:
            raise Invalid(
                f"{path} is not served yet: {gate}; nothing is pretended. Leave it out.",
                code="OperationNotSupported",
                target=path,
            )
        return result

    return read_worded


def _unserved_of(owner: type[Any]) -> dict[str, tuple[str, Any]]:
    """Members to refuse, by lower-case name: spelling, and the value that asks for nothing (... for references)."""
    references = {name.lower(): (name, ...) for name in words.UNSERVED_REFERENCES.get(owner, ())}
    members = {name.lower(): (name, idle) for name, idle in words.UNSERVED_MEMBERS.get(owner, {}).items()}
    return references | members


def _refuse_unserved(member: tuple[str, Any], value: Any, path: str) -> None:
    name, idle = member
    target = f"{path}.{name}" if path else name
    if value in ("", [], {}):
        return
    if idle is ...:
        raise InvalidReference(
            f"{target} refers to a kind of resource that this version does not serve yet, so there is no such "
            "resource. Leave the member out.",
            target=target,
        )
    if str(value).lower() != str(idle).lower():
        raise _not_served(target, f"'{value}'")


def _not_served(path: str, what: str) -> Invalid:
    return Invalid(
        f"{path}: {what} is not served yet; nothing is pretended. Leave the member out.",
        code="OperationNotSupported",
        target=path,
    )


def _missing(path: str) -> Invalid:
    return Invalid(f"{path} is missing: it must be named.", code="RequiredParamMissing", target=path)


def _wrong(path: str, wanted: str, value: Any) -> Invalid:
    got = {dict: "an object", list: "a list", bool: "true or false", str: f"'{value}'"}.get(type(value), str(value))
    return Invalid(f"{path or 'The body'} must be {wanted}, not {got}.", target=path or None)


def _read_text(value: Any, path: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise _wrong(path, "text", value)


def _read_int(value: Any, path: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    elif isinstance(value, str) and _INTEGER.match(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -INT_LIMIT <= value <= INT_LIMIT:
        raise _wrong(path, "a whole number", value)
    return value


def _read_bool(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int) and str(value).strip().lower() in _TRUTH:
        return _TRUTH[str(value).strip().lower()]
    raise _wrong(path, "true or false", value)


def _read_tags(value: Any, path: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _wrong(path, "an object of texts", value)
    return {
        key: str(member).lower() if isinstance(member, bool) else _read_text(member, f"{path}.{key}")
        for key, member in value.items()
        if member is not None
    }


def _read_reference(value: Any, path: str) -> Ref:
    if not isinstance(value, dict):
        raise InvalidRequestFormat(
            f'{path} must be a reference, an object {{"resourceRef": "/..."}}.',
            detail_code="InvalidJsonReferenceWrongType",
            target=path,
        )
    for key, member in value.items():
        if key.lower() == "resourceref" and isinstance(member, str):
            if not member.startswith("/"):
                break
            return Ref(member)
    raise InvalidRequestFormat(
        f"{path}.resourceRef must be text that begins with '/', such as /virtualNetworks/blue/subnets/web.",
        detail_code="InvalidJsonReferenceFormat",
        target=f"{path}.resourceRef",
    )


def _read_named(value: Any, path: str) -> Named:
    return Named(value if isinstance(value, str) and value else _read_reference(value, path).resource_ref)
