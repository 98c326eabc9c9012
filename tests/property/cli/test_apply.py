"""Whatever a file says: applied twice, the second time finds nothing to do, and no revision is made."""

# ruff: noqa: E501 - one resource per line

import asyncio
import io
import itertools
import tempfile
from pathlib import Path
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.conftest import examples
from weft.api.serve import build
from weft.cli.files import parse_stream
from weft.cli.plan import apply
from weft.control.controller import Controller
from weft.wire.client import Client

Resource = dict[str, Any]


class StillClock:
    def monotonic(self) -> float:
        return 1.0

    def wall(self) -> float:
        return 1_700_000_000.0


@st.composite
def interfaces(draw: st.DrawFn, number: int) -> Resource:
    """Granted or given, in the spellings that people use."""
    mac, address = 0x001DD9000000 + number, f"10.1.{draw(st.integers(0, 3))}.{20 + number}"
    digits = f"{mac:012X}"
    spelt = draw(st.sampled_from((digits, digits.lower(), "-".join(digits[i : i + 2] for i in range(0, 12, 2)))))
    properties: Resource = {"privateMacAllocationMethod": draw(st.sampled_from(("Dynamic", "dynamic")))}
    if draw(st.booleans()):
        properties = {"privateMacAllocationMethod": "Static", "privateMacAddress": spelt}
    configuration: Resource = {
        "subnet": {"resourceRef": f"/virtualNetworks/{draw(st.sampled_from(('n', 'N')))}/subnets/s"}
    }
    if draw(st.booleans()):
        configuration |= {"privateIPAllocationMethod": "Static", "privateIPAddress": address}
    if draw(st.booleans()):
        properties["strategy"] = draw(st.sampled_from(("central", "random", "Random", "hostrange")))
        properties["server"] = {"resourceRef": "/servers/h0"}
    if draw(st.booleans()):
        properties["isPrimary"] = draw(st.sampled_from((True, "true", "True")))
    if draw(st.booleans()):
        properties["ipConfigurations"] = [{"resourceId": "c", "properties": configuration}]
    document = {"kind": "networkInterfaces", "resourceId": f"i{number}", "properties": properties}
    return document | ({"tags": {"a": "1"}} if draw(st.booleans()) else {})


_ENDS = st.sampled_from(("*", "VirtualNetwork", "INTERNET", "10.1.0.0/16", "10.1.0.7", "FD00::/8"))
_PORTS = st.sampled_from(("*", "80", "0-65535", "80 - 90", 443))


@st.composite
def filters(draw: st.DrawFn) -> list[Resource]:
    """A list and a table, in the spellings that people use."""
    numbers = draw(st.lists(st.sampled_from((100, "101", 65000)), max_size=2, unique=True))
    rules = []
    for number in numbers:
        rule: Resource = {"priority": number, "action": draw(st.sampled_from(("Allow", "deny"))), "type": "inbound"}
        rule |= {"protocol": draw(st.sampled_from(("Tcp", "all", "UDP"))), "sourceAddressPrefix": "*"}
        rule |= {"sourcePortRange": draw(_PORTS), "destinationAddressPrefix": draw(_ENDS)}
        rule |= {"destinationPortRange": draw(_PORTS)}
        rule |= draw(st.sampled_from(({}, {"logging": "disabled"}, {"description": "one"}, {"description": ""})))
        rules.append({"resourceId": f"r{number}", "properties": rule})
    hops = ({"nextHopType": "virtualappliance", "nextHopIpAddress": "FD00::7"}, {"nextHopType": "none"})
    routes = [{"resourceId": "r", "properties": {"addressPrefix": "FD00:1::/32", **draw(st.sampled_from(hops))}}]
    default = draw(st.sampled_from(({}, {"inboundDefaultAction": "deny"}, {"outboundDefaultAction": "Permit"})))
    return [
        {"kind": "accessControlLists", "resourceId": "f", "properties": {"aclRules": rules, **default}},
        {"kind": "routeTables", "resourceId": "t", "properties": {"routes": draw(st.sampled_from((routes, [])))}},
    ]


pool_members = st.fixed_dictionaries(
    {},
    optional={
        "strategy": st.sampled_from(("central", "Random")),
        "drain": st.just(False),
        "warnAtPercent": st.sampled_from((0, 80, "90")),
        "releaseInactiveAfterSeconds": st.just(60),
        "excluded": st.just([{"first": "001dd8000010", "last": "00:1d:d8:00:00:1f", "reason": "routers"}]),
    },
)
server_members = st.fixed_dictionaries(
    {},
    optional={
        "hostGroup": st.just("rack4"),
        "clusterNumber": st.sampled_from((0, "7")),
        "dynamicMacRange": st.just({"first": "00155d010000", "last": "00:15:5d:01:00:ff"}),
        "macRange": st.just({"first": "00-00-00-00-00-00", "last": "00-00-00-00-00-01"}),
    },
)


