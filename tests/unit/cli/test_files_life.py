"""Files with addresses' life in them: plans, pools, templates; what may be written, and what counts as a difference."""

from typing import Any

import pytest

from weft.cli.compare import compare
from weft.cli.faults import BadFile
from weft.cli.files import parse_stream


def faults(text: str) -> list[str]:
    with pytest.raises(BadFile) as caught:
        parse_stream(text, "f")
    return [str(fault) for fault in caught.value.faults]


def differences(text: str, **answered: Any) -> list[str]:
    (document,) = parse_stream(text, "f").resources
    return [d.member for d in compare(document, {"resourceId": document.id, "properties": answered})]


def of(kind: str, properties: str) -> str:
    return f"kind: {kind}\nresourceId: r\nproperties: {{{properties}}}\n"


DYNAMIC, MADE = "privateMacAllocationMethod: Dynamic", {"privateMacAllocationMethod": "Dynamic"}
POOL = "startMacAddress: 00-1D-D8-00-00-00, endMacAddress: 00-1D-D8-00-00-FF"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (of("addressPlans", "prefix: nonsense"), "f:3: 'nonsense' begins no MAC address"),
        (of("addressPlans", "hostDigits: 2"), "f:3: 6 + 2 + 2 + 3 digits are not a MAC address"),
        (of("addressPlans", "prefix: 01-15-5D"), "f:3: the plan would hold group addresses, 01-15-5D-00-00-00"),
        (of("addressPlans", "prefix: 02, clusterDigits: 6"), "f:3: the plan would hold 02-01-00-00-00-00, and "),
        (of("macPools", f"{POOL}, strategy: hostRange"), "f:3: 'hostRange' is no strategy; write central or random"),
        (of("macPools", f"{POOL}, warnAtPercent: 101"), "f:3: 101 is no percentage"),
        (
            of("macPools", f"{POOL}, excluded: [{{first: 00-1D-D9-00-00-01, last: 00-1D-D9-00-00-02}}]"),
            "f:3: 00-1D-D9-00-00-01 is not in the pool",
        ),
        (
            of("macPools", f"{POOL}, excluded: [{{first: 00-1D-D8-00-00-02, last: 00-1D-D8-00-00-01}}]"),
            "f:3: the end 00-1D-D8-00-00-01 lies before the start",
        ),
        (
            of("networkInterfaces", "privateMacAllocationMethod: Dynamic, strategy: host"),
            "f:3: 'host' is no strategy; write central or hostRange or random",
        ),
        (of("virtualMachines", "networks: [{}]"), "f:3: only a template has networks"),
        (
            of("servers", "dynamicMacRange: {first: 00-15-5D-01-00-FF, last: 00-15-5D-01-00-00}"),
            "f:3: the end 00-15-5D-01-00-00 lies before the start",
        ),
        (
            of("servers", "addressPlan: {resourceRef: /macPools/p}"),
            "f:3: addressPlan refers to '/macPools/p'; write resourceRef: /weft/addressPlans/NAME",
        ),
        (
            of("networkInterfaces", "privateMacAllocationMethod: Dynamic, reservation: {resourceRef: /servers/a}"),
            "f:3: reservation refers to '/servers/a'; write resourceRef: /weft/reservations/NAME",
        ),
    ],
)
def test_faults(text: str, said: str) -> None:
    (found,) = faults(text)
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("reservations", "weft pool reserve POOL --count N"),
        ("checkpoints", "weft vm checkpoint NAME CHECKPOINT"),
        ("exports", "weft vm export NAME EXPORT"),
    ],
)
def test_what_actions_make_cannot_be_written(kind: str, command: str) -> None:
    (found,) = faults(of(kind, ""))
    assert found.startswith(f"f:1: {kind} are not written but made; ") and command in found


def test_a_plan_of_other_widths() -> None:
    assert parse_stream(of("addressPlans", 'prefix: "02:00", clusterDigits: 3, interfaceDigits: 4'), "f")


