"""Answers validate against the GET schemas of [MS-NCNBI] section 6, except where the specification contradicts itself.

The schemas are Microsoft's and are not in this repository: WEFT_NCNBI_SCHEMAS names the folder that holds them, one
file each (6.9.2_macPools-GET-schema.json ...). Without it these tests say so. The departures stand in
docs/decisions/0010-answers-follow-the-text.md and, as patches of the schemas, below.
"""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.unit.api.conftest import (
    BLUE,
    PROVIDER_NETWORK,
    Api,
    N,
    W,
    interface_in,
    machine_with,
    with_filters_routes_and_peers,
)
from weft.control.controller import Controller

FOLDER = os.environ.get("WEFT_NCNBI_SCHEMAS", "")

if not FOLDER:
    pytest.skip(
        "WEFT_NCNBI_SCHEMAS is not set: answers are not held to the specification's schemas in this run",
        allow_module_level=True,
    )

CHECKS = {
    "accessControlLists/front": "6.1.2_accessControlLists-GET-Schema.json",
    "accessControlLists": "6.1.3_accessControlLists-GET-ALL-schema.json",
    "accessControlLists/front/aclRules/ssh": "6.1.4.2_accessControlLists-aclRules-GET-schema.json",
    "accessControlLists/front/aclRules": "6.1.4.3_accessControlLists-aclRules-GET-ALL-schema.json",
    "routeTables/hub": "6.10.2_routeTables-GET-schema.json",
    "routeTables": "6.10.3_routeTables-GET-ALL-schema.json",
    "routeTables/hub/routes/far": "6.10.4.2_routeTables-routes-GET-schema.json",
    "routeTables/hub/routes": "6.10.4.3_routeTables-routes-GET-ALL-schema.json",
    "virtualNetworks/blue/virtualNetworkPeerings/to-red": (
        "6.16.11.2_virtualNetworks-virtualNetworkPeerings-GET-schema.json"
    ),
    "virtualNetworks/blue/virtualNetworkPeerings": (
        "6.16.11.3_virtualNetworks-virtualNetworkPeerings-GET-ALL-schema.json"
    ),
    "macPools/pool1": "6.9.2_macPools-GET-schema.json",
    "macPools": "6.9.3_macPools-GET-ALL-schema.json",
    "logicalNetworks/hnvpa": "6.8.2_logicalNetworks-GET-schema.json",
    "logicalNetworks": "6.8.3_logicalNetworks-GET-ALL-schema.json",
    "logicalNetworks/hnvpa/subnets/pa1/ipPools/p1": "6.8.4.1.2_logicalNetworks-subnets-ipPools-GET-schema.json",
    "servers/host1": "6.13.5_servers-GET-schema-v3.json",
    "servers": "6.13.8_servers-GET-ALL-schema-v3.json",
    "virtualNetworks/blue": "6.16.6_virtualNetworks-GET-schema-v3.json",
    "virtualNetworks": "6.16.9_virtualNetworks-GET-ALL-schema-v3.json",
    "virtualNetworks/blue/subnets/web": "6.16.10.4_virtualNetworks-subnets-GET-schema-v2.json",
    "virtualNetworks/blue/subnets": "6.16.10.6_virtualNetworks-subnets-GET-ALL-schema-v2.json",
    "networkInterfaces/n1": "6.11.4_networkInterfaces-GET-schema-v2.json",
    "networkInterfaces": "6.11.6_networkInterfaces-GET-ALL-schema-v2.json",
    "networkInterfaces/n1/ipConfigurations/ip1": "6.11.7.1_networkInterfaces-ipConfigurations-GET-schema.json",
    "networkInterfaces/n1/ipConfigurations": "6.11.7.2_networkInterfaces-ipConfigurations-GET-ALL-schema.json",
    "publicIPAddresses/out": "6.12.4_publicIPAddresses-GET-schema-v2.json",
    "publicIPAddresses": "6.12.6_publicIPAddresses-GET-ALL-schema-v2.json",
    "gatewayPools/forwarders": "6.3.2_GatewayPools-GET-schema.json",
    "gatewayPools": "6.3.3_GatewayPools-GET-ALL-schema.json",
    "virtualNetworkManager/configuration": "6.17.4_virtualNetworkManager-GET-schema-v2.json",
}


