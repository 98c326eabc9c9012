"""PUT and DELETE of publicIPAddresses (MS-NCNBI 3.1.5.14), and who may name one.

An address is taken from an ipPool of a logical subnet with isPublic and cools down like any other. It has one user: an
ipConfiguration, a virtual gateway's NAT or a gatewayPool.
"""

import msgspec

from weft.core.decide.draft import Draft
from weft.core.decide.granting import next_in
from weft.core.decide.holding import about, hold_ip, release, take_granted
from weft.core.decide.parsing import ip_of, word_of
from weft.core.index import last_id, lower
from weft.core.pools import Segment
from weft.core.state import State
from weft.core.words import number_text, why_full
from weft.model.errors import AddressInUse, InUse, Invalid, InvalidReference, PoolIsFull
from weft.model.gateways import PublicIpAddressProperties
from weft.model.kinds import PUBLIC_IP_ADDRESSES, resource_ref
from weft.model.leases import Holder
from weft.model.resources import Ref, Resource

PublicAddress = Resource[PublicIpAddressProperties]

SHORTEST_IDLE_MIN, LONGEST_IDLE_MIN = 4, 30

_METHODS = {"static": "Static", "dynamic": "Dynamic"}
_VERSIONS = {"ipv4": "IPv4", "ipv6": "IPv6"}


def settle(draft: Draft, sent: PublicAddress, old: PublicAddress | None) -> PublicIpAddressProperties:
    """The properties as they will be stored, the address included. Raises a Refusal."""
    p = sent.properties
    ref = resource_ref(PUBLIC_IP_ADDRESSES, sent.resource_id)
    method = word_of(p.public_ip_allocation_method, _METHODS, "publicIPAllocationMethod")
    version = word_of(p.public_ip_address_version, _VERSIONS, "publicIPAddressVersion")
    if not SHORTEST_IDLE_MIN <= p.idle_timeout_in_minutes <= LONGEST_IDLE_MIN:
        raise Invalid(
            f"idleTimeoutInMinutes {p.idle_timeout_in_minutes} is not in {SHORTEST_IDLE_MIN} to {LONGEST_IDLE_MIN}.",
            code="PublicIPIdleTimeoutIsOutOfRange",
            target="idleTimeoutInMinutes",
        )
    if old is not None and version != old.properties.public_ip_address_version:
        raise Invalid(
            "publicIPAddressVersion is fixed when the address is created: create another.",
            code="PublicIPAddressVersionCannotUpdate",
            target="publicIPAddressVersion",
        )
    return msgspec.structs.replace(
        p,
        ip_address=_address(draft, ref, (method, version, p.ip_address), old),
        public_ip_allocation_method=method,
        public_ip_address_version=version,
    )


def remove(draft: Draft, old: PublicAddress) -> None:
    """Refuse while something is known by it; it cools down."""
    ref = resource_ref(PUBLIC_IP_ADDRESSES, old.resource_id)
    for user in draft.state.uses.of(ref):
        raise InUse(f"{ref} is in use by {user}: take it from there first.", target=ref)
    release(draft, *place_of(draft.state, old), ref, f"{ref} deleted")


def place_of(state: State, address: PublicAddress) -> tuple[str, int]:
    """(Scope, address) in the ledger of a stored public address."""
    number = int(ip_of(address.properties.ip_address, "ipAddress"))
    return segment_of(state, address).scope, number


def segment_of(state: State, address: PublicAddress) -> Segment:
    """The logical subnet that a stored public address is in: it stays public as long as the address is held."""
    found = _segment(state, address.properties.ip_address or "")
    assert found is not None
    return found


def attach(state: State, public: Ref, user: str) -> Ref:
    """A public address that `user` names, in canonical spelling. Raises InvalidReference, AddressInUse."""
    found: PublicAddress | None = None
    if lower(public) == f"/publicipaddresses/{last_id(public)}":
        found = state.get("publicIPAddresses", last_id(public))
    if found is None:
        raise InvalidReference(
            f"There is no publicIPAddress {public.resource_ref}: create it first.", target="publicIPAddress"
        )
    ref = resource_ref(PUBLIC_IP_ADDRESSES, found.resource_id)
    for other in state.uses.of(ref):
        if other.lower() != user.lower():
            raise AddressInUse(
                f"{ref} ({found.properties.ip_address}) is in use by {other}: create another publicIPAddress.",
                code="PublicIPAddressInUse",
                target="publicIPAddress",
            )
    return Ref(resource_ref=ref)


