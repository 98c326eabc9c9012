"""Reads a YAML stream of resources, as `weft apply -f` and `weft lab up` take it; see docs/api.md, Files.

Each document is one resource as the API takes it, its collection as `kind`. Promises: either Documents without a
fault that can be seen without a controller, or BadFile with every fault found. Whether a reference points at
something is asked in cli.references, which needs the controller.
"""

import sys
from pathlib import Path

from msgspec import inspect
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from weft.cli.documents import LAB_KINDS, Document, Documents, LabDocument
from weft.cli.faults import BadFile, Fault, meant, nearest
from weft.cli.references import misdirected
from weft.cli.rules import faults_of
from weft.cli.shapes import Reading, conform, line_of, members, plain
from weft.model.kinds import BY_NAME, KINDS

_NULL = "tag:yaml.org,2002:null"

_MAKERS = {
    "reservations": "make one with: weft pool reserve POOL --count N",
    "checkpoints": "take one with: weft vm checkpoint NAME CHECKPOINT",
    "exports": "make one with: weft vm export NAME EXPORT",
}


def read_stream(path: str | Path) -> Documents:
    """Read a file, or standard input for `-`. Raises BadFile."""
    documents, faults = examine_stream(path)
    if faults:
        raise BadFile(faults)
    return documents


def parse_stream(text: str, file: str) -> Documents:
    """Read a stream that is at hand; `file` is what faults call it. Raises BadFile."""
    documents, faults = _examine(text, file)
    if faults:
        raise BadFile(faults)
    return documents


def examine_stream(path: str | Path) -> tuple[Documents, list[Fault]]:
    """As `read_stream`, with the faults beside what could be read, for those who look for more of them."""
    if str(path) == "-":
        return _examine(sys.stdin.read(), "stdin")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        return Documents(()), [Fault(str(path), 1, f"cannot be read ({why}); name a YAML file")]
    return _examine(text, str(path))


def _examine(text: str, file: str) -> tuple[Documents, list[Fault]]:
    resources: list[Document] = []
    lab: list[LabDocument] = []
    nodes, faults = _nodes(text, file)
    notes: list[Fault] = []
    for node in nodes:
        reading = Reading(file, {(): line_of(node)}, [], [])
        found = _read(node, reading)
        resources += [found] if isinstance(found, Document) else []
        lab += [found] if isinstance(found, LabDocument) else []
        faults += reading.faults
        notes += reading.notes
    documents = Documents(tuple(resources), tuple(lab), tuple(notes))
    faults += faults_of(documents) + misdirected(documents)
    if not resources and not lab and not faults:
        faults.append(Fault(file, 1, "holds no document; write at least one with kind, resourceId and properties"))
    return documents, faults


def _nodes(text: str, file: str) -> tuple[list[Node], list[Fault]]:
    """The documents up to the first error of syntax, and that error."""
    found: list[Node] = []
    try:
        for node in YAML(typ="safe", pure=True).compose_all(text):
            if node is not None and getattr(node, "tag", "") != _NULL:
                found.append(node)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        return found, [Fault(file, line, f"not YAML: {error.problem}; check indentation, quotes and colons here")]
    except YAMLError as error:
        return found, [Fault(file, 1, f"not YAML: {error}; write plain text")]
    except RecursionError:
        return found, [Fault(file, 1, "is nested more deeply than any resource; write kind, resourceId and properties")]
    return found, []


def _read(node: Node, reading: Reading) -> Document | LabDocument | None:
    """One document, or None with its faults noted."""
    if not isinstance(node, MappingNode):
        reading.fault(line_of(node), "not a resource; write kind, resourceId and properties")
        return None
    said = {name.lower(): (line, value) for name, line, value in members(node, reading)}
    reading.faults.clear()  # members are read once more below, with the same faults
    if "kind" not in said:
        reading.fault(line_of(node), f"kind is missing; write one of {', '.join(_known())}")
        return None
    line, kind_node = said["kind"]
    name = str(kind_node.value) if isinstance(kind_node, ScalarNode) else ""
    if name.lower() in LAB_KINDS:
        return _lab(name.lower(), node, reading)
    kind = BY_NAME.get(name.lower())
    if kind is None:
        reading.fault(line, f"unknown kind '{name}'; {_which_kind(name)}")
        return _taken_for(nearest(name, _known()), said, reading)
    if kind.made_by_actions:
        reading.fault(line, f"{kind.name} are not written but made; {_MAKERS[kind.name]}")
        return None
    node.value = [pair for pair in node.value if str(pair[0].value).lower() != "kind"]
    if kind.singleton:
        reading.lines[("resourceId",)] = line_of(node)
    body = conform(node, inspect.type_info(kind.type), reading, ())
    broken = "properties" not in body and bool(reading.faults)
    body.setdefault("properties", {})
    body["resourceId"] = body.get("resourceId") or kind.singleton
    return Document(kind, body["resourceId"], body, reading.file, reading.lines, broken)


def _taken_for(kind_name: str | None, said: dict[str, tuple[int, Node]], reading: Reading) -> Document | None:
    """A document whose kind was misspelt is taken to be there, so that references to it are not faults too."""
    _, id_node = said.get("resourceid", (0, None))
    if kind_name is None or not isinstance(id_node, ScalarNode):
        return None
    name = str(id_node.value)
    body = {"resourceId": name, "properties": {}}
    return Document(BY_NAME[kind_name.lower()], name, body, reading.file, reading.lines, broken=True)


def _lab(kind: str, node: MappingNode, reading: Reading) -> LabDocument | None:
    written = plain(node, reading, ())
    body = {name.lower(): value for name, value in written.items()}
    if not body.get("resourceid"):
        reading.fault(line_of(node), "resourceId is missing; give the resource a name of its own")
        return None
    properties = body.get("properties") or {}
    if not isinstance(properties, dict):
        reading.fault(line_of(node), "properties is no mapping; write members (name: value)")
        return None
    return LabDocument(kind, str(body["resourceid"]), properties, reading.file, line_of(node))


def _known() -> list[str]:
    return [kind.name for kind in KINDS if not kind.made_by_actions]


def _which_kind(name: str) -> str:
    """What to write instead of an unknown kind."""
    parents = [parent.name for parent in KINDS if name.lower() in [child.name.lower() for child in parent.children]]
    if parents:
        return f"they are written inside their {' or '.join(parents)}"
    return meant(name, [*_known(), *LAB_KINDS], f"write one of {', '.join(_known())}")