@st.composite
def templates(draw: st.DrawFn, number: int, servers: int) -> Resource:
    """With networks of its own, or with those of an interface of the file."""
    subnet = {"resourceRef": "/virtualNetworks/N/subnets/s"}
    networks = {"networks": [{"subnet": subnet} | draw(st.sampled_from(({}, {"strategy": "Random"})))]}
    interfaces = {"networkInterfaces": [{"resourceRef": f"/networkInterfaces/i{number}"}]}
    server = {"server": {"resourceRef": f"/servers/h{draw(st.integers(0, servers - 1))}"}}
    properties: Resource = {"isTemplate": True} | server | draw(st.sampled_from((networks, interfaces, {})))
    return {"kind": "virtualMachines", "resourceId": f"t{number}", "properties": properties}


@st.composite
def streams(draw: st.DrawFn) -> list[Resource]:
    count = draw(st.integers(0, 5))
    provider = {"addressPrefix": "192.168.1.0/24", "vlanID": draw(st.sampled_from((0, "7")))}
    pool = {"startIpAddress": "192.168.1.10", "endIpAddress": "192.168.1.99"}
    provider |= {"ipPools": [{"resourceId": "p", "properties": pool}]}
    subnet: Resource = {"addressPrefix": "10.1.0.0/22"}
    subnet |= {"virtualSubnetId": draw(st.sampled_from((6001, "6001")))} if draw(st.booleans()) else {}
    servers = draw(st.integers(1, 3))
    mac_pool: Resource = {"startMacAddress": "001dd8000000", "endMacAddress": "00:1D:D8:00:00:FF"} | draw(pool_members)
    documents: list[Resource] = [
        {"kind": "macPools", "resourceId": "m", "properties": mac_pool},
        {"kind": "addressPlans", "resourceId": "a", "properties": draw(st.sampled_from(({}, {"prefix": "00:15:5d"}, {"prefix": "06", "clusterDigits": 4, "interfaceDigits": 5})))},
        {"kind": "logicalNetworks", "resourceId": "l", "properties": {"networkVirtualizationEnabled": "True", "subnets": [{"resourceId": "s", "properties": provider}]}},
        {"kind": "virtualNetworks", "resourceId": "n", "properties": {"logicalNetwork": {"resourceRef": "/logicalNetworks/L"}, "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": [{"resourceId": "s", "properties": subnet}], **draw(st.sampled_from(({}, {"networkVirtualizationProtocol": "nvgre"})))}},
        *draw(filters()),
        *({"kind": "servers", "resourceId": f"h{i}", "properties": {"addressPlan": {"resourceRef": "/weft/addressPlans/A"}} | draw(server_members)} for i in range(servers)),
        *(draw(interfaces(number)) for number in range(count)),
        *(draw(templates(number, servers)) for number in range(count)),
        *(_machine(number, draw(st.integers(0, servers - 1))) for number in range(count) if draw(st.booleans())),
    ]  # fmt: skip
    if draw(st.booleans()):
        documents.append({"kind": "virtualNetworkManager", "properties": {"networkVirtualizationProtocol": "nvgre"}})
    return draw(st.permutations(documents))


def _machine(number: int, server: int) -> Resource:
    properties = {
        "server": {"resourceRef": f"/servers/h{server}"},
        "networkInterfaces": [{"resourceRef": f"/networkInterfaces/i{number}"}],
    }
    return {"kind": "virtualMachines", "resourceId": f"v{number}", "properties": properties}


def as_text(documents: list[Resource]) -> str:
    out = io.StringIO()
    YAML().dump_all(documents, out)
    return out.getvalue()


async def twice(text: str, folder: Path) -> tuple[int, int, int]:
    """Revision after the first and the second apply, and what the second still found to do."""
    numbers = itertools.count(1)
    controller = Controller.open(folder, StillClock(), lambda: f"00000000-0000-4000-8000-{next(numbers):012d}")
    try:
        async with controller.running():
            http = httpx.AsyncClient(
                transport=httpx.ASGITransport(build(controller, lambda: str(next(numbers)))),
                base_url="http://localhost",
            )
            async with Client(http) as client:
                await apply(client, parse_stream(text, "f"))
                first = controller.state.revision
                again = await apply(client, parse_stream(text, "f"))
                return first, controller.state.revision, len(again.work)
    finally:
        controller.close()


@given(streams())
@settings(max_examples=examples(15, soak=500), deadline=None)
def test_apply_twice_is_apply_once(documents: list[Resource]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert asyncio.run(twice(as_text(documents), Path(folder))) == (1, 1, 0)
