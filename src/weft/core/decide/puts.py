"""PUT and DELETE of any resource or child: the envelope's rules around those of the family.

Called by core.decide. A child is put or deleted by replacing its parent with that child changed, under the same rules.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from weft.core.commands import Decision, Delete, Path, Preconditions, Put
from weft.core.decide import (
    access_control_lists,
    address_plans,
    captures,
    clusters,
    gateway_pools,
    gateways,
    logical_networks,
    mac_pools,
    network_interfaces,
    public_addresses,
    reservations,
    route_tables,
    servers,
    virtual_gateways,
    virtual_machines,
    virtual_network_manager,
    virtual_networks,
)
from weft.core.decide.draft import Draft
from weft.core.decide.envelope import (
    carry,
    check_children,
    check_delete,
    check_preconditions,
    child_kind_of,
    guid,
    ref_of,
    retag_alone,
    retag_along,
    with_child,
    without_child,
)
from weft.core.state import State, child_of, owned_path
from weft.model.errors import Conflict, Invalid, NotFound, PreconditionFailed
from weft.model.kinds import BY_NAME, VIRTUAL_MACHINES, Kind
from weft.model.resources import AnyResource, Resource
from weft.model.values import check_resource_id

Settle = Callable[[Draft, Any, Any], Any]
Remove = Callable[[Draft, Any], None]


def _keep_manager(draft: Draft, old: AnyResource) -> None:
    raise Invalid("The virtualNetworkManager cannot be deleted.", code="OperationNotSupported")


ANYHOW = Preconditions()

RULES: dict[str, tuple[Settle, Remove]] = {
    "virtualNetworkManager": (virtual_network_manager.settle, _keep_manager),
    "macPools": (mac_pools.settle, mac_pools.remove),
    "addressPlans": (address_plans.settle, address_plans.remove),
    "logicalNetworks": (logical_networks.settle, logical_networks.remove),
    "servers": (servers.settle, servers.remove),
    "clusters": (clusters.settle, clusters.remove),
    "publicIPAddresses": (public_addresses.settle, public_addresses.remove),
    "gatewayPools": (gateway_pools.settle, gateway_pools.remove),
    "gateways": (gateways.settle, gateways.remove),
    "virtualGateways": (virtual_gateways.settle, virtual_gateways.remove),
    "accessControlLists": (access_control_lists.settle, access_control_lists.remove),
    "routeTables": (route_tables.settle, route_tables.remove),
    "virtualNetworks": (virtual_networks.settle, virtual_networks.remove),
    "networkInterfaces": (network_interfaces.settle, network_interfaces.remove),
    "reservations": (reservations.settle, reservations.remove),
    "virtualMachines": (virtual_machines.settle, virtual_machines.remove),
    "checkpoints": (captures.settle_checkpoint, captures.remove_checkpoint),
    "exports": (captures.settle_export, captures.remove_export),
}
"""Per kind: properties as they will be stored, and what a delete must check and release."""


def put(draft: Draft, command: Put) -> Decision:
    """Create or replace. Raises a Refusal."""
    path = owned_path(command.path)
    kind = _kind(path)
    if kind.made_by_actions:
        # refused by its family whatever was sent, before anything of it is looked at
        RULES[kind.name][0](draft, command.document, None)
    old = draft.state.get(kind.name, path.id)
    target = draft.state.find(path) if path.below else old
    if command.when != ANYHOW:
        check_preconditions(command.when, target, ref_of(path, kind))
    if not path.below:
        sent = _with_id(path.id, command.document, old)
    elif old is not None:
        sent = with_child(kind, old, path.below, command.document)
    else:
        raise PreconditionFailed(f"The parent {kind.name}/{path.id} does not exist: create it first.")
    check_children(kind, sent.properties)
    stored = _settle(draft, kind, sent, old)
    if stored == old and draft.is_empty():
        return Decision(changes=(), outcome="unchanged", resource=target)
    stored = retag_along(kind, stored, path.below, draft.new_id)
    draft.put(kind.name, stored.resource_id.lower(), old, stored)
    answer = stored if not path.below else _child_at(kind, stored, path.below)
    return Decision(changes=draft.changes(), outcome="created" if target is None else "replaced", resource=answer)


def delete(draft: Draft, command: Delete) -> Decision:
    """Delete a resource or child with all below it; `unchanged` if there is none. Raises a Refusal."""
    path = owned_path(command.path)
    kind = _kind(path)
    old = draft.state.get(kind.name, path.id)
    target = draft.state.find(path)
    if old is None or target is None:
        return Decision(changes=(), outcome="unchanged")
    check_delete(command.when, target, ref_of(path, kind))
    after = None
    if path.below:
        stored = _settle(draft, kind, without_child(kind, old, path.below), old)
        after = retag_along(kind, stored, path.below[:-1], draft.new_id, retag_alone)
    else:
        if kind is VIRTUAL_MACHINES and not command.force:
            virtual_machines.check_gone_with(old)
        RULES[kind.name][1](draft, old)
    draft.put(kind.name, old.resource_id.lower(), old, after)
    return Decision(changes=draft.changes(), outcome="deleted")


def _settle(draft: Draft, kind: Kind, sent: AnyResource, old: AnyResource | None) -> AnyResource:
    """The resource as it will be stored, but for new etags and instance ids."""
    carried = carry(kind, sent, old)
    instance_id = carried.instance_id or _instance_asked(draft.state, kind, sent)
    properties = RULES[kind.name][0](draft, carried, old)
    return Resource(
        resource_id=carried.resource_id,
        instance_id=instance_id,
        etag=carried.etag,
        tags=carried.tags,
        resource_metadata=carried.resource_metadata,
        properties=properties,
    )


def _instance_asked(state: State, kind: Kind, sent: AnyResource) -> str:
    """The instanceId that a client asks for at creation, if it is a GUID and free; empty for a fresh one."""
    asked = guid(sent.instance_id) if sent.instance_id else ""
    found = state.by_instance(asked) if asked else None
    if found is None:
        return asked
    if kind.name == found[0] == "virtualNetworks":
        raise Conflict(
            f"instanceId {asked} is the RDID of /virtualNetworks/{found[1].resource_id}: each virtual network is a "
            "routing domain of its own. Leave it out to be given a fresh one.",
            code="RoutingDomainInUse",
            target="instanceId",
        )
    return ""


def _kind(path: Path) -> Kind:
    kind = BY_NAME.get(path.kind.lower())
    if kind is None or (kind.singleton and path.id.lower() != kind.singleton):
        raise NotFound(f"There is no {path.kind}/{path.id}.")
    return kind


def _with_id(resource_id: str, sent: AnyResource, old: AnyResource | None) -> AnyResource:
    """The body under the URL's id. Raises Invalid where the two differ, InvalidResourceName."""
    if sent.resource_id and sent.resource_id.lower() != resource_id.lower():
        raise Invalid(
            f"The body's resourceId '{sent.resource_id}' is not '{resource_id}' of the URL.", code="InvalidResourceName"
        )
    if old is None:
        check_resource_id(resource_id)
    if sent.resource_id == resource_id:
        return sent
    return msgspec.structs.replace(sent, resource_id=resource_id)


def _child_at(kind: Kind, resource: AnyResource, below: tuple[tuple[str, str], ...]) -> AnyResource | None:
    found: AnyResource | None = resource
    for name, child_id in below:
        kind = child_kind_of(kind, name)
        found = child_of(found, kind, child_id) if found is not None else None
    return found
