"""Bodies as clients write them become the structs of the model; what cannot is refused by its property path."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.api import convert, words
from weft.model import fabric, workload
from weft.model.errors import Invalid, InvalidReference, InvalidRequestFormat
from weft.model.kinds import (
    KINDS,
    LOGICAL_NETWORKS,
    MAC_POOLS,
    NETWORK_INTERFACES,
    SERVERS,
    VIRTUAL_MACHINES,
    VIRTUAL_NETWORK_MANAGER,
    VIRTUAL_NETWORKS,
    Kind,
)

WEB = "/virtualNetworks/blue/subnets/web"


def read(kind: Kind, document: Any, resource_id: str = "x") -> Any:
    return convert.read(kind, msgspec.json.encode(document), resource_id)


def refusal(kind: Kind, document: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read(kind, document)
    return caught.value


def interface(**properties: Any) -> dict[str, Any]:
    return {"properties": {"privateMacAllocationMethod": "Dynamic", **properties}}


def configured(**properties: Any) -> dict[str, Any]:
    return interface(ipConfigurations=[{"resourceId": "ip1", "properties": properties}])


class TestTolerance:
    def test_keys_in_any_case(self) -> None:
        found = read(MAC_POOLS, {"ResourceID": "X", "PROPERTIES": {"startmacaddress": "a", "EndMacAddress": "b"}})
        assert (found.properties.start_mac_address, found.properties.end_mac_address) == ("a", "b")
        assert found.resource_id == "x"

    @pytest.mark.parametrize("name", ["vlanID", "vlanId", "vlanid", "VLANID"])
    @pytest.mark.parametrize("value", [7, "7", 7.0])
    def test_vlan_in_every_spelling_and_type(self, name: str, value: Any) -> None:
        subnet = {"resourceId": "s", "properties": {name: value}}
        found = read(LOGICAL_NETWORKS, {"properties": {"subnets": [subnet]}})
        assert found.properties.subnets[0].properties.vlan_id == 7

    @pytest.mark.parametrize(
        ("text", "truth"), [("True", True), ("false", False), ("1", True), (True, True), (0, False)]
    )
    def test_booleans_as_text(self, text: Any, truth: bool) -> None:
        found = read(LOGICAL_NETWORKS, {"properties": {"networkVirtualizationEnabled": text}})
        assert found.properties.network_virtualization_enabled is truth

    @pytest.mark.parametrize("value", [6001, "6001"])
    @pytest.mark.parametrize("name", ["virtualSubnetId", "VirtualSubnetId", "virtualsubnetid"])
    def test_vsid_in_every_spelling_and_type(self, name: str, value: Any) -> None:
        found = read(VIRTUAL_NETWORKS, {"properties": {"subnets": [{"resourceId": "s", "properties": {name: value}}]}})
        assert found.properties.subnets[0].properties.virtual_subnet_id == 6001

    def test_nulls_unknown_and_read_only_members_are_dropped(self) -> None:
        found = read(
            NETWORK_INTERFACES,
            {
                "resourceRef": "/networkInterfaces/x",
                "parentResourceID": "y",
                "tags": None,
                "properties": {
                    "provisioningState": "Succeeded",
                    "privateMacAllocationMethod": "Dynamic",
                    "privateMacAddress": None,
                    "portSettings": None,
                    "counters": [],
                    "configurationState": {"status": "Success"},
                },
            },
        )
        assert found == read(NETWORK_INTERFACES, interface())

    def test_absent_properties_are_empty_ones(self) -> None:
        assert read(VIRTUAL_MACHINES, {}).properties == workload.VirtualMachineProperties()

    def test_byte_order_mark_is_skipped(self) -> None:
        assert convert.read(MAC_POOLS, b'\xef\xbb\xbf{"properties": {}}', "x").resource_id == "x"

    def test_words_in_any_case_are_stored_canonically(self) -> None:
        found = read(NETWORK_INTERFACES, {"properties": {"privateMacAllocationMethod": "dynamic"}})
        assert found.properties.private_mac_allocation_method == "Dynamic"

    @pytest.mark.parametrize("text", ["Enable", "enabled", "Enabled"])
    def test_router_state_as_text_and_as_schema_write_it(self, text: str) -> None:
        found = read(VIRTUAL_NETWORK_MANAGER, {"properties": {"distributedRouterState": text}})
        assert found.properties.distributed_router_state == "Enabled"

    @pytest.mark.parametrize("text", ["Vxlan", "VXLAN", "vxlan"])
    def test_protocol_as_dumps_write_it(self, text: str) -> None:
        found = read(VIRTUAL_NETWORK_MANAGER, {"properties": {"networkVirtualizationProtocol": text}})
        assert found.properties.network_virtualization_protocol == "VXLAN"

    def test_old_metadata_name(self) -> None:
        assert read(MAC_POOLS, {"resourceMetadata": {"name": "n"}}).resource_metadata.resource_name == "n"

    def test_read_only_fields_of_the_model_cannot_be_sent(self) -> None:
        assert read(VIRTUAL_NETWORKS, {"properties": {"routingDomainNumber": 5}}).properties.routing_domain_number == 0
        move = {"source": "a", "destination": "b", "phase": "switching", "generation": 1}
        assert read(VIRTUAL_MACHINES, {"properties": {"move": move}}).properties.move is None

    def test_number_where_text_is_meant(self) -> None:
        document = {"properties": {"networkInterfaces": [{"resourceId": "a", "properties": {"interfaceIndex": 3}}]}}
        assert read(SERVERS, document).properties.network_interfaces[0].properties.interface_index == "3"


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            (b"", "InvalidJson"),
            (b"{", "InvalidJson"),
            (b"[]", "InvalidJson"),
            (b"nonsense", "InvalidJson"),
            (b'{"a": "\xff"}', "InvalidJson"),
            (b'{"a": "\\ud800"}', "InvalidJson"),
            (b"[" * 100_000, "InvalidJson"),
            (b'{"properties":{"logicalNetwork":"/logicalNetworks/x"}}', "InvalidJsonReferenceWrongType"),
            (b'{"properties":{"logicalNetwork":{"resourceRef":"x"}}}', "InvalidJsonReferenceFormat"),
            (b'{"properties":{"logicalNetwork":{"resourceRef":5}}}', "InvalidJsonReferenceFormat"),
        ],
    )
    def test_unreadable_bodies(self, body: bytes, detail: str) -> None:
        with pytest.raises(InvalidRequestFormat) as caught:
            convert.read(VIRTUAL_NETWORKS, body, "x")
        assert caught.value.detail_code == detail

    @pytest.mark.parametrize(
        ("kind", "document", "target"),
        [
            (MAC_POOLS, {"properties": {"coolDownSeconds": "soon"}}, "properties.coolDownSeconds"),
            (MAC_POOLS, {"properties": {"coolDownSeconds": True}}, "properties.coolDownSeconds"),
            (MAC_POOLS, {"properties": {"coolDownSeconds": 1 << 60}}, "properties.coolDownSeconds"),
            (MAC_POOLS, {"properties": []}, "properties"),
            (MAC_POOLS, {"tags": {"a": {}}}, "tags.a"),
            (VIRTUAL_NETWORKS, {"properties": {"addressSpace": {"addressPrefixes": "10/8"}}}, None),
            (NETWORK_INTERFACES, interface(isPrimary="perhaps"), "properties.isPrimary"),
            (NETWORK_INTERFACES, interface(privateMacAllocationMethod="Any"), "properties.privateMacAllocationMethod"),
            (NETWORK_INTERFACES, configured(privateIPAddress={}), None),
        ],
    )
    def test_wrong_values_name_their_path(self, kind: Kind, document: Any, target: str | None) -> None:
        fault = refusal(kind, document)
        assert fault.status == 400
        if target is not None:
            assert fault.target == target
        assert fault.target is not None and fault.target in fault.message

    def test_the_words_that_can_be_written_are_named(self) -> None:
        fault = refusal(SERVERS, {"properties": {"providerAddressPolicy": "severall"}})
        assert fault.message.endswith("is 'severall'. Write one of perHost, perHostInUse, several, perVirtualSubnet.")

    def test_child_without_id(self) -> None:
        fault = refusal(VIRTUAL_NETWORKS, {"properties": {"subnets": [{"properties": {}}]}})
        assert (fault.code, fault.target) == ("RequiredParamMissing", "properties.subnets[0].resourceId")

    def test_other_id_than_the_url(self) -> None:
        assert refusal(MAC_POOLS, {"resourceId": "y"}).target == "resourceId"

    @pytest.mark.parametrize(
        ("kind", "document", "target"),
        [
            (
                NETWORK_INTERFACES,
                configured(serviceInsertion={"resourceRef": "/serviceInsertions/a"}),
                "properties.ipConfigurations[0].properties.serviceInsertion",
            ),
            (NETWORK_INTERFACES, interface(securityTags=[{"resourceRef": "/s/a"}]), "properties.securityTags"),
            (
                VIRTUAL_NETWORKS,
                {"properties": {"encryptionCredential": {"resourceRef": "/credentials/c"}}},
                "properties.encryptionCredential",
            ),
        ],
    )
    def test_references_to_what_is_not_served_yet(self, kind: Kind, document: Any, target: str) -> None:
        with pytest.raises(InvalidReference) as caught:
            read(kind, document)
        assert (caught.value.code, caught.value.target) == ("InvalidResourceReference", target)
        assert "not serve" in caught.value.message

    @pytest.mark.parametrize(
        ("kind", "document"),
        [
            (NETWORK_INTERFACES, interface(portSettings={"iovWeight": "10"})),
            (NETWORK_INTERFACES, interface(portSettings={"portFlowLimit": "10"})),
            (NETWORK_INTERFACES, interface(portSettings={"qosSettings": {"outboundReservedValue": 5}})),
            (
                LOGICAL_NETWORKS,
                {
                    "properties": {
                        "subnets": [{"resourceId": "s", "properties": {"accessControlList": {"resourceRef": "/a"}}}]
                    }
                },
            ),
            (VIRTUAL_NETWORK_MANAGER, {"properties": {"enableMetering": True}}),
            (VIRTUAL_NETWORK_MANAGER, {"properties": {"distributedRouterState": "Disable"}}),
            (SERVERS, {"properties": {"auditingEnabled": ["Firewall"]}}),
        ],
    )
    def test_settings_that_are_not_served_yet(self, kind: Kind, document: Any) -> None:
        assert refusal(kind, document).code == "OperationNotSupported"

    @pytest.mark.parametrize(
        ("kind", "document"),
        [
            (NETWORK_INTERFACES, configured(accessControlList=None, loadBalancerInboundNatRules=[])),
            (NETWORK_INTERFACES, configured(accessControlList={})),
            (NETWORK_INTERFACES, configured(accessControlList="")),
            (NETWORK_INTERFACES, interface(portSettings={"qosSettings": {"outboundMaximumMbps": 0}})),
            (NETWORK_INTERFACES, interface(portSettings={"macSpoofingEnabled": "disabled", "qosSettings": {}})),
            (VIRTUAL_NETWORKS, {"properties": {"virtualNetworkPeerings": [], "encryptionCredential": None}}),
            (SERVERS, {"properties": {"auditingEnabled": ["Firewall", "Disabled"]}}),
            (MAC_POOLS, {"properties": {"drain": "false", "strategy": "Central", "warnAtPercent": "80"}}),
        ],
    )
    def test_asking_for_nothing_is_fine(self, kind: Kind, document: Any) -> None:
        read(kind, document)


@pytest.mark.parametrize("gate", sorted(words.GATES, key=str), ids=lambda gate: f"{gate[0].__name__}.{gate[1]}")
def test_what_no_host_does_yet_is_refused_with_the_reason(gate: Any) -> None:
    """As long as a line of GATES stands. Nothing else refuses it: the value is one that decide would take."""
    owner, name = gate
    (field,) = (each for each in msgspec.inspect.type_info(owner).fields if each.name == name)
    asked = {"resourceRef": "/x/y"} if "Ref" in str(field.type) else True if "BoolType" in str(field.type) else 61
    if (owner, name) in words.VALUES:
        asked = next(word for word in words.VALUES[owner, name] if word != field.default)
    with pytest.raises(Invalid) as caught:
        convert._reader_of(owner)({field.encode_name: asked}, "")
    assert (caught.value.code, caught.value.target) == ("OperationNotSupported", field.encode_name)
    assert words.GATES[gate] in caught.value.message


# The two roads agree: bodies that the strict one takes come out of the tolerant one alike.

_ids = st.text("abcXYZ019._-", min_size=1, max_size=8)


def _value(info: Any, child: bool, rough: bool) -> st.SearchStrategy[Any]:
    match info:
        case msgspec.inspect.StructType():
            return _members(info, child, rough)
        case msgspec.inspect.VarTupleType():
            return st.lists(_value(info.item_type, True, rough), max_size=2)
        case msgspec.inspect.UnionType():
            (only,) = (each for each in info.types if not isinstance(each, msgspec.inspect.NoneType))
            return st.none() | _value(only, child, rough)
        case msgspec.inspect.DictType():
            return st.dictionaries(st.text(max_size=3), st.text(max_size=3) | (st.none() if rough else st.nothing()))
        case msgspec.inspect.BoolType():
            return st.booleans() | (st.sampled_from(["true", "False", "x", None]) if rough else st.nothing())
        case msgspec.inspect.IntType():
            odd = st.sampled_from(["0", "17", " 5", 2.0, 1 << 53, (1 << 53) + 1, None]) | st.integers()
            return odd if rough else st.integers(-(1 << 53), 1 << 53)
    odd_text = st.sampled_from(["Static", "dynamic", "Enabled", "Off", "VXLAN", "/a", "", None, 3])
    return st.text(max_size=4) | (odd_text if rough else st.nothing())


_NEVER_STRICT = ("enable_metering", "auditing_enabled")


def _never_strict(owner: type[Any], name: str) -> bool:
    default = convert.default_of(owner, name) if (owner, name) in words.GATES else ""
    return name in _NEVER_STRICT or type(default) not in (str, int)


def _clean_value(owner: type[Any], field: Any) -> st.SearchStrategy[Any] | None:
    """What the strict road takes where it does not take every value of the type."""
    key = (owner, field.name)
    if key in words.GATES:
        return st.just(convert.default_of(owner, field.name))
    if key in words.SERVED_VALUES or key in words.VALUES:
        return st.sampled_from(words.SERVED_VALUES.get(key) or words.VALUES[key])
    return st.text(max_size=5).map(lambda text: f"/{text}") if field.name == "resource_ref" else None


@st.composite
def _members(draw: st.DrawFn, info: Any, child: bool, rough: bool) -> dict[str, Any]:
    owner = getattr(info.cls, "__origin__", info.cls)
    document: dict[str, Any] = {}
    for field in info.fields:
        if field.name == "resource_id":
            if not rough or draw(st.integers(0, 9)):
                document["resourceId"] = draw(_ids) if child else "x"
        elif (owner, field.name) in words.READ_ONLY or (not rough and _never_strict(owner, field.name)):
            continue
        elif field.required or field.name == "resource_ref" or draw(st.booleans()):
            name = draw(st.sampled_from([field.encode_name, field.encode_name.upper()])) if rough else field.encode_name
            special = None if rough else _clean_value(owner, field)
            document[name] = draw(_value(field.type, True, rough) if special is None else special)
    if rough and draw(st.integers(0, 9)) == 0:
        document[draw(st.sampled_from(["accessControlList", "unknown", "provisioningState"]))] = draw(
            st.sampled_from([None, "x", {"resourceRef": "/a"}, []])
        )
    return document


WRITTEN = [kind for kind in KINDS if not kind.made_by_actions and kind.name not in words.UNSERVED_KINDS]


@given(kind=st.sampled_from(WRITTEN), choice=st.data())
def test_both_roads_agree(kind: Kind, choice: st.DataObject) -> None:
    document = choice.draw(_value(msgspec.inspect.type_info(kind.type), False, choice.draw(st.booleans())))
    body = json.dumps(document).encode()

    def outcome(road: Any) -> Any:
        try:
            return road()
        except Invalid as fault:
            return (fault.code, fault.target)

    tolerant = outcome(lambda: convert._named(convert.read_tolerant(kind, body), "x"))
    assert outcome(lambda: convert.read(kind, body, "x")) == tolerant


@given(kind=st.sampled_from(WRITTEN), body=st.binary(max_size=30))
def test_no_body_breaks_the_reader(kind: Kind, body: bytes) -> None:
    try:
        convert.read(kind, body, "x")
    except Invalid as fault:
        assert fault.status == 400


def test_the_strict_road_is_taken_for_canonical_bodies() -> None:
    strict, _ = convert._strict_road(NETWORK_INTERFACES.type)
    strict.decode(msgspec.json.encode(configured(privateIPAllocationMethod="Dynamic", subnet={"resourceRef": WEB})))


def test_pool_of_the_specification_example() -> None:
    found = read(
        MAC_POOLS, {"properties": {"startMacAddress": "E0-60-F0-0D-FF-FE", "endMacAddress": "E0-60-F0-0D-FF-FF"}}
    )
    assert found.properties == fabric.MacPoolProperties(
        start_mac_address="E0-60-F0-0D-FF-FE", end_mac_address="E0-60-F0-0D-FF-FF"
    )
