"""Whatever a host has, the driver's road and the script lead to the same, and nothing that is not ours is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.conftest import examples
from tests.unit.core.hyperv.networks import GATEWAY, ONE, TWO, blue
from tests.unit.fakes.hyperv.network_host import NetworkHost
from weft.core.hyperv.differences import Changes
from weft.core.hyperv.network_virtualization import Desired, LookupRecord
from weft.fakes.hyperv.network_records import CustomerRoute, Lookup, ProviderAddress, ProviderRoute

BLUE = blue(1)
MACS = ("101010101105", "101010101107", "02ABCDEF0001")
PLACES = ("192.168.1.10", "192.168.2.20")
DOMAINS = ("{11111111-2222-3333-4444-000000000000}", "{99999999-2222-3333-4444-000000000000}")
CONTEXTS = ("weft:blue", "weft:gone gateway", "", "by hand")

lookups = st.builds(
    LookupRecord,
    customer_address=st.sampled_from(["10.1.1.1", "10.1.1.11", "10.1.1.12", "10.1.1.13"]),
    virtual_subnet_id=st.sampled_from([6001, 6009]),
    mac_address=st.sampled_from(MACS),
    provider_address=st.sampled_from(PLACES),
    rule=st.sampled_from(["TranslationMethodEncap", "TranslationMethodNat"]),
    type=st.sampled_from(["Static", "Static", "Dynamic"]),
    context=st.sampled_from(CONTEXTS),
    customer_id=st.sampled_from(DOMAINS),
).map(lambda one: replace(one, context="") if one.type == "Dynamic" else one)
routes = st.builds(
    CustomerRoute,
    routing_domain_id=st.sampled_from(DOMAINS),
    virtual_subnet_id=st.sampled_from([6001, 6009]),
    destination_prefix=st.sampled_from(["10.1.1.0/24", "10.1.0.0/16"]),
    next_hop=st.sampled_from(["0.0.0.0", "10.1.1.9"]),
    metric=st.sampled_from([0, 255]),
)
addresses = st.builds(
    ProviderAddress, st.sampled_from([*PLACES, "192.168.1.77"]), st.sampled_from([4, 9]), st.sampled_from([16, 24])
)
ways = st.builds(
    ProviderRoute,
    st.sampled_from([4, 9]),
    st.sampled_from(["0.0.0.0/0", "10.0.0.0/8"]),
    st.sampled_from(["192.168.1.1", "192.168.1.254"]),
)
wanted = st.sets(st.sampled_from([ONE, TWO, replace(TWO, provider_address="192.168.1.10")]), max_size=2).map(
    lambda some: replace(BLUE, lookup_records=(GATEWAY, *{one.place: one for one in some}.values()), ports=())
)


def prepared(
    records: list[LookupRecord], rest: tuple[list[CustomerRoute], list[ProviderAddress], list[ProviderRoute]]
) -> NetworkHost:
    """A host that has these, as far as Windows takes them."""
    host = NetworkHost()
    held = host.host.records
    for one in {(r.place, r.mac_address, r.type): r for r in records}.values():
        held.add_lookup(
            Lookup(
                *(one.customer_address, one.virtual_subnet_id, one.mac_address, one.provider_address),
                rule=one.rule,
                type=one.type,
                context=one.context,
                customer_id=one.customer_id,
            )
        )
    for route in {one.virtual_subnet_id: one for one in rest[0]}.values():
        held.add_customer_route(CustomerRoute(*(getattr(route, name) for name in route.__struct_fields__)))
    for address in {one.provider_address: one for one in rest[1]}.values():
        held.add_provider_address(
            ProviderAddress(address.provider_address, address.interface_index, address.prefix_length)
        )
    for way in {(one.interface_index, one.destination_prefix): one for one in rest[2]}.values():
        held.add_provider_route(ProviderRoute(way.interface_index, way.destination_prefix, way.next_hop))
    return host


@settings(max_examples=examples(40, soak=2000))
@given(
    st.lists(lookups, max_size=6),
    st.tuples(st.lists(routes, max_size=2), st.lists(addresses, max_size=3), st.lists(ways, max_size=3)),
    wanted,
)
def test_both_roads_lead_to_the_same(records, rest, desired: Desired) -> None:
    host, other = prepared(records, rest), prepared(records, rest)
    before = host.found()
    host.apply(host.difference(desired).changes)
    left = host.difference(desired)
    assert left.changes == Changes(), "what was applied is so"
    kept = {one for one in host.found().lookup_records if not one.is_ours}
    taken_over = {one.place for one in desired.lookup_records}
    for one in before.lookup_records:
        if not one.is_ours:
            assert one in kept or (one.place in taken_over and one.type == "Static"), "not ours to remove"
    for one in host.found().lookup_records:
        assert not one.is_ours or one in desired.lookup_records, "ours is what is wanted"

    other.script(desired, Sweep=True)
    assert bool(other.failed) == bool(left.problems)
    for kind in ("lookup_records", "customer_routes", "provider_addresses", "provider_routes"):
        assert set(getattr(other.found(), kind)) == set(getattr(host.found(), kind)), kind
    assert other.script(desired, Sweep=True) == [], "the second run changes nothing"
