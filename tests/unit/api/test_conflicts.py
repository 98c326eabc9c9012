"""The list of clashes: what is in it, filters, pages; a machine shows its own."""

from typing import Any

import pytest

from tests.unit.api.conftest import WEB, Api, HandClock, N, W, interface_in, machine_with
from weft.control.controller import Controller
from weft.core.commands import Actor, NoteSeen, Seen
from weft.model.values import parse_mac


async def listed(api: Api, query: str = "") -> list[Any]:
    found: list[Any] = (await api.body(f"{W}/conflicts{query}"))["value"]
    return found


@pytest.fixture
async def machines(fabric: Api) -> Api:
    for number in (1, 2):
        await fabric.made(f"{N}/networkInterfaces/vm{number}-eth0", interface_in())
        await fabric.made(f"{W}/virtualMachines/vm{number}", machine_with(f"vm{number}-eth0", f"host{number}"))
    return fabric


@pytest.fixture
async def clashing(machines: Api, controller: Controller, clock: HandClock) -> Api:
    """Both machines' addresses are on ports of host2 too, in a VLAN that nothing explains; two hosts have one range."""
    clock.seconds += 60
    seen = tuple(
        Seen(parse_mac(mac), f"vnet{at}", vlan=7) for at, mac in enumerate(("00-1D-D8-B7-1C-00", "00-1D-D8-B7-1C-01"))
    )
    await controller.submit(NoteSeen("host2", seen), Actor())
    dynamic = {"dynamicMacRange": {"first": "00-15-5D-01-00-00", "last": "00-15-5D-01-00-FF"}}
    for name in ("old1", "old2"):
        await machines.made(f"{N}/servers/{name}", dynamic)
    return machines


async def test_nothing_clashes_at_first(machines: Api) -> None:
    assert await machines.body(f"{W}/conflicts") == {"value": [], "nextLink": ""}
    assert (await machines.body(f"{W}/virtualMachines/vm1"))["properties"]["conflicts"] == []


async def test_each_has_who_where_and_what_to_do(clashing: Api) -> None:
    first, *_ = await listed(clashing, "?kind=FOREIGN")
    assert (first["kind"], first["address"], first["l2Domain"]) == ("foreign", "00-1D-D8-B7-1C-00", WEB)
    assert {"resourceRef": "/networkInterfaces/vm1-eth0"} in first["holders"]
    assert {"resourceRef": "/servers/host2/ports/vnet0"} in first["holders"]
    assert first["remedy"]
    (overlap,) = await listed(clashing, "?kind=rangeOverlap")
    assert overlap["l2Domain"] is None
    assert "Set-VMHost" in overlap["command"]


async def test_a_machine_shows_its_own(clashing: Api) -> None:
    own = (await clashing.body(f"{W}/virtualMachines/vm2"))["properties"]["conflicts"]
    assert own == await listed(clashing, "?machine=VM2")
    assert [each["address"] for each in own] == ["00-1D-D8-B7-1C-01"]


async def test_a_server_shows_those_of_its_machines_and_its_ports(clashing: Api) -> None:
    on = {name: [each["address"][-2:] for each in await listed(clashing, f"?server={name}")] for name in HOSTS}
    assert on == {"host1": ["00"], "HOST2": ["00", "01"], "old1": ["FF"]}


HOSTS = ("host1", "HOST2", "old1")


async def test_pages_follow_each_other(clashing: Api) -> None:
    whole, path, found = await listed(clashing), "?limit=1", []
    while path:
        page = await clashing.body(path if path.startswith("/") else f"{W}/conflicts{path}")
        assert len(page["value"]) == 1
        found += page["value"]
        path = page["nextLink"]
    assert found == whole and len(whole) == 3


async def test_a_clash_that_is_over_is_gone(clashing: Api, controller: Controller) -> None:
    await controller.submit(NoteSeen("host2", ()), Actor())
    assert await listed(clashing, "?kind=foreign") == []


@pytest.mark.parametrize(
    ("query", "status", "target"),
    [
        ("?kind=war", 400, "kind"),
        ("?machine=none", 404, "machine"),
        ("?server=none", 404, "server"),
        ("?limit=0", 400, "limit"),
        ("?mashine=vm1", 400, "mashine"),
    ],
)
async def test_bad_questions(machines: Api, query: str, status: int, target: str) -> None:
    response = await machines.get(f"{W}/conflicts{query}")
    assert (response.status_code, response.json()["error"]["target"]) == (status, target)


async def test_they_are_counted_by_kind(clashing: Api) -> None:
    lines = (await clashing.get("/metrics")).text.splitlines()
    for kind, count in (("activeTwin", 0), ("foreign", 2), ("rangeOverlap", 1), ("drift", 0)):
        assert f'weft_conflicts{{kind="{kind}"}} {count}.0' in lines
