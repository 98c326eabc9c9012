"""Do the resourceRefs of a file point at something of the right kind, in the file or on the controller?"""

import re
from collections.abc import Iterator
from typing import Any

from weft.cli.documents import Document, Documents
from weft.cli.faults import Fault, meant
from weft.cli.shapes import Place
from weft.model.errors import NotFound
from weft.model.kinds import BY_NAME
from weft.wire.client import Client, path_of

_VIRTUAL_SUBNET = "/virtualNetworks/NETWORK/subnets/SUBNET"
_LOGICAL_SUBNET = "/logicalNetworks/NETWORK/subnets/SUBNET"
_FORMS: dict[str, tuple[str, ...]] = {
    "server": ("/servers/NAME",),
    "logicalNetwork": ("/logicalNetworks/NAME",),
    "networkInterfaces": ("/networkInterfaces/NAME",),
    "subnet": (_VIRTUAL_SUBNET, _LOGICAL_SUBNET),
    "logicalSubnets": (_LOGICAL_SUBNET,),
    "dualStackSubnet": (_VIRTUAL_SUBNET,),
    "accessControlList": ("/accessControlLists/NAME",),
    "routeTable": ("/routeTables/NAME",),
    "remoteVirtualNetwork": ("/virtualNetworks/NAME",),
    "addressPlan": ("/weft/addressPlans/NAME",),
    "reservation": ("/weft/reservations/NAME",),
    "publicIPAddress": ("/publicIPAddresses/NAME",),
    "publicIPAddresses": ("/publicIPAddresses/NAME",),
    "greVipSubnets": (_LOGICAL_SUBNET,),
    "vlanSubnet": (_LOGICAL_SUBNET,),
    "pool": ("/gatewayPools/NAME",),
    "GatewayPools": ("/gatewayPools/NAME",),
    "gatewaySubnets": (_VIRTUAL_SUBNET,),
}
"""What the reference in a member may point at; members that are not here (credential) are kept, not followed."""

_PREFIX = re.compile(r"^/?(networking/v[0-9.]+|weft/v1|weft)(?=/)", re.IGNORECASE)


def normal_ref(text: str) -> str:
    """One spelling for what a resourceRef names: lower case, without version, prefix and trailing slash."""
    return "/" + _PREFIX.sub("", text.strip()).strip("/").lower()


def references(document: Document) -> Iterator[tuple[Place, str, str]]:
    """(place, member, text) of every reference that is followed."""
    yield from _walk(document.body.get("properties", {}), ("properties",), "")


def _walk(value: Any, place: Place, member: str) -> Iterator[tuple[Place, str, str]]:
    if isinstance(value, dict):
        text = value.get("resourceRef")
        if isinstance(text, str) and member in _FORMS:
            yield (*place, "resourceRef"), member, text
            return
        for name, below in value.items():
            yield from _walk(below, (*place, name), name)
    elif isinstance(value, list):
        for i, below in enumerate(value):
            yield from _walk(below, (*place, i), member)


def targets(documents: Documents) -> dict[str, str]:
    """Normal form and spelling of all that the file defines, children included; the lab's hosts are servers."""
    found: dict[str, str] = {}
    for document in documents.resources:
        ref = f"/{document.kind.name}/{document.id}"
        found[normal_ref(ref)] = ref
        for child in document.kind.children:
            for entry in document.body["properties"].get(child.name, ()):
                below = f"{ref}/{child.name}/{entry.get('resourceId', '')}"
                found[normal_ref(below)] = below
    for lab in documents.lab:
        if lab.kind == "lab/host":
            found[f"/servers/{lab.id.lower()}"] = f"/servers/{lab.id}"
    return found


def misdirected(documents: Documents) -> list[Fault]:
    """References of the wrong form: to another kind, or to a network where a subnet is asked for."""
    return [
        document.fault(place, f"{member} refers to '{text}'; write resourceRef: {' or '.join(_FORMS[member])}")
        for document in documents.resources
        for place, member, text in references(document)
        if not any(_has_form(normal_ref(text), form) for form in _FORMS[member])
    ]


def _has_form(ref: str, form: str) -> bool:
    parts, wanted = ref.split("/")[1:], _PREFIX.sub("", form).split("/")[1:]
    return len(parts) == len(wanted) and all(w.isupper() or w.lower() == p for p, w in zip(parts, wanted, strict=True))


async def dangling(client: Client, documents: Documents) -> list[Fault]:
    """References to nothing: neither in the file nor on the controller."""
    here = targets(documents)
    broken = tuple(normal_ref(document.ref) + "/" for document in documents.resources if document.broken)
    on_controller: dict[str, bool] = {}
    found: list[Fault] = []
    for document in documents.resources:
        for place, _, text in references(document):
            ref = normal_ref(text)
            if ref in here or ref.startswith(broken):
                continue
            if ref not in on_controller:
                on_controller[ref] = await client.find(path_of(ref)) is not None
            if not on_controller[ref]:
                known = [
                    name for name in [*here.values(), *await _siblings(client, ref)] if _alike(normal_ref(name), ref)
                ]
                what_to_do = meant(text, known, "define it in the file or correct the name")
                found.append(
                    document.fault(place, f"{text} is neither in the file nor on the controller; {what_to_do}")
                )
    return found


def _alike(one: str, other: str) -> bool:
    """Of one kind: /virtualNetworks/n is never what /logicalNetworks/n was to be."""
    ours, theirs = one.split("/")[1::2], other.split("/")[1::2]
    return ours == theirs and one.count("/") == other.count("/")


async def _siblings(client: Client, ref: str) -> list[str]:
    """References of the same kind, of children below the same parent, on the controller: to suggest one of them."""
    _, word, *below = ref.split("/")
    kind = BY_NAME.get(word)
    if kind is None:
        return []
    above = "/".join(["", kind.name, *below[:-1]])
    try:
        return [f"{above}/{item['resourceId']}" for item in await client.list_all(path_of(above))]
    except NotFound:
        return []