@pytest.fixture
async def filled(fabric: Api, controller: Controller) -> Api:
    """Every kind with every member that a client can set."""
    await fabric.made(
        f"{N}/networkInterfaces/n1",
        interface_in(
            dnsSettings={"dnsServers": ["10.1.1.53"]},
            portSettings={"arpGuardEnabled": "Disabled", "vmqWeight": 50},
        ),
    )
    await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
    pool = {"resourceId": "p", "properties": {"startIpAddress": "203.0.113.10", "endIpAddress": "203.0.113.20"}}
    public = {"addressPrefix": "203.0.113.0/24", "isPublic": True, "ipPools": [pool]}
    await fabric.made(f"{N}/logicalNetworks/internet", {"subnets": [{"resourceId": "public", "properties": public}]})
    await fabric.made(f"{N}/publicIPAddresses/out", {})
    outside = {"publicIPAddresses": [{"resourceRef": "/publicIPAddresses/out"}]}
    await fabric.made(f"{N}/gatewayPools/forwarders", {"type": "forwarding", "ipConfiguration": outside})
    network = {**PROVIDER_NETWORK, "virtualNetworks": []}
    assert (await fabric.put(f"{N}/logicalNetworks/hnvpa", network)).status_code == 200
    assert (
        await fabric.put(f"{N}/virtualNetworks/blue", {**BLUE, "dhcpOptions": {"dnsServers": ["10.1.1.53"]}})
    ).is_success
    await with_filters_routes_and_peers(fabric, controller)
    return fabric


@pytest.mark.parametrize("path", CHECKS)
async def test_answers_validate(filled: Api, path: str) -> None:
    faults = _faults(CHECKS[path], await filled.body(f"{N}/{path}"))
    assert faults == []


async def test_discovery_validates(filled: Api) -> None:
    assert _faults("6.28.1_discovery-GET-schema.json", await filled.body("/networking/discovery")) == []


async def test_errors_validate(filled: Api) -> None:
    for response in (
        await filled.get(f"{N}/macPools/none"),
        await filled.send("PUT", f"{N}/macPools/p", b"{"),
        await filled.put(f"{N}/networkInterfaces/n2", interface_in("/virtualNetworks/x/subnets/y")),
    ):
        assert _faults("6.33_Schema-for-Error-Response.json", response.json()) == []


def test_the_committed_names_are_the_schemas_own() -> None:
    """Every name in names.json that a schema has is spelt as the schema spells it, but for what 0010 lists."""
    texts = "".join(path.read_text(encoding="utf-8") for path in Path(FOLDER).glob("*GET*.json"))
    spelt = {word.lower(): word for word in _members(texts)}
    names = json.loads((Path(__file__).parent / "names.json").read_text())
    departures = {"dnsServers"}
    for place, members in names.items():
        for name in members if place != "source" else ():
            assert name in departures or spelt.get(name.lower(), name) == name or name in texts, (place, name)


def _members(texts: str) -> set[str]:
    return {piece.rstrip('": ') for piece in texts.split('"') if piece.isalpha()}


def _faults(name: str, answer: Any) -> list[str]:
    schema = json.loads((Path(FOLDER) / name).read_text(encoding="utf-8"))
    # oneOf(ipv4, ipv6) can only be told apart with formats; nextLink "" is no uri, though the text wants it
    formats = jsonschema.FormatChecker(formats=("ipv4", "ipv6"))
    validator = jsonschema.Draft4Validator(schema, format_checker=formats)
    return [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}" for fault in validator.iter_errors(answer)
    ]
