"""A machine's whole life through the API: copies, captures, their paths, and answers for retries and dry runs."""

from typing import Any

import pytest

from tests.unit.api.conftest import WEB, Api, HandClock, N, W, interface_in, machine_with
from weft.control.controller import Controller

VM = f"{W}/virtualMachines/vm1"


@pytest.fixture
async def machine(fabric: Api) -> Api:
    await fabric.made(f"{N}/networkInterfaces/vm1-eth0", interface_in())
    await fabric.made(VM, machine_with("vm1-eth0"))
    return fabric


async def done(api: Api, path: str, body: Any = None) -> Any:
    """The body of a POST that must be granted."""
    response = await api.post(path, body or {})
    assert response.status_code == 200, response.text
    return response.json()


async def mac_of(api: Api, interface: str) -> str:
    found: str = (await api.body(f"{N}/networkInterfaces/{interface}"))["properties"]["privateMacAddress"]
    return found


class TestCopies:
    async def test_a_clone_is_answered_with_addresses_of_its_own(self, machine: Api) -> None:
        made = await done(machine, f"{VM}/clone", {"resourceId": "vm2"})
        assert (made["resourceRef"], made["properties"]["powerState"]) == ("/weft/virtualMachines/vm2", "Off")
        assert made["properties"]["networkInterfaces"] == [{"resourceRef": "/networkInterfaces/vm2-eth0"}]
        assert await mac_of(machine, "vm2-eth0") != await mac_of(machine, "vm1-eth0")

    async def test_a_legal_twin_cannot_run_beside_its_source(self, machine: Api) -> None:
        await done(machine, f"{VM}/clone", {"resourceId": "twin", "addresses": "keep"})
        assert await mac_of(machine, "twin-eth0") == await mac_of(machine, "vm1-eth0")
        await done(machine, f"{VM}/start")
        response = await machine.post(f"{W}/virtualMachines/twin/start", {})
        assert (response.status_code, response.json()["error"]["code"]) == (409, "ActiveTwin")
        assert "vm1" in response.text

    async def test_a_template_holds_nothing_and_is_cloned(self, machine: Api) -> None:
        template = await done(machine, f"{VM}/clone", {"resourceId": "golden", "isTemplate": True})
        assert template["properties"]["isTemplate"] is True
        assert template["properties"]["networks"][0]["subnet"] == {"resourceRef": WEB}
        assert template["properties"]["networkInterfaces"] == []
        made = await done(machine, f"{W}/virtualMachines/golden/clone", {"resourceId": "vm3"})
        assert made["properties"]["isTemplate"] is False
        assert "networks" not in made["properties"]

    async def test_an_import_is_answered_with_the_new_machine(self, machine: Api) -> None:
        nic = {"macAddress": "0A-15-5D-00-00-07", "ipAddresses": ["10.1.1.77"], "subnet": {"resourceRef": WEB}}
        body = {"resourceId": "old", "server": "host1", "networkInterfaces": [nic]}
        made = await done(machine, f"{W}/virtualMachines/import", body)
        assert made["resourceId"] == "old"
        assert await mac_of(machine, "old-eth0") == "0A155D000007"

    async def test_a_machine_may_be_called_import(self, machine: Api) -> None:
        await machine.made(f"{W}/virtualMachines/import", {})
        assert (await machine.body(f"{W}/virtualMachines/import"))["resourceId"] == "import"
        assert (await machine.delete(f"{W}/virtualMachines/import")).status_code == 200

    async def test_what_does_not_concern_a_machine_is_left_out(self, machine: Api) -> None:
        found = (await machine.body(VM))["properties"]
        assert {"inactive", "networks", "move", "restore"}.isdisjoint(found)
        assert (found["isTemplate"], found["checkpoints"], found["exports"]) == (False, [], [])

    async def test_a_name_that_is_taken(self, machine: Api) -> None:
        response = await machine.post(f"{VM}/clone", {"resourceId": "VM1"})
        assert (response.status_code, response.json()["error"]["code"]) == (409, "AlreadyExists")


