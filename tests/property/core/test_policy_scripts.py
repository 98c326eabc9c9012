"""Whatever names there are, a host's script parses, and its data come out as they went in."""

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples
from tests.powershell import faults, literals
from weft.core.hyperv.network_virtualization import CustomerRoute, Desired, LookupRecord, Port, ProviderAddress
from weft.core.hyperv.policy_script import VERSIONS, Subject, policy_script
from weft.core.hyperv.script import json_line

hostile = st.lists(
    st.one_of(
        st.sampled_from(
            ["'@", "\n'@", "@'", "$(", "$x", "`", '"', "'", "\r\n", "\u202e", "\u2019", "\x00", "#>", "{0}"]
        ),
        st.text(max_size=5),
        st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Po", "Pi", "Pf"]),
    ),
    max_size=8,
).map("".join)
numbers = st.integers(min_value=0, max_value=2**31 - 1)
policies = st.builds(
    Desired,
    lookup_records=st.lists(
        st.builds(LookupRecord, hostile, numbers, hostile, hostile, hostile, hostile, hostile), max_size=2
    ).map(tuple),
    customer_routes=st.lists(st.builds(CustomerRoute, hostile, numbers, hostile, hostile, numbers), max_size=1).map(
        tuple
    ),
    provider_addresses=st.lists(st.builds(ProviderAddress, hostile, numbers, numbers), max_size=1).map(tuple),
    ports=st.lists(
        st.builds(Port, hostile, hostile, numbers, hostile, hostile, hostile, numbers, numbers, st.booleans()),
        max_size=2,
    ).map(tuple),
    warnings=st.lists(hostile, max_size=2).map(tuple),
)

bounded = settings(max_examples=examples(40, soak=2000))


@bounded
@given(st.builds(Subject, hostile, numbers, hostile), policies, st.sampled_from(VERSIONS))
def test_a_script_parses_and_its_data_come_out(subject: Subject, desired: Desired, version: str) -> None:
    text = policy_script(subject, desired, version)
    assert faults(text) == []
    (literal,) = literals(text)
    data = json.loads(literal)
    assert (data["Server"], data["Adapter"]) == (subject.server, subject.adapter)
    ports = [
        {**{name: value for name, value in port.items() if name != "ProfileId"}, "InstanceId": port["ProfileId"][1:-1]}
        for port in data["Ports"]
    ]
    assert ports == _plain(desired.ports)
    if version == "v1":
        assert data["LookupRecords"] == _plain(desired.lookup_records)
        assert data["CustomerRoutes"] == _plain(desired.customer_routes)
        assert data["Warnings"] == [*desired.warnings]


def _plain(values: Any) -> Any:
    return json.loads(msgspec.json.encode(values))


@bounded
@given(st.recursive(st.none() | hostile | numbers, lambda inner: st.lists(inner) | st.dictionaries(hostile, inner)))
def test_a_line_of_json_is_one_printable_line_and_comes_out_as_it_went_in(value: Any) -> None:
    line = json_line(value)
    assert line.isascii()
    assert line.isprintable()
    assert "'" not in line
    assert json.loads(line) == value
