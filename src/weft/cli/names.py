"""What people type for kinds and resources, in any case: virtualNetworks/blue, nic web1-eth0, blue/web. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from weft.cli.desk import Misuse
from weft.cli.faults import meant, nearest
from weft.cli.references import normal_ref
from weft.model.errors import InvalidMacAddress
from weft.model.kinds import (
    ACCESS_CONTROL_LISTS,
    BY_NAME,
    KINDS,
    NETWORK_INTERFACES,
    VIRTUAL_MACHINES,
    VIRTUAL_NETWORKS,
    Kind,
    owned_kind,
    resource_ref,
)
from weft.model.values import Mac, mac_dashes, parse_mac

_SHORT = {
    "nic": NETWORK_INTERFACES,
    "vm": VIRTUAL_MACHINES,
    "vnet": VIRTUAL_NETWORKS,
    "acl": ACCESS_CONTROL_LISTS,
}
"""Beside the full names, which may also be written in the singular."""
_A_SLIP = 0.8
"""How near a word is to a kind's name with a letter or two wrong: webserver is at 0.75 of servers."""


class Target(msgspec.Struct, frozen=True):
    """A collection or one resource. `ref` is its resourceRef, of a collection the path without an id."""

    kind: Kind
    ref: str
    one: bool

    @property
    def is_child(self) -> bool:
        return self.kind not in KINDS


def natural(name: str) -> list[tuple[int, int, str]]:
    """Order of names as people count: m2 before m10, in any case."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def by_name(resources: Iterable[Any]) -> list[Any]:
    """Resources in the natural order of their ids."""
    return sorted(resources, key=lambda resource: natural(resource["resourceId"]))


def _known(word: str) -> Kind | None:
    lower = word.lower()
    return _SHORT.get(lower.removesuffix("s")) or BY_NAME.get(lower) or BY_NAME.get(f"{lower}s")


def is_kind(word: str) -> bool:
    """Whether it is meant as a kind: one, something inside of one, or one with a slip. A name is often nearly one."""
    slipped = word.isalpha() and nearest(word, [kind.name for kind in KINDS], _A_SLIP)
    return bool(_known(word) or _parents_of(word) or slipped)


def kind_of(word: str) -> Kind:
    """A top-level kind. Raises Misuse with the nearest name."""
    kind = _known(word)
    if kind is None:
        known = [kind.name for kind in KINDS]
        if parents := _parents_of(word):
            raise Misuse(f"{word} are inside of {' or '.join(parents)}; write: weft get {word} --of {parents[-1]}/NAME")
        raise Misuse(f"unknown kind '{word}'; {meant(word, known, 'kinds are ' + ', '.join(known))}")
    return kind


def _parents_of(word: str) -> list[str]:
    """Kinds that have children of this name."""
    singular = word.lower().removesuffix("s")
    return [k.name for k in KINDS if singular in [child.name.lower().removesuffix("s") for child in k.children]]


def target_of(words: Sequence[str], of: str = "") -> Target:
    """`virtualNetworks`, `virtualNetworks blue`, `virtualNetworks/blue/subnets`, `subnets` of virtualNetworks/blue."""
    text = "/".join([*([of] if of else []), *words])
    parts = [part for part in _spelled(text).split("/") if part]
    if not parts:
        raise Misuse(f"no kind is given; kinds are {', '.join(kind.name for kind in KINDS)}")
    if len(words) and "/" not in of.strip("/") and (parents := _parents_of(words[0]) if of else []):
        raise Misuse(f"--of is a KIND/NAME; write: weft get {words[0]} --of {parents[-1]}/{of.strip('/')}")
    kind = kind_of(parts[0])
    if kind.owner:
        raise Misuse(f"{kind.name} are those of one of the {kind.owner}: weft get {kind.name} --of {kind.owner}/NAME")
    if len(parts) == 1:
        return Target(kind, resource_ref(kind, ""), False) if not kind.singleton else _singleton(kind)
    ref = resource_ref(kind, parts[1])
    for i in range(2, len(parts), 2):
        kind = _child_of(kind, parts[i])
        ref += "/" + "/".join([kind.name, *parts[i + 1 : i + 2]])
    return Target(kind, ref, len(parts) % 2 == 0)


def asked(command: str, kind: str, name: str = "", of: str = "") -> Target:
    """KIND NAME, KIND/NAME and so on, of a command. Raises Misuse, where it is a name alone saying how to write it."""
    if not (name or of or "/" in kind.strip("/") or is_kind(kind)):
        raise Misuse(f"'{kind}' is no kind; write the kind before the name, such as: {command} virtualMachines {kind}")
    return target_of([kind, *([name] if name else [])], of)


def _singleton(kind: Kind) -> Target:
    return Target(kind, resource_ref(kind, kind.singleton), True)


def _spelled(text: str) -> str:
    """Without the prefixes that a resourceRef or an address bar has; case kept."""
    bare = normal_ref(text)
    return text.strip("/")[-len(bare) + 1 :] if len(bare) > 1 else ""


def _child_of(parent: Kind, word: str) -> Kind:
    below = [*parent.children, *(kind for kind in KINDS if owned_kind(parent, kind.name))]
    for child in below:
        if word.lower() in (child.name.lower(), child.name.lower().removesuffix("s")):
            return child
    known = [child.name for child in below]
    raise Misuse(f"{parent.name} have no '{word}'; {meant(word, known, 'they have ' + (', '.join(known) or 'none'))}")


def subnet_ref(text: str) -> str:
    """`blue/web` (a virtual network's) or a full reference. Raises Misuse."""
    parts = text.strip("/").split("/")
    if len(parts) == 2 and all(parts):
        return f"/virtualNetworks/{parts[0]}/subnets/{parts[1]}"
    if len(parts) == 4:
        target = target_of([text])
        if target.kind.name == "subnets":
            return target.ref
    raise Misuse(f"'{text}' is no subnet; write NETWORK/SUBNET such as blue/web, or its resourceRef")


def pool_ref(text: str) -> str:
    """Something with addresses: a MAC pool by its name, `blue/web`, a host's range, or a full reference."""
    parts = text.strip("/").split("/")
    if len(parts) == 1:
        return f"/macPools/{parts[0]}"
    if len(parts) == 3 and parts[2].lower() == "macrange":
        return f"/servers/{parts[1]}/macRange"
    if len(parts) == 2 and BY_NAME.get(parts[0].lower()) is None:
        return subnet_ref(text)
    return target_of([text]).ref


def last_of(text: str) -> str:
    """The name alone of what may be written as a reference."""
    return text.strip("/").split("/")[-1]


def interface_ref(text: str) -> str:
    """A network interface by name or reference."""
    return f"/networkInterfaces/{last_of(text)}"


def server_ref(text: str) -> str:
    """A server by name or reference."""
    return f"/servers/{last_of(text)}"


def machine_ref(text: str) -> str:
    """A machine by name or reference."""
    return f"/weft/virtualMachines/{last_of(text)}"


def end_of_trace(text: str) -> str:
    """An IP address as it is, anything else as an interface."""
    looks_like_address = ":" in text or text.replace(".", "").replace("/", "").isdecimal()
    return text if looks_like_address else interface_ref(text)


def address_word(text: str) -> str:
    """A MAC in any notation as dashes, so that it can stand in a path; an IP address as it is."""
    try:
        return mac_dashes(parse_mac(text))
    except InvalidMacAddress:
        return text


def read_mac(text: str) -> Mac:
    """A MAC address in any notation. Raises Misuse."""
    try:
        return parse_mac(text)
    except InvalidMacAddress as error:
        raise Misuse(error.message) from error
