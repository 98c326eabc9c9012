"""A script as a tree: tree-sitter's, with the grammar of tree-sitter-powershell. Pure.

The grammar wraps each operand in one node per level of precedence; `inner` takes those off.
"""

from collections.abc import Iterator
from functools import lru_cache

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser, Tree

from weft.fakes.hyperv.powershell.errors import NotUnderstood

_LANGUAGE = Language(tree_sitter_powershell.language())

_LEVELS = ("logical", "bitwise", "comparison", "additive", "multiplicative", "format", "range")
_WRAPPERS = {
    *(f"{level}_expression" for level in _LEVELS),
    *(f"{level}_argument_expression" for level in _LEVELS),
    "argument_expression",
    "array_literal_expression",
    "unary_expression",
    "pipeline",
    "pipeline_chain",
    "while_condition",
}
_SILENT = {"command_argument_sep", "empty_statement", "comment"}


@lru_cache(maxsize=256)
def parse(script: str) -> Tree:
    """Raises NotUnderstood where the grammar does not fit."""
    tree = Parser(_LANGUAGE).parse(script.encode())
    if tree.root_node.has_error:
        wrong = next(one for one in _all(tree.root_node) if one.type == "ERROR" or one.is_missing)
        raise NotUnderstood(f"the script cannot be parsed at: {text(wrong)[:80]!r}", line(wrong))
    return tree


def _all(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _all(child)


def text(node: Node) -> str:
    return (node.text or b"").decode()


def line(node: Node) -> int:
    return node.start_point[0] + 1


def inner(node: Node) -> Node:
    """The node without the levels of precedence that hold nothing else."""
    while node.type in _WRAPPERS and node.child_count == 1:
        node = node.children[0]
    return node


def parts(node: Node) -> list[Node]:
    """Named children that mean something."""
    return [child for child in node.named_children if child.type not in _SILENT]


def part(node: Node, kind: str) -> Node | None:
    """The first child of that kind."""
    return next((child for child in node.children if child.type == kind), None)


def descend(node: Node, *kinds: str) -> Node | None:
    """Through the first child of each kind in turn."""
    found: Node | None = node
    for kind in kinds:
        found = part(found, kind) if found is not None else None
    return found
