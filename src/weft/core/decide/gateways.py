"""PUT and DELETE of gateways (MS-NCNBI 3.1.5.4): servers in the role of a gateway, in a pool."""

from weft.core.decide.draft import Draft
from weft.core.decide.encrypting import check_gateways, needs_encryption
from weft.core.decide.gateway_order import order_of, ref_of, reorder, server_of
from weft.core.encryption import unable
from weft.core.index import last_id, lower
from weft.core.state import State
from weft.core.words import see_all
from weft.model.errors import Conflict, InUse, Invalid, InvalidReference
from weft.model.gateways import GatewayProperties
from weft.model.kinds import GATEWAY_POOLS, SERVERS, VIRTUAL_GATEWAYS, Kind, resource_ref
from weft.model.resources import Ref, Resource

Gateway = Resource[GatewayProperties]


def settle(draft: Draft, sent: Gateway, old: Gateway | None) -> GatewayProperties:
    """The properties as they will be stored; the virtual gateways of its pool are given their order anew."""
    p, ref = sent.properties, ref_of(sent.resource_id)
    pool = _named(draft.state, GATEWAY_POOLS, p.pool, "pool")
    server = _named(draft.state, SERVERS, p.server, "server")
    if old is not None and (lower(pool), lower(server)) != (lower(old.properties.pool), lower(old.properties.server)):
        raise Invalid(
            "A gateway's pool and server are fixed when it is created: delete it, and create another.",
            target="pool" if lower(pool) != lower(old.properties.pool) else "server",
        )
    if old is not None:
        return GatewayProperties(pool=pool, server=server)
    for other in draft.state.uses.of(server.resource_ref, "gateways"):
        raise Conflict(
            f"{server.resource_ref} is {other} already: a server is one gateway.", code="ServerInUse", target="server"
        )
    reorder(draft, (pool.resource_ref,), added={ref: last_id(server)})
    _check_encryption(draft, ref, last_id(server))
    return GatewayProperties(pool=pool, server=server)


def remove(draft: Draft, old: Gateway) -> None:
    """The others of its pool take over; refused while a virtual gateway would be left with none."""
    ref = ref_of(old.resource_id)
    for user in draft.state.uses.of(ref, VIRTUAL_GATEWAYS.name):
        found = draft.state.find_ref(user)
        assert found is not None
        p = found.properties
        subnet = lower(p.gateway_subnets[0])
        left = order_of(draft.state, subnet, p.gateway_pools, p.gateways, gone=ref.lower())
        sealed = bool(needs_encryption(draft.state, subnet))
        if not left or (sealed and _is_worse(draft.state, left[0], old)):
            able = " that can encrypt its network" if sealed else ""
            raise InUse(
                f"{ref} is the last gateway of {user}{able}: add another to its pool, or delete that first.", target=ref
            )
    reorder(draft, (lower(old.properties.pool),), gone=ref.lower())


def _is_worse(state: State, gateway: Ref, before: Gateway) -> bool:
    """Would a network come from a host that can encrypt to one that cannot?"""
    server = server_of(state, lower(gateway))
    return bool(unable(state, [server])) and not unable(state, [last_id(before.properties.server)])


def _check_encryption(draft: Draft, ref: str, server: str) -> None:
    """Of the networks that it serves from now on. Raises Conflict (EncryptionNotAvailable)."""
    for name in sorted(draft.changed(VIRTUAL_GATEWAYS.name)):
        found = draft.get(VIRTUAL_GATEWAYS.name, name)
        if found is not None and ref in (one.resource_ref for one in found.properties.gateways):
            check_gateways(draft.state, lower(found.properties.gateway_subnets[0]), [server])


def _named(state: State, kind: Kind, ref: Ref | None, target: str) -> Ref:
    text = lower(ref)
    if not text:
        raise Invalid(f"{target} is required: name one of {kind.name}.", code="RequiredParamMissing", target=target)
    assert ref is not None
    found = state.get(kind.name, last_id(ref)) if text == f"/{kind.name}/{last_id(ref)}".lower() else None
    if found is None:
        raise InvalidReference(
            f"{target}: there is no '{ref.resource_ref}' among {kind.name}{see_all(kind.name)}.", target=target
        )
    return Ref(resource_ref=resource_ref(kind, found.resource_id))