def attach_to(state: State, segment: Segment, public: Ref, user: str) -> Ref:
    """A public address that an ipConfiguration in `segment` names. Raises Invalid too."""
    named = attach(state, public, user)
    found: PublicAddress | None = state.find_ref(named.resource_ref)
    assert found is not None
    if not segment.virtual:
        raise Invalid(
            f"{segment.ref} is a logical subnet, whose addresses are known outside as they are: leave "
            "publicIPAddress out.",
            target="publicIPAddress",
        )
    if found.properties.public_ip_address_version != f"IPv{segment.version}":
        raise Invalid(
            f"{named.resource_ref} ({found.properties.ip_address}) is of another family than {segment.ref}.",
            target="publicIPAddress",
        )
    return named


def refuse_doubles(named: list[Ref]) -> None:
    """Raises AddressInUse where one resource names a public address twice."""
    seen: set[str] = set()
    for ref in named:
        if lower(ref) in seen:
            raise AddressInUse(
                f"{ref.resource_ref} is named twice: it has one user.",
                code="PublicIPAddressInUse",
                target="publicIPAddress",
            )
        seen.add(lower(ref))


def _address(draft: Draft, ref: str, asked: tuple[str, str, str | None], old: PublicAddress | None) -> str:
    """The one it has, where that is still what is asked for; else another, and the old one cools down."""
    method, version, text = asked
    if method == "Static":
        text = _static(draft.state, text, version)
    before = old.properties.ip_address if old is not None else None
    if before is not None and (method == "Dynamic" or text == before):
        return before
    if old is not None:
        for user in draft.state.uses.of(ref):
            raise InUse(
                f"The address of {ref} cannot change while {user} uses it: take it from there first.",
                code="PublicIPAddressInUseCannotUpdate",
                target="ipAddress",
            )
    if method == "Static":
        assert text is not None
        _hold(draft, ref, text)
    else:
        text = _grant(draft, ref, version)
    if old is not None:
        release(draft, *place_of(draft.state, old), ref, "another public address was asked for")
    return text


def _static(state: State, text: str | None, version: str) -> str:
    if not text:
        raise Invalid(
            "ipAddress is required with publicIPAllocationMethod Static.",
            code="PublicIPAddressMissing",
            target="ipAddress",
        )
    address = ip_of(text, "ipAddress", "InvalidIPAddress")
    if address.version != int(version[-1]):
        raise Invalid(f"{address} is no {version} address.", code="InvalidIPAddress", target="ipAddress")
    if _segment(state, str(address)) is None:
        raise Invalid(
            f"{address} lies in no ipPool of a logical subnet with isPublic: add one there, or ask for another.",
            code="PublicIPAddressNotInSubnet",
            target="ipAddress",
        )
    return str(address)


def _segment(state: State, text: str) -> Segment | None:
    """The public subnet with an ipPool that holds an address."""
    address = ip_of(text, "ipAddress", "InvalidIPAddress")
    for segment in state.addresses.public_segments.values():
        if segment.version == address.version and segment.first <= int(address) <= segment.last:
            pool = state.addresses.pool_of(segment.scope, int(address))
            if pool is not None and pool.spec.key in segment.pools:
                return segment
    return None


def _hold(draft: Draft, ref: str, text: str) -> None:
    segment, number = _segment(draft.state, text), int(ip_of(text, "ipAddress"))
    assert segment is not None
    try:
        hold_ip(draft, segment.scope, number, Holder("publicIPAddress", ref))
    except AddressInUse as refusal:
        message = refusal.message.replace("privateIPAllocationMethod", "publicIPAllocationMethod")
        own = AddressInUse(message, code="PublicIPAddressInUse", target="ipAddress")
        raise about(own, segment.scope, number, ref) from None


def _grant(draft: Draft, ref: str, version: str) -> str:
    """The next free one of the public subnets, in the order of their references."""
    state = draft.state
    segments = [s for _, s in sorted(state.addresses.public_segments.items()) if s.version == int(version[-1])]
    pools = [state.addresses.pools[key] for segment in segments for key in segment.pools]
    for pool in pools:
        found = next_in(draft, pool)
        if found is not None:
            scope = pool.spec.scope
            take_granted(draft, scope, found, Holder("publicIPAddress", ref, "", True))
            return number_text(int(scope[2]), found)
    why = why_full(state, pools, draft.now)
    if not pools:
        why = f"No logical subnet with isPublic has an {version} ipPool: add one, or ask for a Static address."
    raise PoolIsFull(why, code="SubnetIsFull", target="ipAddress")