class TestCheckpoints:
    async def test_a_checkpoint_stands_below_its_machine_and_in_the_list_of_all(self, machine: Api) -> None:
        made = await done(machine, f"{VM}/checkpoint", {"resourceId": "Before"})
        (listed,) = made["properties"]["checkpoints"]
        assert listed["resourceRef"] == "/weft/virtualMachines/vm1/checkpoints/Before"
        assert (listed["resourceId"], listed["created"][-1]) == ("Before", "Z")
        found = await machine.body(f"{W}/VirtualMachines/VM1/Checkpoints/before")
        assert (found["resourceRef"], found["resourceId"]) == (listed["resourceRef"], "Before")
        captured = found["properties"]["networkInterfaces"][0]
        assert captured["networkInterface"] == {"resourceRef": "/networkInterfaces/vm1-eth0"}
        assert captured["macAddress"] == "00-1D-D8-B7-1C-00"
        assert captured["ipAddresses"][0]["privateIPAddress"] == "10.1.1.2"
        for path in (f"{VM}/checkpoints", f"{W}/checkpoints"):
            assert (await machine.body(path))["value"] == [found]
        assert (await machine.body(f"{W}/exports"))["value"] == []

    async def test_a_delete_is_as_of_any_resource(self, machine: Api) -> None:
        await done(machine, f"{VM}/checkpoint", {"resourceId": "before"})
        path = f"{VM}/checkpoints/before"
        assert (await machine.delete(path, if_match='W/"other"')).status_code == 412
        etag = (await machine.get(path)).headers["etag"]
        assert (await machine.delete(path, if_match=etag)).status_code == 200
        assert (await machine.delete(path)).status_code == 204
        assert (await machine.get(path)).status_code == 404
        assert (await machine.body(VM))["properties"]["checkpoints"] == []

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    async def test_only_the_action_makes_one(self, machine: Api, method: str) -> None:
        for path, maker in ((f"{VM}/checkpoints/c", "/checkpoint"), (f"{VM}/exports/e", "/export")):
            response = await machine.send(method, path, b"{}")
            assert (response.status_code, response.headers["allow"]) == (405, "GET, DELETE")
            assert maker in response.json()["error"]["message"]

    async def test_paths_that_name_nothing(self, machine: Api) -> None:
        for path in ("virtualMachines/none/checkpoints", "virtualMachines/none/exports/e", "checkpoints/c"):
            assert (await machine.get(f"{W}/{path}")).status_code == 404
        assert (await machine.body(f"{VM}/exports"))["value"] == []
        assert "virtualMachines/ID/checkpoints" in (await machine.get(f"{W}/checkpoints/c")).text

    async def test_it_goes_with_its_machine_and_gives_up_what_only_it_holds(self, machine: Api) -> None:
        await done(machine, f"{VM}/checkpoint", {"resourceId": "before"})
        await done(machine, f"{VM}/export", {"resourceId": "copy"})
        for path in (VM, f"{N}/networkInterfaces/vm1-eth0"):
            assert (await machine.delete(path)).status_code == 200
        assert (await machine.body(f"{W}/checkpoints"))["value"] == []
        # an export outlives it
        (left,) = (await machine.body(f"{VM}/exports"))["value"]
        assert left == await machine.body(f"{VM}/exports/copy")
        (place,) = (await machine.body(f"{W}/addresses/001DD8B71C00"))["value"]
        assert (place["state"], [each["kind"] for each in place["holders"]]) == ("retained", ["export"])
        assert (await machine.delete(f"{VM}/exports/copy")).status_code == 200
        assert (await machine.get(f"{VM}/exports")).status_code == 404


