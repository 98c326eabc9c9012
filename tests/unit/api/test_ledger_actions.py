"""Release, reservations, usage and what listings say of every kind of holder."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.api.conftest import WEB, Api, HandClock, N, W, interface_in, machine_with
from weft.api.changes import event_of
from weft.control.controller import Controller

POOL = f"{W}/macPools/pool1"
MAC = "00-1D-D8-B7-1C-00"


def after(clock: HandClock, seconds: float) -> str:
    return datetime.fromtimestamp(clock.wall() + seconds, UTC).isoformat()


async def entry(api: Api, address: str) -> Any:
    (found,) = (await api.body(f"{W}/addresses/{address}"))["value"]
    return found


class TestRelease:
    async def test_a_cool_down_ends_early_with_a_reason(self, fabric: Api) -> None:
        await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
        await fabric.delete(f"{N}/networkInterfaces/n1")
        assert (await entry(fabric, MAC))["state"] == "cooling"
        path = f"{W}/addresses/001dd8b71c00/release"
        dry = await fabric.post(f"{path}?dryRun=true", {"reason": "tables cleared"})
        assert (dry.json()["dryRun"], (await entry(fabric, MAC))["state"]) == (True, "cooling")
        response = await fabric.post(path, {"Reason": "tables cleared"})
        assert (response.status_code, response.json()["state"], response.json()["address"]) == (200, "free", MAC)
        event = (await entry(fabric, MAC))["history"][-1]
        assert (event["event"], event["reason"], event["actor"]) == ("released", "tables cleared", "operator")

    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "x", "force": True}])
    async def test_a_reason_and_nothing_else_is_needed(self, fabric: Api, body: Any) -> None:
        assert (await fabric.post(f"{W}/addresses/{MAC}/release", body)).status_code == 400

    async def test_what_is_held_or_free_is_not_released(self, fabric: Api) -> None:
        await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
        held = await fabric.post(f"{W}/addresses/{MAC}/release", {"reason": "x"})
        assert (held.status_code, held.json()["error"]["code"]) == (409, "AddressIsHeld")
        assert (await fabric.post(f"{W}/addresses/10.1.1.99/release", {"reason": "x"})).status_code == 404
        assert (await fabric.post(f"{W}/addresses/ten/release", {"reason": "x"})).status_code == 400
        assert (await fabric.get(f"{W}/addresses/{MAC}/release")).status_code == 405

    async def test_an_address_of_several_networks_needs_its_scope(self, fabric: Api) -> None:
        red = "/virtualNetworks/red/subnets/web"
        await fabric.made(
            f"{N}/virtualNetworks/red",
            {
                "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
                "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
                "subnets": [{"resourceId": "web", "properties": {"addressPrefix": "10.1.1.0/24"}}],
            },
        )
        for name, subnet in (("a", WEB), ("b", red)):
            await fabric.made(f"{N}/networkInterfaces/{name}", interface_in(subnet))
            await fabric.delete(f"{N}/networkInterfaces/{name}")
        path, reason = f"{W}/addresses/10.1.1.2/release", {"reason": "x"}
        response = await fabric.post(path, reason)
        assert (response.status_code, response.json()["error"]["code"]) == (409, "AmbiguousAddress")
        assert "ip4/virtualnetworks/red" in response.text and "ip4/virtualnetworks/blue" in response.text
        for scope in ("ip4/virtualnetworks/red", "/virtualNetworks/blue"):
            freed = await fabric.post(f"{path}?scope={scope}", reason)
            assert (freed.status_code, freed.json()["state"]) == (200, "free"), freed.text
        assert (await fabric.post(f"{path}?scope=/virtualNetworks/blue", reason)).status_code == 404

    async def test_an_inactive_holder_goes_with_the_address(self, fabric: Api, clock: HandClock) -> None:
        clock.seconds += 60
        await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
        await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
        assert (await fabric.delete(f"{N}/servers/host1?force=true&reason=fire")).status_code == 200
        (shown,) = (await fabric.body(f"{POOL}/addresses?state=assigned"))["value"]
        assert shown["holders"][0]["inactive"] is not None
        assert (await fabric.post(f"{W}/addresses/{MAC}/release", {"reason": "gone"})).status_code == 200
        assert (await fabric.get(f"{N}/networkInterfaces/n1")).status_code == 404


class TestReservations:
    async def test_one_is_made_read_and_given_back(self, fabric: Api, clock: HandClock) -> None:
        until = after(clock, 3600)
        asked = {"count": 4, "contiguous": True, "purpose": "cluster 7", "until": until, "requestId": "deploy-7"}
        response = await fabric.post(f"{POOL}/reserve", asked)
        assert response.status_code == 201, response.text
        made = response.json()
        assert (made["resourceRef"], response.headers["etag"]) == ("/weft/reservations/deploy-7", made["etag"])
        properties = made["properties"]
        assert properties["addresses"] == [f"00-1D-D8-B7-1C-0{at}" for at in range(4)]
        assert properties["pool"] == {"resourceRef": "/macPools/pool1"}
        assert datetime.fromisoformat(properties["expires"]) == datetime.fromisoformat(until)
        again = await fabric.post(f"{POOL}/reserve", asked)
        assert (again.status_code, again.json()) == (200, made)
        assert (await fabric.body(f"{W}/reservations/deploy-7")) == made
        (shown, *_) = (await fabric.body(f"{POOL}/addresses?state=reserved"))["value"]
        assert (shown["address"], shown["reason"], shown["until"][-1]) == (MAC, "cluster 7", "Z")
        assert (await fabric.put(f"{W}/reservations/deploy-7", {})).status_code == 405
        assert (await fabric.delete(f"{W}/reservations/deploy-7")).status_code == 200
        assert (await fabric.body(f"{POOL}/usage"))["reserved"] == 0

    @pytest.mark.parametrize(
        "place", ["macPools/pool1", "virtualNetworks/blue/subnets/web", "logicalNetworks/hnvpa/subnets/pa1"]
    )
    async def test_pools_and_subnets_have_it(self, fabric: Api, place: str) -> None:
        response = await fabric.post(f"{W}/{place}/reserve", {"count": 2})
        assert response.status_code == 201, response.text
        found = response.json()["properties"]
        assert len(found["addresses"]) == 2
        assert {"until", "expires", "purpose", "requestId"}.isdisjoint(found)
        assert (await fabric.body(f"{W}/{place}/usage"))["reserved"] >= 2

    @pytest.mark.parametrize(
        ("body", "target"),
        [
            ({}, "count"),
            ({"count": 0}, "count"),
            ({"count": 5000}, "count"),
            ({"count": "many"}, "count"),
            ({"count": 1, "until": "tomorrow"}, "until"),
            ({"count": 1, "until": "2030-01-01T00:00:00"}, "until"),
            ({"count": 1, "until": "2001-01-01T00:00:00Z"}, "until"),
            ({"count": 1, "why": "x"}, "why"),
        ],
    )
    async def test_what_is_wrong_is_named(self, fabric: Api, body: Any, target: str) -> None:
        response = await fabric.post(f"{POOL}/reserve", body)
        assert (response.status_code, response.json()["error"]["target"]) == (400, target)

    async def test_what_has_no_addresses(self, fabric: Api) -> None:
        for path in ("macPools/none", "servers/host1", "nothing/x"):
            assert (await fabric.post(f"{W}/{path}/reserve", {"count": 1})).status_code == 404
        assert (await fabric.get(f"{POOL}/reserve")).status_code == 405

    @pytest.mark.parametrize(
        ("place", "code"), [("macPools/pool1", "MacPoolIsFull"), ("virtualNetworks/blue/subnets/web", "SubnetIsFull")]
    )
    async def test_more_than_are_free(self, fabric: Api, place: str, code: str) -> None:
        response = await fabric.post(f"{W}/{place}/reserve", {"count": 300})
        assert (response.status_code, response.json()["error"]["code"]) == (409, code)
        assert (await fabric.body(f"{W}/reservations"))["value"] == []

    async def test_no_such_run(self, fabric: Api) -> None:
        response = await fabric.post(f"{POOL}/reserve", {"count": 257, "contiguous": True})
        assert (response.status_code, response.json()["error"]["code"]) == (409, "NoContiguousBlock")
        assert "256" in response.text


class TestUsage:
    async def test_it_warns_from_its_threshold_on(self, api: Api) -> None:
        pool = {"startMacAddress": "02-00-00-00-00-00", "endMacAddress": "02-00-00-00-00-09", "warnAtPercent": 50}
        await api.made(f"{N}/macPools/pool1", pool)
        for count, warning in ((4, False), (1, True)):
            assert (await api.post(f"{POOL}/reserve", {"count": count})).status_code == 201
            usage = await api.body(f"{POOL}/usage")
            assert (usage["warning"], usage["warnAtPercent"], usage["daysToExhaustion"]) == (warning, 50, None)
        assert usage["usedPercent"] == 50.0
        lines = (await api.get("/metrics")).text.splitlines()
        assert 'weft_pool_used_ratio{pool="/macPools/pool1"} 0.5' in lines
        assert 'weft_pool_warning{pool="/macPools/pool1"} 1.0' in lines
        assert "weft_reservations 2.0" in lines

    async def test_a_watch_hears_of_the_crossing(self, api: Api, controller: Controller) -> None:
        pool = {"startMacAddress": "02-00-00-00-00-00", "endMacAddress": "02-00-00-00-00-09", "warnAtPercent": 50}
        await api.made(f"{N}/macPools/pool1", pool)
        commits = controller.subscribe(controller.generation, controller.state.revision)
        for count in (4, 1):
            await api.post(f"{POOL}/reserve", {"count": count})
        quiet, loud = [event_of(await anext(commits)) for _ in range(2)]
        assert "warnings" not in quiet
        assert list(loud["warnings"]) == [{"pool": "/macPools/pool1", "warning": True, "used": 5, "capacity": 10}]

    async def test_it_says_how_long_the_free_ones_last(self, fabric: Api, clock: HandClock) -> None:
        for _ in range(4):
            clock.seconds += 600
            assert (await fabric.post(f"{POOL}/reserve", {"count": 16})).status_code == 201
        usage = await fabric.body(f"{POOL}/usage")
        # 64 in 2400 s, 192 left
        assert (usage["free"], usage["daysToExhaustion"]) == (192, 0.08)

    async def test_a_hosts_range_has_usage_and_addresses(self, api: Api) -> None:
        await api.made(f"{W}/addressPlans/plan1", {"prefix": "0A-15-5D"})
        plan = {"addressPlan": {"resourceRef": "/weft/addressPlans/plan1"}, "clusterNumber": 3}
        made = await api.made(f"{N}/servers/host1", plan)
        assert made["properties"]["macRange"] == {"first": "0A-15-5D-03-00-00", "last": "0A-15-5D-03-0F-FF"}
        usage = await api.body(f"{W}/Servers/HOST1/macrange/usage")
        assert (usage["capacity"], usage["free"]) == (4096, 4096)
        asked = {"strategy": "hostRange", "server": {"resourceRef": "/servers/host1"}}
        await api.made(f"{N}/networkInterfaces/n1", {"privateMacAllocationMethod": "Dynamic", **asked})
        listed = await api.body(f"{W}/servers/host1/macRange/addresses?state=assigned&limit=1")
        assert [each["address"] for each in listed["value"]] == ["0A-15-5D-03-00-00"]
        assert (await api.get(f"{W}/servers/none/macRange/usage")).status_code == 404

    async def test_holders_say_whether_weft_picked_the_address(self, fabric: Api) -> None:
        await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
        static = {"privateMacAllocationMethod": "Static", "privateMacAddress": "020000000001"}
        await fabric.made(f"{N}/networkInterfaces/n2", static)
        for address, granted in ((MAC, True), ("020000000001", False)):
            (holder,) = (await entry(fabric, address))["holders"]
            assert (holder["kind"], holder["granted"], holder["inactive"]) == ("networkInterface", granted, None)


class TestMembers:
    async def test_a_server_shows_what_it_was_given(self, api: Api) -> None:
        dynamic = {"first": "00155D010000", "last": "00:15:5d:01:00:ff"}
        made = await api.made(f"{N}/servers/h", {"hostGroup": "rack1", "dynamicMacRange": dynamic, "macRange": dynamic})
        assert made["properties"]["hostGroup"] == "rack1"
        assert made["properties"]["dynamicMacRange"] == {"first": "00-15-5D-01-00-00", "last": "00-15-5D-01-00-FF"}
        assert "macRange" not in made["properties"]
        plain = (await api.made(f"{N}/servers/h2", {}))["properties"]
        assert {"hostGroup", "macRange", "dynamicMacRange", "addressPlan"}.isdisjoint(plain)

    async def test_an_interface_shows_the_server_of_its_machine(self, fabric: Api) -> None:
        await fabric.made(f"{N}/networkInterfaces/n1", interface_in(strategy="RANDOM"))
        await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
        found = await fabric.body(f"{N}/networkInterfaces/n1")
        assert found["properties"]["strategy"] == "random"
        assert found["properties"]["server"] == {"resourceRef": "/servers/host1"}
        # what was answered can be put again as it is
        assert (await fabric.put(f"{N}/networkInterfaces/n1", found["properties"])).status_code == 200


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-05:00"])
async def test_a_reservation_for_good_can_be_read_later(fabric: Api, clock: HandClock, until: str) -> None:
    """The ledger's time goes slower than the wall's, so the end moved past the last year there is, and with it every
    list that the reservation stood in was a fault of ours."""
    made = await fabric.post(f"{POOL}/reserve", {"count": 1, "until": until})
    assert made.status_code == 201
    clock.ahead = 10_000.0
    for path in (f"{W}/reservations", f"{POOL}/addresses", f"{W}/addresses/{MAC}"):
        assert (await fabric.get(path)).status_code == 200
    (found,) = (await fabric.body(f"{W}/reservations"))["value"]
    assert found["properties"]["expires"].startswith("9999-12-31T23:59:59")


async def test_a_reservation_until_the_first_year_is_refused(fabric: Api) -> None:
    refused = await fabric.post(f"{POOL}/reserve", {"count": 1, "until": "0001-01-01T00:00:00+05:00"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "InvalidParameterValue")
