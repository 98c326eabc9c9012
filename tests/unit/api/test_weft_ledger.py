"""/weft/v1: the ledger's views, and what a host may draw from its own range."""

import pytest

from tests.unit.api.conftest import WEB, Api, N, W, interface_in, machine_with


@pytest.fixture
async def machine(fabric: Api) -> Api:
    await fabric.made(f"{N}/networkInterfaces/n1", interface_in())
    await fabric.made(f"{W}/virtualMachines/vm1", machine_with("n1"))
    return fabric


class TestLedger:
    async def test_usage_adds_up(self, machine: Api) -> None:
        for path in ("macPools/pool1", "logicalNetworks/hnvpa/subnets/pa1", "virtualNetworks/blue/subnets/web"):
            usage = await machine.body(f"{W}/{path}/usage")
            states = ("free", "assigned", "retained", "cooling", "reserved", "foreign")
            assert sum(usage[state] for state in states) == usage["capacity"] > 0
            assert usage["nextFree"] and usage["largestGap"] <= usage["free"]

    async def test_addresses_in_order(self, machine: Api) -> None:
        page = await machine.body(f"{W}/virtualNetworks/blue/subnets/web/addresses")
        shown = [(each.get("address") or each["first"], each["state"]) for each in page["value"]]
        assert shown == [
            ("10.1.1.0", "reserved"),
            ("10.1.1.1", "reserved"),
            ("10.1.1.2", "assigned"),
            ("10.1.1.3", "free"),
            ("10.1.1.255", "reserved"),
        ]
        assert page["value"][2]["holders"][0]["resourceRef"] == "/networkInterfaces/n1"
        assert page["nextLink"] == ""

    async def test_pages_follow_each_other(self, fabric: Api) -> None:
        for number in range(5):
            await fabric.made(f"{N}/networkInterfaces/n{number}", interface_in())
        whole = (await fabric.body(f"{W}/macPools/pool1/addresses"))["value"]
        path, found = f"{W}/macPools/pool1/addresses?limit=2", []
        while path:
            page = await fabric.body(path)
            assert len(page["value"]) <= 2
            found += page["value"]
            path = page["nextLink"]
        assert found == whole

    async def test_one_state(self, fabric: Api) -> None:
        for number in range(3):
            await fabric.made(f"{N}/networkInterfaces/n{number}", interface_in())
        await fabric.delete(f"{N}/networkInterfaces/n1")
        cooling = (await fabric.body(f"{W}/macPools/pool1/addresses?state=cooling"))["value"]
        assert [each["address"] for each in cooling] == ["00-1D-D8-B7-1C-01"]
        assert cooling[0]["until"].endswith("Z")
        free = (await fabric.body(f"{W}/macPools/pool1/addresses?state=free"))["value"]
        assert free == [{"first": "00-1D-D8-B7-1C-03", "last": "00-1D-D8-B7-1C-FF", "count": 253, "state": "free"}]

    async def test_exclusions_are_ranges_around_their_holders(self, api: Api) -> None:
        excluded = {"first": "02-00-00-00-00-04", "last": "02-00-00-00-00-08", "reason": "printers"}
        pool = {"startMacAddress": "02-00-00-00-00-00", "endMacAddress": "02-00-00-00-00-0F"}
        await api.made(f"{N}/macPools/pool1", pool)
        static = {"privateMacAllocationMethod": "Static", "privateMacAddress": "020000000006"}
        await api.made(f"{N}/networkInterfaces/n1", static)
        assert (await api.put(f"{N}/macPools/pool1", {**pool, "excluded": [excluded]})).status_code == 200
        reserved = (await api.body(f"{W}/macPools/pool1/addresses?state=reserved"))["value"]
        spans = [(each["first"][-2:], each["last"][-2:], each["reason"]) for each in reserved]
        assert spans == [("04", "05", "printers"), ("07", "08", "printers")]

    @pytest.mark.parametrize("query", ["state=lost", "limit=0", "limit=x", "after=x"])
    async def test_bad_queries(self, fabric: Api, query: str) -> None:
        assert (await fabric.get(f"{W}/macPools/pool1/addresses?{query}")).status_code == 400

    @pytest.mark.parametrize("path", ["macPools/none", "servers/host1", "virtualNetworks/blue", "nothing/x"])
    async def test_what_has_no_addresses(self, fabric: Api, path: str) -> None:
        assert (await fabric.get(f"{W}/{path}/usage")).status_code == 404

    @pytest.mark.parametrize("text", ["001dd8b71c00", "00-1D-D8-B7-1C-00", "00:1d:d8:b7:1c:00", "001d.d8b7.1c00"])
    async def test_a_mac_in_every_notation_with_its_history(self, machine: Api, text: str) -> None:
        (found,) = (await machine.body(f"{W}/addresses/{text}"))["value"]
        assert (found["address"], found["state"]) == ("00-1D-D8-B7-1C-00", "assigned")
        assert (found["l2Domain"], found["holders"][0]["l2Domain"]) == (WEB, WEB)
        assert found["history"][0]["event"] == "granted"
        assert found["history"][-1]["machine"] == "vm1"

    async def test_a_refusal_is_history(self, machine: Api) -> None:
        asked = {"privateMacAddress": "001DD8B71C00", "privateMacAllocationMethod": "Static"}
        for _ in range(2):
            assert (await machine.put(f"{N}/networkInterfaces/thief", asked)).status_code == 409
        (found,) = (await machine.body(f"{W}/addresses/001dd8b71c00"))["value"]
        event = found["history"][-1]
        assert (event["event"], event["holder"]) == ("refused", "/networkInterfaces/thief")
        assert (event["actor"], event["reason"], event["times"]) == ("operator", "PrivateMacAddressInUse", 2)
        assert event["time"] <= event["lastTime"]
        assert "times" not in found["history"][0]

    async def test_an_ip_address_in_every_scope_that_knows_it(self, machine: Api) -> None:
        await machine.made(
            f"{N}/virtualNetworks/red",
            {
                "logicalNetwork": {"resourceRef": "/logicalNetworks/hnvpa"},
                "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
                "subnets": [{"resourceId": "web", "properties": {"addressPrefix": "10.1.1.0/24"}}],
            },
        )
        found = (await machine.body(f"{W}/addresses/10.1.1.2"))["value"]
        states = {each["pool"]["resourceRef"]: each["state"] for each in found}
        assert states == {WEB: "assigned", "/virtualNetworks/red/subnets/web": "free"}

    async def test_history_outlives_the_network(self, machine: Api) -> None:
        for path in (f"{W}/virtualMachines/vm1", f"{N}/networkInterfaces/n1", f"{N}/virtualNetworks/blue"):
            assert (await machine.delete(path)).status_code == 200
        (found,) = (await machine.body(f"{W}/addresses/10.1.1.2"))["value"]
        assert [each["event"] for each in found["history"]][0] == "granted"

    async def test_an_address_that_is_none(self, api: Api) -> None:
        assert (await api.get(f"{W}/addresses/ten")).status_code == 400