class TestRestore:
    @pytest.fixture
    async def renewed(self, machine: Api) -> Api:
        await done(machine, f"{VM}/checkpoint", {"resourceId": "before"})
        await done(machine, f"{VM}/renewMac", {"networkInterface": {"resourceRef": "/networkInterfaces/vm1-eth0"}})
        assert await mac_of(machine, "vm1-eth0") == "001DD8B71C01"
        return machine

    async def test_the_answer_says_what_became_of_each_interface(self, renewed: Api) -> None:
        found = (await done(renewed, f"{VM}/restore", {"checkpoint": "before"}))["properties"]["restore"]
        assert found == [
            {
                "networkInterface": "/networkInterfaces/vm1-eth0",
                "from": "00-1D-D8-B7-1C-01 10.1.1.2",
                "to": "00-1D-D8-B7-1C-00 10.1.1.2",
                "outcome": "restored",
            }
        ]
        assert await mac_of(renewed, "vm1-eth0") == "001DD8B71C00"
        assert "restore" not in (await renewed.body(VM))["properties"]

    @pytest.mark.parametrize("power", ["Off", "Running"])
    @pytest.mark.parametrize(("query", "body"), [("?dryRun=true", {}), ("", {"DryRun": "true"})])
    async def test_a_dry_run(
        self, renewed: Api, controller: Controller, power: str, query: str, body: dict[str, Any]
    ) -> None:
        if power == "Running":
            await done(renewed, f"{VM}/start")
        revision = controller.state.revision
        answer = await done(renewed, f"{VM}/restore{query}", {"checkpoint": "before", **body})
        assert answer["dryRun"] is True and answer["changes"]
        assert [each["outcome"] for each in answer["properties"]["restore"]] == ["restored"]
        assert controller.state.revision == revision

    async def test_a_running_machine_runs_again_with_the_addresses_of_before(self, renewed: Api) -> None:
        await done(renewed, f"{VM}/start")
        answer = await done(renewed, f"{VM}/restore", {"checkpoint": "before"})
        assert answer["properties"]["powerState"] == "Running"
        assert answer["properties"]["restore"][0]["outcome"] == "restored"
        assert [each["resourceId"] for each in answer["properties"]["checkpoints"]] == ["before"]

    async def test_what_is_not_there(self, machine: Api) -> None:
        response = await machine.post(f"{VM}/restore", {"checkpoint": "none"})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "NotFound")

    async def test_a_taken_address_is_refused_or_another_is_granted(self, renewed: Api) -> None:
        # a twin of before, made by hand, that runs
        nic = {"macAddress": "001DD8B71C00", "ipAddresses": ["10.1.1.77"], "subnet": {"resourceRef": WEB}}
        body = {"resourceId": "thief", "server": "host1", "networkInterfaces": [nic]}
        await done(renewed, f"{W}/virtualMachines/import", body)
        await done(renewed, f"{W}/virtualMachines/thief/start")
        response = await renewed.post(f"{VM}/restore", {"checkpoint": "before"})
        assert (response.status_code, response.json()["error"]["code"]) == (409, "AddressesTaken")
        assert "thief" in response.text
        answer = await done(renewed, f"{VM}/restore", {"checkpoint": "before", "ifTaken": "remap"})
        assert [each["outcome"] for each in answer["properties"]["restore"]] == ["remapped"]


