"""The cmdlets of PowerShell itself that the scripts use: no host is needed for them."""

from collections.abc import Iterator
from functools import cmp_to_key
from typing import Any

from weft.fakes.hyperv.powershell.comparison import equal, order
from weft.fakes.hyperv.powershell.conversion import as_text, number, truth
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError
from weft.fakes.hyperv.powershell.json_text import from_json, to_json
from weft.fakes.hyperv.powershell.members import property_of
from weft.fakes.hyperv.powershell.pipeline import run_block
from weft.fakes.hyperv.powershell.session import Call, Cmdlet
from weft.fakes.hyperv.powershell.values import Record, ScriptBlock, collected, unrolled

Source = Iterator[Any] | None


def _objects(call: Call, source: Source) -> Iterator[Any]:
    """What is piped, or -InputObject as one object."""
    if source is not None:
        yield from source
    elif call.has("InputObject"):
        yield call.get("InputObject")


def _block(call: Call, parameter: str) -> ScriptBlock:
    found = call.get(parameter)
    if not isinstance(found, ScriptBlock):
        raise NotUnderstood(f"{call.cmdlet.name} without a script block")
    return found


def _where(call: Call, source: Source) -> Iterator[Any]:
    block = _block(call, "FilterScript")
    for one in _objects(call, source):
        with call.session.underscore(one):
            kept = truth(collected(run_block(call.session, block)))
        if kept:
            yield one


def _for_each(call: Call, source: Source) -> Iterator[Any]:
    block = _block(call, "Process")
    for one in _objects(call, source):
        with call.session.underscore(one):
            written = run_block(call.session, block)
        yield from written


def _select(call: Call, source: Source) -> Iterator[Any]:
    objects = _objects(call, source)
    if call.has("Last"):
        last = int(number(call.get("Last")))
        objects = iter(list(objects)[-last:] if last else [])
    if call.has("Skip"):
        objects = iter(list(objects)[int(number(call.get("Skip"))) :])
    left = int(number(call.get("First"))) if call.has("First") else -1
    seen: list[Any] = []
    for one in objects if left else ():
        chosen = _chosen(call, one)
        if call.get("Unique", False):
            chosen = [new for new in chosen if not any(equal(old, new, True) for old in seen)]
            seen += chosen
        yield from chosen
        left -= 1
        if left == 0:
            return


def _chosen(call: Call, value: Any) -> list[Any]:
    if call.has("ExpandProperty"):
        name = as_text(call.get("ExpandProperty"))
        if isinstance(value, Record) and not value.has(name):
            raise PowerShellError(f'Property "{name}" cannot be found.', id="ExpandPropertyNotFound")
        return unrolled(property_of(value, name))
    if not call.has("Property"):
        return [value]
    return [Record({name: property_of(value, name) for name in call.texts("Property")})]


def _sort(call: Call, source: Source) -> list[Any]:
    names = call.texts("Property")

    def key(value: Any) -> list[Any]:
        return [property_of(value, name) for name in names] if names else [value]

    def compared(one: Any, other: Any) -> int:
        found = (order(left, right) for left, right in zip(key(one), key(other), strict=True))
        return next((each for each in found if each), 0)

    ordered = sorted(_objects(call, source), key=cmp_to_key(compared))
    if call.get("Descending", False):
        ordered.reverse()
    if call.get("Unique", False):
        ordered = [one for at, one in enumerate(ordered) if not at or compared(ordered[at - 1], one)]
    return ordered


def _group(call: Call, source: Source) -> list[Record]:
    name = call.get("Property")
    groups: list[Record] = []
    for one in _objects(call, source):
        value = property_of(one, as_text(name)) if name is not None else one
        found = next((group for group in groups if equal(group.get("Key"), value)), None)
        if found is None:
            found = Record({"Key": value, "Name": as_text(value), "Group": [], "Count": 0}, "GroupInfo")
            groups.append(found)
        found.get("Group").append(one)
        found.set("Count", len(found.get("Group")))
    return groups