class TestAHostsOwnRange:
    OWN = {"first": "00-15-5D-00-00-00", "last": "00-15-5D-00-00-0F"}

    @pytest.fixture
    async def host(self, api: Api) -> Api:
        await api.made(f"{N}/servers/HV1", {"dynamicMacRange": self.OWN})
        static = {"privateMacAllocationMethod": "Static", "privateMacAddress": "00155D000003"}
        await api.made(f"{N}/networkInterfaces/n1", static)
        return api

    async def test_usage(self, host: Api) -> None:
        found = await host.body(f"{W}/servers/hv1/usage")
        assert (found["source"], found["range"]) == ("dynamicMacRange", self.OWN)
        assert (found["capacity"], found["free"], found["assigned"]) == (16, 15, 1)
        assert (found["nextFree"], found["largestGap"]) == ("00-15-5D-00-00-00", 12)

    async def test_addresses_page_by_page(self, host: Api) -> None:
        page = await host.body(f"{W}/servers/hv1/addresses?limit=2")
        free, held = page["value"]
        assert (free["first"][-2:], free["last"][-2:], free["count"]) == ("00", "02", 3)
        assert (held["address"], held["holders"][0]["resourceRef"]) == ("00-15-5D-00-00-03", "/networkInterfaces/n1")
        assert page["nextLink"].startswith(f"{W}/servers/HV1/addresses?")
        (rest,) = (await host.body(page["nextLink"]))["value"]
        assert (rest["first"][-2:], rest["count"]) == ("04", 12)
        assert [each["state"] for each in (await host.body(f"{W}/servers/hv1/addresses?state=assigned"))["value"]] == [
            "assigned"
        ]
        assert (await host.get(f"{W}/servers/hv1/addresses?state=lost")).status_code == 400

    async def test_a_host_without_a_range(self, host: Api) -> None:
        await host.made(f"{N}/servers/hv2", {})
        for path in ("usage", "addresses"):
            answer = await host.get(f"{W}/servers/hv2/{path}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NoDynamicRange")
            assert (await host.get(f"{W}/servers/none/{path}")).status_code == 404

    async def test_state_proposes_a_range(self, host: Api) -> None:
        own = (await host.body(f"{W}/servers/hv1/state"))["dynamicRange"]
        assert own == {"drawn": None, "wanted": None, "proposal": self.OWN}
        await host.made(f"{N}/servers/hv2", {"dynamicMacRange": self.OWN})
        other = {"first": "00-15-5D-00-01-00", "last": "00-15-5D-00-01-FF"}
        assert (await host.body(f"{W}/servers/hv2/state"))["dynamicRange"]["proposal"] == other
        await host.put(f"{N}/servers/hv2", {"dynamicMacRange": self.OWN, "wantedDynamicMacRange": other})
        assert (await host.body(f"{W}/servers/hv2/state"))["dynamicRange"]["wanted"] == other