class TestRenewAndFailover:
    async def test_a_mac_is_renewed_on_request_only(self, machine: Api) -> None:
        path = f"{N}/networkInterfaces/vm1-eth0"
        changed = interface_in(privateMacAllocationMethod="Dynamic", privateMacAddress="001DD8B71C09")
        await machine.put(path, changed)
        assert await mac_of(machine, "vm1-eth0") == "001DD8B71C00"
        asked = {"networkInterface": "vm1-eth0", "macAddress": "00:1d:d8:b7:1c:09"}
        answer = await done(machine, f"{VM}/renewMac", asked)
        assert answer["resourceId"] == "vm1"
        assert await mac_of(machine, "vm1-eth0") == "001DD8B71C09"
        (place,) = (await machine.body(f"{W}/addresses/001DD8B71C00"))["value"]
        assert place["state"] == "cooling"

    async def test_a_running_machine_only_by_force(self, machine: Api) -> None:
        await done(machine, f"{VM}/start")
        asked = {"networkInterface": "vm1-eth0"}
        response = await machine.post(f"{VM}/renewMac", asked)
        assert (response.status_code, response.json()["error"]["code"]) == (409, "MachineIsRunning")
        await done(machine, f"{VM}/renewMac", {**asked, "force": True})

    async def test_a_machine_of_a_dead_host_runs_on_another(self, machine: Api) -> None:
        await done(machine, f"{VM}/start")
        answer = await done(machine, f"{VM}/failover", {"server": {"resourceRef": "/servers/host2"}})
        assert answer["properties"]["server"] == {"resourceRef": "/servers/host2"}
        assert answer["properties"]["powerState"] == "Running"
        assert (await machine.post(f"{VM}/failover", {"server": "none"})).json()["error"]["target"] == "server"

    async def test_a_server_that_will_not_come_back(self, machine: Api, clock: HandClock) -> None:
        clock.seconds += 60
        path = f"{N}/servers/host1"
        assert (await machine.delete(path)).json()["error"]["code"] == "InUseServerCannotBeDeleted"
        assert (await machine.delete(f"{path}?reason=fire")).status_code == 400
        assert (await machine.delete(f"{path}?fenced=true")).json()["error"]["target"] == "fenced"
        assert (await machine.delete(f"{VM}?force=true&fenced=true")).json()["error"]["target"] == "force"
        assert (await machine.delete(f"{N}/macPools/pool1?force=true")).json()["error"]["target"] == "force"
        assert (await machine.delete(f"{path}?force=true", if_match="*")).status_code == 400
        assert (await machine.delete(f"{path}?force=true&dryRun=true")).json()["dryRun"] is True
        assert (await machine.delete(f"{path}?force=true&reason=fire")).status_code == 200
        assert (await machine.delete(f"{path}?force=true&reason=fire")).status_code == 204
        found = (await machine.body(VM))["properties"]
        assert "server" not in found and found["powerState"] == "Off"
        assert "fire" in found["inactive"]
        (place,) = (await machine.body(f"{W}/addresses/001DD8B71C00"))["value"]
        assert place["state"] == "assigned" and place["holders"][0]["inactive"][-1] == "Z"
        assert place["history"][-1]["event"] == "inactive" and "fire" in place["history"][-1]["reason"]


class TestRetries:
    @pytest.mark.parametrize(
        ("action", "body"),
        [
            ("clone", b'{"resourceId": "vm2"}'),
            ("checkpoint", b'{"resourceId": "c"}'),
            ("export", b'{"resourceId": "e"}'),
            ("renewMac", b'{"networkInterface": "vm1-eth0"}'),
        ],
    )
    async def test_a_repeat_gets_the_first_answer(
        self, machine: Api, controller: Controller, action: str, body: bytes
    ) -> None:
        first = await machine.send("POST", f"{VM}/{action}", body, x_ms_client_request_id="r1")
        revision = controller.state.revision
        again = await machine.send("POST", f"{VM}/{action}", body, x_ms_client_request_id="r1")
        assert (first.status_code, again.content, again.headers["etag"]) == (200, first.content, first.headers["etag"])
        assert controller.state.revision == revision

    @pytest.mark.parametrize(
        ("action", "body"),
        [
            ("clone", {"resourceId": "vm2"}),
            ("checkpoint", {"resourceId": "c"}),
            ("export", {"resourceId": "e"}),
            ("renewMac", {"networkInterface": "vm1-eth0"}),
            ("failover", {"server": "host2"}),
        ],
    )
    async def test_a_dry_run_keeps_nothing(
        self, machine: Api, controller: Controller, action: str, body: dict[str, Any]
    ) -> None:
        revision = controller.state.revision
        answer = await done(machine, f"{VM}/{action}?dryRun=true", body)
        assert answer["dryRun"] is True and answer["changes"]
        assert controller.state.revision == revision
        waited = await machine.post(f"{VM}/{action}?wait=hosts&timeout=5", body)
        assert waited.status_code == 200, waited.text
