"""Changes in portions are the same changes in the same order."""

from hypothesis import given
from hypothesis import strategies as st

from weft.core.hyperv.differences import BoundPort, Changes
from weft.core.hyperv.network_virtualization import LookupRecord, ProviderRoute
from weft.core.hyperv.portions import portions

LOOKUPS = st.integers(0, 12).map(
    lambda count: tuple(LookupRecord(f"10.0.0.{n}", 6001, "001DD8B71C01", "192.168.1.10") for n in range(count))
)
CHANGES = st.builds(
    Changes,
    bind=st.booleans(),
    add_provider_routes=st.integers(0, 3).map(
        lambda n: tuple(ProviderRoute("0.0.0.0/0", f"10.0.0.{i}") for i in range(n))
    ),
    add_lookup_records=LOOKUPS,
    set_ports=st.integers(0, 9).map(lambda n: tuple(BoundPort("m", str(i), 6001) for i in range(n))),
    remove_lookup_records=LOOKUPS,
)


def flat(changes):
    """(kind, one) in the order in which they are done."""
    return [
        (name, one)
        for name in Changes.__struct_fields__
        for one in (getattr(changes, name) if name != "bind" else [True] * changes.bind)
    ]


@given(CHANGES, st.integers(1, 7))
def test_they_are_all_there_in_order_and_no_portion_is_too_large(changes, most):
    parts = list(portions(changes, most))
    assert [one for part in parts for one in flat(part)] == flat(changes)
    assert all(part and len([one for one in flat(part) if one[0] != "bind"]) <= most for part in parts)
    assert len(parts) <= len(flat(changes)) // most + 1
