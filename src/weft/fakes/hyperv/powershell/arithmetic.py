"""+ - * / %, -join, -split, -replace, -match, .. and -f. Pure."""

import re
from typing import Any

from weft.fakes.hyperv.powershell.conversion import as_text, number
from weft.fakes.hyperv.powershell.errors import NotUnderstood, PowerShellError
from weft.fakes.hyperv.powershell.values import Moment, Table, plain

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(\d+)(,[^}:]*)?(?::([^}]*))?\}")


def calculate(operator: str, left: Any, right: Any) -> Any:
    """`left operator right`. The left operand says what + does."""
    left, right = plain(left), plain(right)
    if operator == "+" and isinstance(left, list | str | Table):
        return _added(left, right)
    if operator == "+" and left is None:
        return right
    if operator == "*" and isinstance(left, str):
        return left * int(number(right))
    return _number(operator, number(left), number(right))


def _added(left: Any, right: Any) -> Any:
    if isinstance(left, str):
        return left + as_text(right)
    if isinstance(left, list):
        return left + (right if isinstance(right, list) else [right])
    if not isinstance(right, Table):
        raise PowerShellError("A hash table can only be added to another hash table.", id="AddHashTableToNonHashTable")
    for key in right.keys():
        if key in left:
            raise PowerShellError(f"Item has already been added. Key in dictionary: '{key}'", id="DuplicateKey")
    return Table([*left.items(), *right.items()])


def _number(operator: str, left: int | float, right: int | float) -> int | float:
    if operator in "/%" and right == 0:
        raise PowerShellError("Attempted to divide by zero.", id="RuntimeException")
    match operator:
        case "+":
            found = left + right
        case "-":
            found = left - right
        case "*":
            found = left * right
        case "/":
            found = left / right
            found = int(found) if found % 1 == 0 and isinstance(left, int) and isinstance(right, int) else found
        case "%":
            found = left - right * int(left / right)
        case _:
            raise NotUnderstood(f"the operator {operator}")
    if isinstance(found, int) and not -(2**63) <= found < 2**63:
        raise NotUnderstood(f"a number as large as {found}")
    return found


def counted(left: Any, right: Any) -> list[int]:
    """left..right"""
    first, last = int(number(left)), int(number(right))
    return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))


def on_text(operator: str, left: Any, right: Any) -> Any:
    """-join, -split, -replace, with case ignored unless the name begins with c."""
    name = operator.lower().lstrip("-")
    left, right = plain(left), plain(right)
    if name == "join":
        return as_text(right).join(as_text(one) for one in (left if isinstance(left, list) else [left]))
    flags = 0 if name.startswith("c") else re.IGNORECASE
    arguments = right if isinstance(right, list) else [right]
    if name.endswith("replace"):
        new = as_text(arguments[1]) if len(arguments) > 1 else ""
        replaced = [re.sub(as_text(arguments[0]), _template(new), as_text(one), flags=flags) for one in _each(left)]
        return replaced if isinstance(left, list) else replaced[0]
    if name.endswith("split") and len(arguments) == 1:
        return [one for text in _each(left) for one in re.split(as_text(arguments[0]), as_text(text), flags=flags)]
    raise NotUnderstood(f"the operator {operator} with these operands")


def matched(operator: str, left: Any, right: Any) -> tuple[bool, Table | None]:
    """-match and -notmatch of one text: the answer and, of a match, what $Matches holds."""
    name = operator.lower().lstrip("-")
    if isinstance(plain(left), list):
        raise NotUnderstood(f"{operator} with a list on its left")
    found = re.search(as_text(right), as_text(left), 0 if name.startswith("c") else re.IGNORECASE)
    groups = None
    if found is not None:
        named = [(key, one) for key, one in found.groupdict().items() if one is not None]
        groups = Table([(at, one) for at, one in enumerate((found[0], *found.groups())) if one is not None] + named)
    return (found is None) == name.endswith("notmatch"), groups


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _template(new: str) -> str:
    """.NET's $1 and $& in a replacement, as Python's."""
    if "$" in re.sub(r"\$(\d|&)", "", new):
        raise NotUnderstood(f"the replacement {new!r}")
    return re.sub(r"\$(\d)", r"\\g<\1>", new.replace("\\", "\\\\")).replace("$&", r"\g<0>")


def formatted(template: Any, values: Any) -> str:
    """template -f values"""
    given = values if isinstance(values, list) else [values]

    def one(found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if found[2] is not None:
            raise NotUnderstood(f"the alignment in {found[0]}")
        if int(found[1]) >= len(given):
            raise PowerShellError(
                "Error formatting a string: Index (zero based) must be greater than or equal to zero and less than the "
                "size of the argument list..",
                id="FormatError",
            )
        return _shown(plain(given[int(found[1])]), found[3] or "")

    return _PLACEHOLDER.sub(one, as_text(template))


def _shown(value: Any, form: str) -> str:
    if isinstance(value, Moment):
        raise NotUnderstood("-f with a time: its form is that of the host's language")
    if not form or isinstance(value, str):
        return as_text(value)
    kind, width = form[0], form[1:] or "0"
    if not isinstance(value, int) or not width.isdigit() or kind not in "xXdD":
        raise NotUnderstood(f"the format {form} of {as_text(value)}")
    return f"{value:0{int(width)}{'d' if kind in 'dD' else kind}}"
