"""Resource ids of names that people gave elsewhere. Called by core.decide for what hosts have, by the CLI's import."""

import hashlib
import unicodedata
from fnmatch import fnmatchcase

from weft.model.values import check_resource_id

_LONGEST = 64


def slug(name: str) -> str:
    """A resource id as near to a name as it can be."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    spelt = "".join(c if c.isalnum() or c in "._-" else "-" for c in ascii_name)
    made = "-".join(part for part in spelt.split("-") if part)[:_LONGEST] if spelt != name else name[:_LONGEST]
    if not made.strip(".-"):
        return suffixed("vm", name)
    return check_resource_id(made)


def suffixed(made: str, rest: str) -> str:
    """A resource id with what tells it from others that would be spelt alike."""
    digest = hashlib.sha256(rest.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{made[: _LONGEST - 9]}-{digest}"


def fits(name: str, pattern: str) -> bool:
    """Whether a name is of a pattern, in any case: * and ? stand for others, all else for itself, brackets too."""
    return fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))
