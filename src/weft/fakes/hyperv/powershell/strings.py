"""'text' and "text with $variables and $(expressions)"."""

from typing import Any

from tree_sitter import Node

from weft.fakes.hyperv.powershell.conversion import as_text
from weft.fakes.hyperv.powershell.errors import NotUnderstood
from weft.fakes.hyperv.powershell.session import Session
from weft.fakes.hyperv.powershell.tree import line

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def string_literal(session: Session, node: Node) -> str:
    kind = node.children[0]
    raw = kind.text or b""
    match kind.type:
        case "verbatim_string_characters":
            return raw.decode()[1:-1].replace("''", "'")
        case "verbatim_here_string_characters":
            return _here(raw.decode())
        case "expandable_string_literal":
            return _expanded(session, kind)
    raise NotUnderstood(kind.type.replace("_", " "), line(node))


def _here(raw: str) -> str:
    """Without its marks and the line ends beside them."""
    inside = raw[2:-2]
    first, last = inside.index("\n") + 1, inside.rindex("\n")
    return inside[first:last].removesuffix("\r") if last >= first else ""


def _expanded(session: Session, node: Node) -> str:
    raw = node.text or b""
    out, at = "", 1
    for child in node.children:
        if child.type not in ("variable", "sub_expression"):
            continue
        begin = child.start_byte - node.start_byte
        out += _unescaped(raw[at:begin].decode()) + as_text(_child(session, child))
        at = child.end_byte - node.start_byte
    return out + _unescaped(raw[at:-1].decode())


def _child(session: Session, node: Node) -> Any:
    return session.value(node)


def _unescaped(text: str) -> str:
    out, at = "", 0
    text = text.replace('""', '"')
    while at < len(text):
        if text[at] == "`" and at + 1 < len(text):
            at += 1
            out += _ESCAPES.get(text[at], text[at])
        else:
            out += text[at]
        at += 1
    return out
