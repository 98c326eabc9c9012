"""Reads XML from somebody else's machine: elements with their lines, and nothing that could grow.

The text stands inside a root element of ours, so several documents may follow each other, as `virsh dumpxml` run for
many machines leaves them. A document type cannot stand there, so no entity can be declared: what expands, or reads
another file, is a fault of syntax before it begins.
"""

import re
from collections.abc import Iterator
from xml.parsers import expat

import msgspec

_DECLARATION = re.compile(r"<\?xml\b[^>]*\?>")
_ROOT = "documents"


class NotXml(Exception):
    """`line` and what is wrong there."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class Element(msgspec.Struct, gc=True):
    """An element: name as written, attributes, text before its first child, children in order."""

    name: str
    attributes: dict[str, str]
    line: int
    text: str = ""
    children: list["Element"] = []

    def all(self, *names: str) -> Iterator["Element"]:
        """Descendants along a path of names."""
        for child in self.children:
            if child.name == names[0]:
                if len(names) == 1:
                    yield child
                else:
                    yield from child.all(*names[1:])

    def first(self, *names: str) -> "Element | None":
        return next(self.all(*names), None)

    def text_of(self, *names: str) -> str:
        """Text of the first descendant along a path; empty if there is none."""
        found = self.first(*names)
        return found.text.strip() if found is not None else ""

    def attribute_of(self, names: tuple[str, ...], attribute: str) -> str:
        found = self.first(*names)
        return found.attributes.get(attribute, "") if found is not None else ""


def read_documents(text: str) -> list[Element]:
    """The root elements of all documents in a text. Raises NotXml."""
    parser = expat.ParserCreate()
    root = Element(_ROOT, {}, 0)
    open_elements = [root]
    said: list[str] = []

    def keep() -> None:
        element = open_elements[-1]
        if said and not element.children:
            element.text = "".join(said)
        said.clear()

    def start(name: str, attributes: dict[str, str]) -> None:
        keep()
        element = Element(name, attributes, parser.CurrentLineNumber)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(name: str) -> None:
        keep()
        open_elements.pop()

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = said.append
    plain = _DECLARATION.sub(lambda found: "\n" * found[0].count("\n"), text)
    try:
        parser.Parse(f"<{_ROOT}>{plain}</{_ROOT}>", True)
    except expat.ExpatError as error:
        raise NotXml(error.lineno, _why(error, plain)) from None
    (documents,) = root.children
    return documents.children


def _why(error: expat.ExpatError, text: str) -> str:
    lines = text.splitlines()
    said = lines[error.lineno - 1] if error.lineno <= len(lines) else ""
    if "<!DOCTYPE" in said or "<!ENTITY" in said:
        return "a document type is not read, since entities can grow without end; leave it out"
    return f"not XML: {expat.ErrorString(error.code)}; write it with virsh dumpxml again"