def _measure(call: Call, source: Source) -> list[Record]:
    values = list(_objects(call, source))
    if call.has("Property"):
        name = as_text(call.get("Property"))
        numbers = [number(property_of(one, name)) for one in values]
        found = {"Sum": sum(numbers), "Maximum": max(numbers, default=None), "Minimum": min(numbers, default=None)}
        wanted = {key: one for key, one in found.items() if call.get(key, False)}
    else:
        wanted = {}
    return [Record({"Count": len(values), **wanted}, "MeasureInfo")]


def _to_json(call: Call, source: Source) -> list[str]:
    """Several objects are an array, one is itself, none writes nothing."""
    objects = list(_objects(call, source))
    if not objects:
        return []
    value = objects[0] if len(objects) == 1 else objects
    return [to_json(value, int(number(call.get("Depth", 2))), compress=bool(call.get("Compress", False)))]


def _from_json(call: Call, source: Source) -> list[Any]:
    texts = [as_text(one) for one in _objects(call, source)]
    if not any(texts):
        raise PowerShellError(
            "Cannot bind argument to parameter 'InputObject' because it is an empty string.",
            id="ParameterArgumentValidationErrorEmptyStringNotAllowed",
            category="InvalidData",
        )
    return [from_json("\n".join(texts))]


def _null(call: Call, source: Source) -> list[Any]:
    for _ in _objects(call, source):
        pass
    return []


def _write(call: Call, source: Source) -> Iterator[Any]:
    for one in _objects(call, source):
        yield from unrolled(one) if source is None else [one]


def _warn(call: Call, source: Source) -> list[Any]:
    return []


def _join_path(call: Call) -> list[str]:
    parent, child = as_text(call.get("Path")), as_text(call.get("ChildPath"))
    return [parent.rstrip("\\/") + "\\" + child.lstrip("\\/")]


def _split_path(call: Call) -> list[str]:
    head, _, tail = as_text(call.get("Path")).replace("/", "\\").rstrip("\\").rpartition("\\")
    if call.get("Leaf", False):
        return [tail]
    return [head + "\\" if head.endswith(":") else head]


def _cmdlet(name: str, parameters: str, run_all: Any, **more: Any) -> Cmdlet:
    """Parameters in one text: a switch ends with `?`, a positional one begins with `@`."""
    split = parameters.split()
    names = tuple(one.strip("@?") for one in split)
    return Cmdlet(
        name,
        names,
        switches=tuple(one.strip("@?") for one in split if one.endswith("?")),
        positional=tuple(one.strip("@?") for one in split if one.startswith("@")),
        loud=True,
        nulls=True,
        run_all=run_all,
        **more,
    )


def _plain(name: str, parameters: str, run: Any) -> Cmdlet:
    made = _cmdlet(name, parameters, None, run=run)
    return made


_ALL = (
    _cmdlet("Where-Object", "@FilterScript InputObject", _where),
    _cmdlet("ForEach-Object", "@Process InputObject", _for_each),
    _cmdlet("Select-Object", "@Property ExpandProperty First Last Skip Unique? InputObject", _select),
    _cmdlet("Sort-Object", "@Property Descending? Unique? InputObject", _sort),
    _cmdlet("Group-Object", "@Property InputObject", _group),
    _cmdlet("Measure-Object", "@Property Sum? Maximum? Minimum? InputObject", _measure),
    _cmdlet("ConvertTo-Json", "@InputObject Depth Compress?", _to_json),
    _cmdlet("ConvertFrom-Json", "@InputObject", _from_json),
    _cmdlet("Out-Null", "InputObject", _null),
    _cmdlet("Write-Output", "@InputObject", _write),
    _cmdlet("Write-Warning", "@Message", _warn),
    _cmdlet("Write-Verbose", "@Message", _warn),
    _plain("Join-Path", "@Path @ChildPath", _join_path),
    _plain("Split-Path", "@Path Leaf? Parent?", _split_path),
)

BUILTINS: dict[str, Cmdlet] = {one.name: one for one in _ALL}
