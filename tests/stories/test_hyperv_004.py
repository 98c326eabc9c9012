"""Source 004 on fake Hyper-V hosts: virtual subnets of ports, records that a restart loses, a filter that is not bound;
and hosts that do not answer, or let nobody in.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from tests.stories.by_hand import quick
from tests.stories.desk import new_id
from tests.stories.hyperv_desk import BLUE, HyperVDesk, opened
from weft.cli.commands import app
from weft.fakes.hyperv.machine import Nic
from weft.model.values import Mac

__all__ = ["quick"]


RED = 5001


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[HyperVDesk]:
    async with opened() as made:
        await made.cluster(hosts=1)
        yield made


async def vsid_is(nic: Nic, vsid: int) -> bool:
    return nic.virtual_subnet_id == vsid


async def test_story_4_9_a_port_is_found_by_its_adapter_and_none_is_an_error(desk: HyperVDesk) -> None:
    """An adapter whose MAC address is another one now is still found, and served; one that is gone is named."""
    await desk.make("web1")
    vm, console = desk.vm("web1"), desk.console("host1")
    (nic,) = vm.nics
    console.set_static(vm, 0x020000000007)
    nic.virtual_subnet_id = RED
    await desk.has_mac("web1-eth0", "020000000007")
    await desk.eventually(lambda: vsid_is(nic, BLUE))
    await desk.says("web1", powerState="Running", conflicts=[])
    console.host.change_adapters(vm, ())
    said = await desk.problem("host1", "no adapter")
    assert "web1" in said and "web1-eth0" in said
    server = (await desk.get("/networking/v1/servers/host1"))["properties"]["configurationState"]
    assert server["status"] == "Failure"
    assert any("no adapter" in one["message"] for one in server["detailedInfo"])


async def test_story_4_10_a_port_in_another_virtual_subnet_than_its_record_is_drift(desk: HyperVDesk) -> None:
    """It is told, put right, and told for as long as it cannot be. So are records that somebody removed."""
    await desk.make("web1")
    await desk.eventually(desk.all_applied)
    assert (await desk.get("/weft/v1/servers/host1/state"))["drift"] == []
    (nic,) = desk.vm("web1").nics
    trouble = desk.host("host1").trouble
    trouble.failing["Set-VMNetworkAdapter"] = "Access is denied."
    nic.virtual_subnet_id = RED
    assert "host1: Set-VMNetworkAdapter: Access is denied." in await desk.problem("host1", "Access is denied.")
    assert nic.virtual_subnet_id == RED
    trouble.failing.clear()
    await desk.eventually(lambda: vsid_is(nic, BLUE))

    async def told_and_well() -> bool:
        state = await desk.get("/weft/v1/servers/host1/state")
        return "set ports: 1" in state["drift"] and not state["problems"]

    await desk.eventually(told_and_well)
    records = desk.host("host1").records
    before = {one.key for one in records.lookups}
    assert len(before) == 2
    records.lookups.clear()

    async def all_there() -> bool:
        return {one.key for one in records.lookups} == before

    await desk.eventually(all_there)


async def test_story_4_18_after_a_restart_all_records_are_there_before_a_machine_runs(desk: HyperVDesk) -> None:
    mac, host = await desk.make("web1"), desk.host("host1")
    await desk.make("web2")
    await desk.eventually(desk.all_applied)
    instance = (await desk.get("/networking/v1/networkInterfaces/web1-eth0"))["instanceId"]
    records = host.records
    kept = {one.key for one in records.lookups}
    assert len(kept) == 3
    seen = desk.at_starts("host1", "web1")
    desk.center.pass_time(600)
    host.restart()
    assert (host.records.lookups, desk.vm("web1").state) == ([], "Off")

    async def runs() -> bool:
        return {desk.vm(name).state for name in ("web1", "web2")} == {"Running"}

    await desk.eventually(runs)
    assert set(seen) == {(mac, False, instance, BLUE, 3)}, "at each start"
    assert {one.key for one in host.records.lookups} == kept
    assert [one.provider_address for one in host.records.provider_addresses] == ["192.168.1.10"]
    assert {one.virtual_subnet_id for one in host.records.customer_routes} == {BLUE}
    assert len(host.records.provider_routes) == 1
    await desk.says("web1", powerState="Running", conflicts=[])


async def test_story_4_19_the_filter_that_is_not_bound_is_bound_or_the_host_is_not_ready(desk: HyperVDesk) -> None:
    await desk.make("web1")
    await desk.eventually(desk.all_applied)
    host = desk.host("host1")
    (adapter,) = host.net_adapters
    assert adapter.bindings["ms_netwnv"], "it was not at the beginning"
    host.trouble.failing["Enable-NetAdapterBinding"] = "Access is denied."
    adapter.bindings["ms_netwnv"] = False
    assert "Enable-NetAdapterBinding: Access is denied." in await desk.problem("host1", "Enable-NetAdapterBinding")
    asking = desk.background("POST", "/weft/v1/virtualMachines", desk.body("web2"))
    await desk.eventually(lambda: desk.exists("/weft/v1/virtualMachines/web2"))
    assert desk.starts() == 1
    host.trouble.failing.clear()
    assert (await asking).status_code == 201
    assert adapter.bindings["ms_netwnv"]
    assert desk.vm("web2").state == "Running"


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("unreachable", "cannot be reached by WinRM"), ("refused", "the credentials are refused")],
)
async def test_a_host_that_cannot_be_asked_is_seen_as_that_everywhere(
    desk: HyperVDesk, trouble: str, words: str
) -> None:
    """In the host's state, by `weft host state`, in the server's configurationState. What is asked is refused with
    the reason until it is back, and nothing has changed."""
    mac = await desk.make("web1")
    host = desk.host("host1")
    setattr(host.trouble, trouble, True)
    assert "host1" in await desk.problem("host1", words)
    server = (await desk.get("/networking/v1/servers/host1"))["properties"]["configurationState"]
    assert (server["status"], server["detailedInfo"][0]["code"]) == ("Failure", "HostUnreachable")
    assert words in server["detailedInfo"][0]["message"]
    asked = ["host", "state", "host1", "--controller", f"unix:{desk.socket}"]
    said = await asyncio.to_thread(CliRunner().invoke, app, asked, obj=new_id)
    assert said.exit_code == 0, said.output
    assert words in said.output and "HostUnreachable" in said.output
    assert "web1     Running" in said.output, "as it last was"
    refused = await desk.background("POST", "/weft/v1/virtualMachines/web1/stop", {})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "ServerNotReady")
    assert words in refused.json()["error"]["message"], "at once, since nothing would come of waiting"
    assert desk.vm("web1").state == "Running"
    assert await desk.mac("web1-eth0") == mac
    setattr(host.trouble, trouble, False)

    async def well() -> bool:
        return not (await desk.get("/weft/v1/servers/host1/state"))["problems"]

    await desk.eventually(well)
    await desk.act("web1", "stop")
    assert desk.vm("web1").state == "Off"


async def test_a_machine_renamed_or_deleted_meanwhile_is_followed(desk: HyperVDesk) -> None:
    """By its id; what is gone keeps its addresses, inactive, until somebody gives them up."""
    mac = await desk.make("web1")
    vm, console = desk.vm("web1"), desk.console("host1")
    console.rename(vm, "web1 (alt)")
    await desk.act("web1", "stop")
    await desk.act("web1", "start")
    assert (vm.state, vm.name, vm.nics[0].mac) == ("Running", "web1 (alt)", Mac(int(mac, 16)))
    console.delete(vm)
    await desk.says("web1", powerState="Off", inactive="deleted outside on host1")
    assert (await desk.address(mac))["holders"][0]["inactive"]
