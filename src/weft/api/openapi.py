"""GET /openapi.json, made from the structs and the tables that the handlers use, so that it cannot fall behind them.

Called once by weft.api.routes. Pure. Bodies are read more tolerantly than described here (weft.api.convert).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from weft.api import bodies, words
from weft.api.actions import ACTIONS
from weft.model.inventory import Inventory
from weft.model.kinds import BY_NAME, KINDS, RESERVATIONS, SERVERS, VIRTUAL_MACHINES, Kind

Schema = dict[str, Any]

_ERROR = {"$ref": "#/components/schemas/Error"}
_ANY = {"type": "object"}
_REF = "#/components/schemas/{name}"
_TEXT = {"type": "string"}

_HEADERS = [
    ("If-Match", "The etag that the resource must have, or *."),
    ("If-None-Match", "* : the resource must be absent."),
    ("x-ms-client-request-id", "A retry with the same id and content gets the same answer."),
]
_QUERY = [
    ("dryRun", {"type": "boolean"}, "Decide, answer the changes, keep nothing."),
    ("wait", {"type": "string", "enum": ["hosts"]}, "Answer when every host that needs the change has applied it."),
    ("timeout", {"type": "number", "minimum": 0, "maximum": 600}, "Seconds to wait; then 504."),
]


def document(version: str) -> Schema:
    """The whole description."""
    types = [kind.type for kind in _walk(KINDS)]
    asked = (bodies.Create, bodies.Release, bodies.Reserve, Inventory, *(action.body for action in ACTIONS.values()))
    _, components = msgspec.json.schema_components([*types, *asked], ref_template=_REF)
    for schema in components.values():
        for hidden in _hidden_names():
            schema.get("properties", {}).pop(hidden, None)
    for (owner, name), (value, note) in words.ASSUMED.items():
        encoded = next(field.encode_name for field in msgspec.structs.fields(owner) if field.name == name)
        components[owner.__name__]["properties"][encoded] |= {"default": value, "description": note}
    components["Error"] = _error_schema()
    paths: dict[str, Schema] = {}
    for kind in KINDS:
        base = "/networking/v1" if kind.prefix == "networking" else "/weft/v1"
        if kind.owner:
            _add_owned(paths, kind, base)
        else:
            _add_kind(paths, kind, f"{base}/{kind.name}", ())
    for path, verbs in _weft_paths().items():
        paths[path] = paths.get(path, {}) | verbs
    return {
        "openapi": "3.1.0",
        "info": {"title": "Weft", "version": version},
        "paths": paths,
        "components": {"schemas": components},
    }


def _walk(kinds: tuple[Kind, ...]) -> Iterator[Kind]:
    for kind in kinds:
        yield kind
        yield from _walk(kind.children)


def _hidden_names() -> set[str]:
    return {
        field.encode_name
        for owner, name in words.HIDDEN
        for field in msgspec.structs.fields(owner)
        if field.name == name
    }


def _error_schema() -> Schema:
    detail = {"type": "object", "properties": {"code": _TEXT, "message": _TEXT}, "required": ["code"]}
    error = {
        "type": "object",
        "properties": {
            "code": _TEXT,
            "message": _TEXT,
            "target": _TEXT,
            "details": {"type": "array", "items": detail},
        },
        "required": ["code", "message"],
    }
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}


def _reference(kind: Kind) -> Schema:
    return _schema_of(kind.type)


def _schema_of(struct: Any) -> Schema:
    (reference,), _ = msgspec.json.schema_components([struct], ref_template=_REF)
    return reference


def _add_owned(paths: dict[str, Schema], kind: Kind, base: str) -> None:
    """All of them in one list, and those of one owner below it."""
    owner = BY_NAME[kind.owner.lower()]
    listed = _listed(_reference(kind))
    paths[f"{base}/{kind.name}"] = {"get": _operation(f"List {kind.name}", {"200": listed})}
    _add_kind(paths, kind, f"{base}/{owner.name}/{{id}}/{kind.name}", ("id",))


def _listed(reference: Schema) -> Schema:
    return {"type": "object", "properties": {"value": {"type": "array", "items": reference}, "nextLink": _TEXT}}


def _add_kind(paths: dict[str, Schema], kind: Kind, path: str, parents: tuple[str, ...]) -> None:
    reference = _reference(kind)
    own = f"id{len(parents) + 1}" if parents else "id"
    one = f"{path}/{kind.singleton}" if kind.singleton else f"{path}/{{{own}}}"
    inside = parents if kind.singleton else (*parents, own)
    paths[path] = _described({"get": _operation(f"List {kind.name}", {"200": _listed(reference)})}, parents)
    verbs: Schema = {"get": _operation(f"Read one of {kind.name}", {"200": reference})}
    if kind.child_actions and not kind.made_by_actions:
        answers = {"200": reference, "201": reference}
        verbs["put"] = _writing(_operation(f"Create or replace one of {kind.name}", answers))
        verbs["put"]["requestBody"] = _body(reference, required=True)
    if kind.child_actions and not kind.singleton:
        verbs["delete"] = _writing(_operation(f"Delete one of {kind.name}", {"200": None, "204": None}))
        if kind is SERVERS:
            verbs["delete"]["parameters"] += _FORCE
        if kind is VIRTUAL_MACHINES:
            verbs["delete"]["parameters"] += _OF_A_MACHINE
    paths[one] = _described(verbs, inside)
    for child in kind.children:
        _add_kind(paths, child, f"{one}/{child.name}", inside)


def _operation(summary: str, answers: Mapping[str, Schema | None]) -> Schema:
    responses: Schema = {status: _response(schema) for status, schema in answers.items()}
    responses["default"] = _response(_ERROR, "Refused or failed")
    return {"summary": summary, "responses": responses}


def _response(schema: Schema | None, text: str = "Done") -> Schema:
    if schema is None:
        return {"description": text}
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _writing(operation: Schema, *, preconditions: bool = True) -> Schema:
    asked = _HEADERS if preconditions else _HEADERS[-1:]
    headers = [{"name": n, "in": "header", "description": d, "schema": _TEXT} for n, d in asked]
    query = [{"name": n, "in": "query", "description": d, "schema": s} for n, s, d in _QUERY]
    return operation | {"parameters": [*headers, *query]}


def _described(verbs: Schema, names: tuple[str, ...]) -> Schema:
    if not names:
        return verbs
    parameters = [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]
    return {"parameters": parameters, **verbs}


def _body(schema: Schema, *, required: bool) -> Schema:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _action_paths() -> dict[str, Schema]:
    """POSTs that read their body exactly, and take what every write takes."""
    machines = f"/weft/v1/{VIRTUAL_MACHINES.name}"
    machine = _reference(VIRTUAL_MACHINES)
    paths: dict[str, Schema] = {}
    for action in ACTIONS.values():
        path = f"{machines}/{action.name}" if action.on_collection else f"{machines}/{{id}}/{action.name}"
        post = _writing(_operation(action.says, {"200": machine}), preconditions=False)
        post["requestBody"] = _body(_schema_of(action.body), required=bool(action.body.__struct_fields__))
        paths[path] = _described({"post": post}, () if action.on_collection else ("id",))
    create = _writing(_operation("Make a machine as a whole", {"200": machine, "201": machine}), preconditions=False)
    create["requestBody"] = _body(_schema_of(bodies.Create), required=True)
    paths[machines] = {"post": create}
    release = _writing(_operation("End a cool-down, or free what is inactive", {"200": _ANY}), preconditions=False)
    release["requestBody"] = _body(_schema_of(bodies.Release), required=True)
    release["parameters"].append(_query("scope", "The network that is meant, where several know the address."))
    paths["/weft/v1/addresses/{address}/release"] = _described({"post": release}, ("address",))
    reservation = _reference(RESERVATIONS)
    for path, names in _POOLS.items():
        answers = {"200": reservation, "201": reservation}
        reserve = _writing(_operation("Hold addresses for a purpose", answers), preconditions=False)
        reserve["requestBody"] = _body(_schema_of(bodies.Reserve), required=True)
        paths[f"/weft/v1{path}/reserve"] = _described({"post": reserve}, names)
    return paths


def _weft_paths() -> dict[str, Schema]:
    body = _body(_ANY, required=False)
    paths = _action_paths()
    for name in ("batch", "trace"):
        paths[f"/weft/v1/{name}"] = {"post": _operation(name, {"200": _ANY}) | {"requestBody": body}}
    paths["/weft/v1/conflicts"] = {"get": _operation("Every present clash", {"200": _ANY}) | {"parameters": _CLASHES}}
    audit = _operation("What is wrong with an inventory, and what will be", {"200": _ANY})
    audit |= {"requestBody": _body(_schema_of(Inventory), required=True)}
    paths["/weft/v1/audits"] = {"post": audit}
    paths["/weft/v1/schemas/inventory"] = {"get": _operation("The JSON Schema of an inventory", {"200": _ANY})}
    state = _operation("state of a host", {"200": _ANY})
    policy = _operation("policy of a host", {"200": _ANY}) | {"parameters": _POLICY}
    paths["/weft/v1/servers/{id}/state"] = _described({"get": state}, ("id",))
    there = _operation("What a host's hypervisor has, strangers too", {"200": _ANY})
    paths["/weft/v1/servers/{id}/machines"] = _described({"get": there}, ("id",))
    evacuate = _operation("Move every machine off a server", {"200": _ANY, "202": _ANY})
    evacuate["requestBody"] = _body(_schema_of(bodies.Evacuate), required=False)
    evacuate["parameters"] = [
        {"name": "timeout", "in": "query", "schema": {"type": "number"}, "description": "Seconds."}
    ]
    far = _operation("How far the last evacuation is", {"200": _ANY, "202": _ANY})
    paths["/weft/v1/servers/{id}/evacuate"] = _described({"get": far, "post": evacuate}, ("id",))
    paths["/weft/v1/servers/{id}/policy"] = _described({"get": policy}, ("id",))
    paths["/weft/v1/addresses/{address}"] = _described(
        {"get": _operation("One address with its history", {"200": _ANY})}, ("address",)
    )
    for path, names in (_POOLS | _RANGES).items():
        paths[f"/weft/v1{path}/usage"] = _described({"get": _operation("Usage", {"200": _ANY})}, names)
        paths[f"/weft/v1{path}/addresses"] = _described(
            {"get": _operation("Addresses one by one", {"200": _ANY}) | {"parameters": _PAGE}}, names
        )
    after = {"name": "after", "in": "query", "schema": _TEXT, "description": "GENERATION:REVISION; else from now on."}
    events = _text_page("Every change as server-sent events", "text/event-stream")
    paths["/weft/v1/watch"] = {"get": events | {"parameters": [after]}}
    pcap = {"description": "Done", "content": {"application/vnd.tcpdump.pcap": {"schema": _TEXT}}}
    copied = {"summary": "An interface's packets", "responses": {"200": pcap, "default": _response(_ERROR, "Refused")}}
    paths["/weft/v1/capture"] = {"get": copied | {"parameters": [_query(*one) for one in _CAPTURE]}}
    paths["/metrics"] = {"get": _text_page("Counts and gauges for Prometheus", "text/plain")}
    paths["/networking/discovery"] = {"get": _operation("Versions served", {"200": _ANY})}
    for name, answer in (("operations", {"200": _ANY}), ("operationResults", {"204": None})):
        found = _operation("Every write has ended when it answers", answer)
        paths[f"/networking/v1/{name}/{{id}}"] = _described({"get": found}, ("id",))
    for name in ("healthz", "readyz"):
        paths[f"/{name}"] = {"get": _operation(name, {"200": _ANY, "503": _ANY})}
    return paths


def _text_page(summary: str, content_type: str) -> Schema:
    done = {"description": "Done", "content": {content_type: {"schema": _TEXT}}}
    return {"summary": summary, "responses": {"200": done, "default": _response(_ERROR, "Refused or failed")}}


_CAPTURE = (
    ("interface", "Whose packets: its name or reference."),
    ("server", "While its machine moves: which of both hosts."),
    ("seconds", "Ends after so long."),
    ("packets", "Ends after so many; 0: never."),
    ("snap", "So many bytes of each packet."),
    ("filter", "As `tcp and port 80`."),
)

_POOLS = {
    "/macPools/{id}": ("id",),
    "/logicalNetworks/{id}/subnets/{id2}": ("id", "id2"),
    "/logicalNetworks/{id}/subnets/{id2}/ipPools/{id3}": ("id", "id2", "id3"),
    "/virtualNetworks/{id}/subnets/{id2}": ("id", "id2"),
}
_RANGES = {"/servers/{id}/macRange": ("id",), "/servers/{id}": ("id",)}
"""Pools in which nothing is reserved by hand."""


def _query(name: str, description: str = "", schema: Schema | None = None) -> Schema:
    return {"name": name, "in": "query", "schema": schema or _TEXT, "description": description}


_FORCE = [
    _query("force", "The server will not come back: its machines are bound to none.", {"type": "boolean"}),
    _query("reason", "With force: why, for the history of each address."),
    _query(
        "fenced",
        "With force: it is cut off and runs nothing, although its agent is connected.",
        {"type": "boolean"},
    ),
]
_OF_A_MACHINE = [
    _query("keepDisks", "Leave the disks that were made for it.", {"type": "boolean"}),
    _query("force", "Of one that was taken in: although it runs; it goes on running.", {"type": "boolean"}),
]
_LIMITS = [
    _query("limit", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": 1000}),
    _query("after", "As in nextLink."),
]
_PAGE = [_query("state", "One of the six states."), *_LIMITS]
_POLICY = [
    _query("format", "json, or powershell: a script, as text/plain."),
    _query("version", "Of powershell: v1, or v2 with port profiles only."),
]
_CLASHES = [
    _query("kind", "activeTwin, foreign, drift, rangeOverlap or clearText."),
    _query("server", "Those on this server."),
    _query("machine", "Those of this machine."),
    *_LIMITS,
]