@pytest.mark.parametrize(
    ("text", "answered"),
    [
        # a server's range and a machine's note are Weft's
        (of("servers", "hostGroup: a, macRange: {first: 00-15-5D-00-00-00}"), {"hostGroup": "a"}),
        (of("servers", ""), {"macRange": {"first": "00-15-5D-00-00-00", "last": "00-15-5D-00-0F-FF"}}),
        (of("servers", ""), {"clusterNumber": 0}),
        (of("virtualMachines", "inactive: gone"), {"checkpoints": [{"resourceId": "c"}], "conflicts": []}),
        (of("virtualMachines", ""), {"inactive": "gone", "exports": []}),
        # two spellings of one value
        (of("addressPlans", 'prefix: "00:15:5d"'), {"prefix": "00-15-5D"}),
        (of("servers", "dynamicMacRange: {first: 00155d000000, last: 00155d000fff}"),
         {"dynamicMacRange": {"first": "00-15-5D-00-00-00", "last": "00-15-5D-00-0F-FF"}}),
        (of("macPools", f"{POOL}, strategy: RANDOM"),
         {"startMacAddress": "00-1D-D8-00-00-00", "endMacAddress": "00-1D-D8-00-00-FF", "strategy": "random"}),
        (of("networkInterfaces", f"{DYNAMIC}, strategy: central"), MADE),
        # the server of an interface is its machine's, but where it says whose range is meant
        (of("networkInterfaces", DYNAMIC + ", server: {resourceRef: /servers/a}"),
         MADE | {"server": {"resourceRef": "/servers/b"}}),
        (of("networkInterfaces", DYNAMIC + ", strategy: hostRange, server: {resourceRef: /servers/a}"),
         MADE | {"strategy": "hostRange", "privateMacAddress": "00155D000000",
                 "server": {"resourceRef": "/servers/b"}}),
        # a template takes the subnets of the interfaces that it is made with
        (of("virtualMachines", "isTemplate: true, networkInterfaces: [{resourceRef: /networkInterfaces/n}]"),
         {"isTemplate": True, "networks": [{"subnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"}}]}),
    ],
)  # fmt: skip
def test_no_difference(text: str, answered: dict[str, Any]) -> None:
    assert differences(text, **answered) == []


@pytest.mark.parametrize(
    ("text", "answered", "member"),
    [
        (of("macPools", "drain: true"), {}, "drain"),
        (of("macPools", "warnAtPercent: 90"), {"warnAtPercent": 80}, "warnAtPercent"),
        (of("macPools", "hostGroup: b"), {"hostGroup": "a"}, "hostGroup"),
        (of("addressPlans", "prefix: 00-15-5E"), {}, "prefix"),
        (of("servers", "addressPlan: {resourceRef: /weft/addressPlans/p}"), {}, "addressPlan"),
        (of("servers", "clusterNumber: 0"), {"clusterNumber": 7}, "clusterNumber"),
        (of("networkInterfaces", f"{DYNAMIC}, strategy: random"), MADE, "strategy"),
        (of("networkInterfaces", DYNAMIC + ", strategy: hostRange, server: {resourceRef: /servers/a}"),
         MADE | {"strategy": "hostRange", "server": {"resourceRef": "/servers/b"}}, "server/resourceRef"),
        (of("virtualMachines", "isTemplate: true, networks: []"),
         {"isTemplate": True, "networks": [{"subnet": {"resourceRef": "/virtualNetworks/blue/subnets/web"}}]},
         "networks"),
    ],
)  # fmt: skip
def test_differences(text: str, answered: dict[str, Any], member: str) -> None:
    base = {"startMacAddress": "", "endMacAddress": ""}
    if "macPools" in text:
        text = text.replace("properties: {", f"properties: {{{POOL}, ")
        base = {"startMacAddress": "00-1D-D8-00-00-00", "endMacAddress": "00-1D-D8-00-00-FF"}
    assert differences(text, **{**base, **answered}) == [member]
