"""The real shell end to end: pypsrp, TLS and SOAP, up to a WinRM service of this machine that runs the scripts."""

import asyncio
import contextlib

import pytest

from tests.contract.hypervisor_worlds import WEB, WEB_PORTS
from tests.unit.agent.hyperv.certificates import certificate
from tests.unit.agent.hyperv.winrm import winrm
from tests.waiting import soon
from weft.agent.hyperv.credentials import Credentials
from weft.agent.hyperv.driver import HyperVDriver
from weft.agent.hyperv.psrp import Endpoint, PsrpShell
from weft.agent.hyperv.shell import HostUnreachable, ScriptFailed
from weft.agent.hypervisors import HypervisorFailure, Start
from weft.core.hyperv.machines_facts import MACHINE
from weft.core.hyperv.script import PROLOGUE, Script
from weft.fakes.hyperv.datacenter import HyperVDatacenter
from weft.fakes.hyperv.people import Console

ECHO = Script("echo", PROLOGUE + "$arguments | ConvertTo-Json -Depth 8 -Compress\n")
SILENT = Script("silent", PROLOGUE + "$arguments | Out-Null\n")


@pytest.fixture
def service(tmp_path):
    datacenter = HyperVDatacenter()
    datacenter.add_host("host1", "192.168.1.10")
    pem = certificate(tmp_path)
    with winrm(datacenter.hosts["host1"], pem) as made:
        made.pem, made.datacenter = str(pem), datacenter
        yield made


@contextlib.asynccontextmanager
async def shell(service, sessions=2):
    endpoint = Endpoint("localhost", service.port, "certificate", True, service.pem, sessions)
    made = PsrpShell(endpoint, Credentials(certificate=service.pem, key=service.pem))
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(
    "value",
    ["", "it's", '"$(Get-VM)"', "a\r\nb\u2028c", "\u202egnp.exe", "\U0001f600", "_x0041_ \x00 \x7f", "x" * 200_000],
    ids=["empty", "quote", "dollar", "lines", "right to left", "beyond 16 bits", "escapes", "large"],
)
async def test_what_goes_in_comes_out(service, value):
    async with shell(service) as host:
        assert await host.run(ECHO, {"value": value, "list": [1, True, None]}) == {
            "value": value,
            "list": [1, True, None],
        }


async def test_an_error_is_told_with_its_cmdlet_and_line(service):
    async with shell(service) as host:
        with pytest.raises(ScriptFailed) as failed:
            await host.run(MACHINE, {"id": "5eed0000-0000-4000-8000-00000000dead"})
        assert (failed.value.host, failed.value.script, failed.value.cmdlet) == ("localhost", "machine", "Get-VM")
        assert "unable to find a virtual machine" in failed.value.message
        assert failed.value.line > 3
        # the session is not worn out by it for others
        assert await host.run(ECHO, {"a": 1}) == {"a": 1}


async def test_a_script_that_writes_nothing_is_an_error(service):
    async with shell(service) as host:
        with pytest.raises(ScriptFailed, match="wrote no JSON but ''"):
            await host.run(SILENT, {})


async def test_sessions_are_bounded_kept_and_closed(service):
    async with shell(service, sessions=2) as host:
        answers = await asyncio.gather(*(host.run(ECHO, {"n": n}) for n in range(8)))
        assert [one["n"] for one in answers] == list(range(8))
        assert (service.opened, service.at_once) == (2, 2)
    assert service.shells == {}


async def test_a_service_that_was_restarted_gets_a_new_session(service):
    async with shell(service) as host:
        await host.run(ECHO, {})
        service.forget_shells()
        assert await host.run(ECHO, {"a": 1}) == {"a": 1}
        assert service.opened == 2


@pytest.mark.parametrize(("reads", "made"), [(False, 1), (True, 2)])
async def test_a_script_that_changes_something_is_not_begun_twice(service, reads, made):
    making = Script("making", PROLOGUE + "New-VM -Name $arguments.name | Out-Null\n'{}'\n", reads)
    async with shell(service) as host:
        await host.run(ECHO, {})
        service.drops = 1
        if reads:
            assert await host.run(making, {"name": "web"}) == {}
        else:
            with pytest.raises(HostUnreachable):
                await host.run(making, {"name": "web"})
        assert await host.run(ECHO, {"a": 1}) == {"a": 1}
    assert len(service.host.vms) == made


async def test_a_script_that_nobody_waits_for_any_more_is_stopped(service):
    async with shell(service, sessions=2) as host:
        service.held = True
        asking = asyncio.create_task(host.run(ECHO, {}))
        await soon(lambda: any(shell.taken for shell in list(service.shells.values())))
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await soon(lambda: "ctrl_c" in service.signals)
        service.held = False
        assert await host.run(ECHO, {"a": 1}) == {"a": 1}


async def test_the_driver_over_the_wire(service):
    console = Console(service.datacenter, "host1")
    console.create('the "shop"')
    async with shell(service) as host:
        driver = HyperVDriver("host1", host)
        facts = await driver.facts()
        assert [(one.name, one.power) for one in facts.machines] == [('the "shop"', "Off")]
        with pytest.raises(HypervisorFailure, match="^host1: Start of web: Get-VMNetworkAdapter: .* has 0 "):
            await driver.carry_out(Start(WEB, WEB_PORTS, id=facts.machines[0].id))
