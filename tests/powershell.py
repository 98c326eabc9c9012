"""Checks PowerShell that Weft writes, without running it: parsed by tree-sitter, its calls compared with the table.

`faults` says in words what is wrong with a script: it does not parse, it calls what is neither in the table of cmdlets
nor a function of its own, it gives a parameter that the cmdlet's page does not have, or it uses a part of the language
that is left out so that a reader, and the fake host, need to know less. Used by tests of every room that has scripts.
"""

from collections.abc import Iterator

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

from weft.core.hyperv.cmdlets import CMDLETS

_PARSER = Parser(Language(tree_sitter_powershell.language()))

TYPES = {
    *("string", "int", "long", "bool", "byte", "uint32", "uint64", "guid", "datetime", "object"),
    *("switch", "hashtable", "pscustomobject"),
}
"""What may stand in [...], alone or as an array."""

LEFT_OUT = {
    "while_statement": "loops with while",
    "do_statement": "loops with do",
    "for_statement": "loops with for",
    "switch_statement": "uses switch",
    "trap_statement": "uses trap",
    "data_statement": "uses a data section",
    "class_statement": "defines a class",
    "command_invokation_operator": "runs what a value names",
    "redirection": "redirects a stream",
}


def parse(text: str) -> Node:
    """The root of the syntax tree."""
    return _PARSER.parse(text.encode()).root_node


def nodes(root: Node, *kinds: str) -> Iterator[Node]:
    """Every node of these kinds, in the order of the text."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type in kinds:
            yield node
        waiting += reversed(node.children)


def source(node: Node | None) -> str:
    """The text of a node; empty for none."""
    return (node.text or b"").decode() if node is not None else ""


def literals(text: str) -> list[str]:
    """What single-quoted here-strings of a script hold."""
    return [source(one)[3:-3] for one in nodes(parse(text), "verbatim_here_string_characters")]


def faults(text: str) -> list[str]:
    """What is wrong with a script; empty if nothing is."""
    root = parse(text)
    broken = [node for node in _every(root) if node.is_error or node.is_missing]
    if broken or root.has_error:
        return [f"line {node.start_point.row + 1}: does not parse: {source(node)[:60]!r}" for node in broken[:5]]
    found = [*_language(root), *_calls(root)]
    return found if text.isascii() else [*found, "has characters beyond ASCII"]


def _every(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _language(root: Node) -> Iterator[str]:
    for node in nodes(root, *LEFT_OUT):
        yield f"line {node.start_point.row + 1}: {LEFT_OUT[node.type]}"
    for node in nodes(root, "type_literal"):
        named = source(node).strip("[]").lower()
        if named not in TYPES:
            yield f"line {node.start_point.row + 1}: uses type {source(node)}"
    for node in nodes(root, "member_access", "invokation_expression"):
        if any(child.type == "::" for child in node.children):
            yield f"line {node.start_point.row + 1}: uses a static member: {source(node)[:60]}"
    for node in nodes(root, "expandable_string_literal", "expandable_here_string_literal"):
        if "$" in source(node):
            yield f"line {node.start_point.row + 1}: puts a value into a string: {source(node)[:60]}"


def _calls(root: Node) -> Iterator[str]:
    own = {source(_child(node, "function_name")): _parameters(node) for node in nodes(root, "function_statement")}
    tables = _Tables(root)
    for node in nodes(root, "command"):
        line, name = f"line {node.start_point.row + 1}:", source(_child(node, "command_name"))
        cmdlet = CMDLETS.get(name.lower())
        if name not in own and (cmdlet is None or cmdlet.name != name):
            yield f"{line} calls {name or source(node)[:40]!r}, which is neither in the table nor defined here"
            continue
        for given in _given(node, tables):
            known = given.lower() in own[name] if name in own else cmdlet is not None and cmdlet.knows(given)
            if not known:
                yield f"{line} {name} has no parameter {given}"


def _child(node: Node, kind: str) -> Node | None:
    return next((child for child in node.children if child.type == kind), None)


def _parameters(function: Node) -> set[str]:
    block = next(nodes(function, "param_block"), None)
    return {source(one)[1:].lower() for one in nodes(block, "variable")} if block is not None else set()


class _Tables:
    """Which keys a variable's table has at a place of the text: those that it was last made with, and those added."""

    def __init__(self, root: Node) -> None:
        self._written: list[tuple[str, bool, set[str]]] = []
        self._at: list[int] = []
        for node in nodes(root, "assignment_expression"):
            target, value = source(node.children[0]), node.children[-1]
            name = target.partition(".")[0].partition("[")[0]
            table = next(nodes(value, "hash_literal_expression"), None)
            self._at.append(node.start_byte)
            if target != name:
                self._written.append((name.lower(), False, {target.removeprefix(name).strip(".[]'")}))
            elif table is not None and source(table) == source(value):
                self._written.append((name.lower(), True, set(_keys(table))))
            else:
                self._written.append((name.lower(), True, {"of a value that is no table written here"}))

    def keys(self, variable: str, at: int) -> set[str]:
        found = {"of a value that is no table written here"}
        for place, (name, anew, keys) in zip(self._at, self._written, strict=True):
            if place < at and name == variable.lower():
                found = keys if anew else found | keys
        return found


def _keys(table: Node) -> Iterator[str]:
    body = _child(table, "hash_literal_body")
    for entry in body.children if body is not None else ():
        if entry.type == "hash_entry":
            yield source(entry.children[0]).strip("'")


def _given(command: Node, tables: _Tables) -> Iterator[str]:
    """Names of the parameters that this call gives, also by splatting; calls nested in it are their own."""
    elements = _child(command, "command_elements")
    for element in elements.children if elements is not None else ():
        text = source(element)
        if element.type == "command_parameter":
            yield text[1:].rstrip(":")
        elif text.startswith("@") and text[1:].isidentifier():
            yield from tables.keys(f"${text[1:]}", command.start_byte)
